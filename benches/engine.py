"""The whole engine against bare loops, on one core: CPU per record, plain and over TLS.

    python benches/engine.py [--records 1000000] [--pairs 5] [--scheme both] [--save FOLDER]

What is measured and how is in docs/benchmarks.md; what the parts do in benches/harness.
"""

from __future__ import annotations

from harness.engine_client import ENGINE
from harness.loops import AIOHTTP, WRK, go
from harness.session import options, run

WHAT = "CPU per request on one core against nginx on another, 128 connections"


def main() -> None:
    given = options(__doc__, records=1_000_000, pairs=5).parse_args()
    run("engine", WHAT, [ENGINE, go(), AIOHTTP, WRK], given)


if __name__ == "__main__":
    main()
