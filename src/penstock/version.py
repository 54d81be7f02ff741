"""The version: here, for the package's metadata takes longer to read than much of a start."""

from __future__ import annotations

VERSION = "0.1.0"
