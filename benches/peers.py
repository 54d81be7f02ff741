"""Other clients on the same server in the same run: SDKs and batch tools, each as documented.

    python benches/peers.py [--install] [--records 100000] [--pairs 3] [--save FOLDER]

Each lives in an environment of its own under build/peers, made by --install and never a dependency;
what can't be installed is said and left out.
"""

from __future__ import annotations

from harness.engine_client import ENGINE
from harness.loops import AIOHTTP, WRK, go
from harness.packaged import PACKAGED, install
from harness.session import options, run

WHAT = "CPU per request of other clients, on one core against nginx on another"


def main() -> None:
    parser = options(__doc__, records=100_000, pairs=3)
    parser.add_argument("--install", action="store_true", help="make the peers' environments")
    parser.set_defaults(scheme="http")
    given = parser.parse_args()
    reasons = {one.name: install(one) for one in PACKAGED} if given.install else {}
    packaged = [one.client(reasons.get(one.name)) for one in PACKAGED]
    run("peers", WHAT, [ENGINE, go(), AIOHTTP, WRK, *packaged], given)


if __name__ == "__main__":
    main()
