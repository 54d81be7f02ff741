"""`python -m penstock.simulator`: what `penstock.simulator.spawn` starts."""

from __future__ import annotations

import sys

from penstock.simulator.process import child_main

sys.exit(child_main())
