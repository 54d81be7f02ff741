"""The `penstock` command's first step: Ctrl+C while modules are still being loaded has words."""

from __future__ import annotations

import signal
import sys

INTERRUPTED = 130  # as errors.EXIT_SIGINT, which is not loaded yet


def main() -> None:
    """Load the command line and carry it out."""
    try:
        from penstock.cli import main as carry_out

        carry_out()
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.stderr.write("interrupted\n")
        sys.exit(INTERRUPTED)
