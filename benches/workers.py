"""Four workers against one, on two cores that they share with the server: CPU per record.

    python benches/workers.py [--records 1000000] [--pairs 5] [--scheme http] [--save FOLDER]

Measured like the whole engine (docs/benchmarks.md), but for the cores: more processes than cores
cost switches and cold caches, and each worker fewer records in a turn of its loop.
"""

from __future__ import annotations

from harness.engine_client import engine
from harness.session import options, run

WHAT = "CPU per record of one worker and of four, on two cores shared with nginx"


def main() -> None:
    parser = options(__doc__, records=1_000_000, pairs=5)
    parser.set_defaults(scheme="http")
    clients = [engine("1 worker", 1), engine("4 workers", 4)]
    run("workers", WHAT, clients, parser.parse_args(), shared=True)


if __name__ == "__main__":
    main()
