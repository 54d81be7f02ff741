"""One run of a benchmark: cores, a folder, a server, clients; and the result of it."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.client import Client
from harness.comparison import Plan, Run, compare, on_the_wire
from harness.figures import Figure, figures
from harness.machine import machine, versions
from harness.nginx import Nginx, Wire, nginx
from harness.result import Result, now, save
from harness.usage import RunFailed


def options(about: str, *, records: int, pairs: int) -> argparse.ArgumentParser:
    """The options that every comparison has."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--records", type=int, default=records, help="by which two lengths differ")
    parser.add_argument("--pairs", type=int, default=pairs, help="how often each has its turn")
    parser.add_argument("--scheme", choices=("both", "http", "https"), default="both")
    parser.add_argument("--only", help="clients, with commas")
    parser.add_argument("--folder", type=Path, help="where runs are written (a temporary folder)")
    parser.add_argument("--save", type=Path, help="a folder for the result")
    return parser


def cores() -> tuple[set[int], set[int]]:
    """The clients' core and the server's. Exits where there is but one."""
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) < 2:
        sys.exit("two cores are needed: one for the clients, one for the server")
    return {mine[0]}, {mine[1]}


def there(clients: Sequence[Client], only: str | None) -> tuple[list[Client], dict[str, str]]:
    """Those clients that can be had, and why others can't."""
    wanted = [one for one in clients if only is None or one.name in only.split(",")]
    skipped = {one.name: one.missing for one in wanted if one.missing}
    for name, reason in skipped.items():
        print(f"{name} is left out: {reason}", flush=True)
    return [one for one in wanted if not one.missing], skipped


def tell_run(run: Run) -> None:
    cpu = run.usage.cpu_seconds / run.requests * 1e6
    scheme = "https" if run.tls else "http"
    print(
        f"  pair {run.pair} {run.client:<10} {scheme:<5} {run.requests:>9,} requests"
        f" {run.usage.wall_seconds:7.2f} s {cpu:8.1f} us of CPU each, all told",
        flush=True,
    )


def tell_figure(one: Figure, yardstick: str) -> None:
    cpu = one.cpu_microseconds
    ratio = one.ratios.get(yardstick)
    against = f"{ratio.median:6.2f} x {yardstick}" if ratio else ""
    print(
        f"{one.client:<10} {'https' if one.tls else 'http':<5} {cpu.median:8.1f} us a request"
        f" ({cpu.least:.1f} to {cpu.most:.1f}) {against}",
        flush=True,
    )


def run(
    kind: str,
    what: str,
    clients: Sequence[Client],
    given: argparse.Namespace,
    *,
    shared: bool = False,
) -> None:
    """Measure, print, save. `shared`: the clients may use the server's core too, and it theirs."""
    for tool in ("nginx", "openssl"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is not installed; nothing was measured")
    able, skipped = there(clients, given.only)
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        result = Result(
            what=what,
            measured_at=now().isoformat(timespec="seconds"),
            machine=machine(Path(name)),
            versions={**versions(), **{one.name: one.version() for one in able}},
            clients={one.name: one.what for one in able},
            skipped=skipped,
            wire={},
            figures=[],
            runs=[],
        )
        mine, servers = cores()
        both = mine | servers
        measure(result, able, given, Path(name), (both, both) if shared else (mine, servers))
    result.figures = figures(result.runs)
    names = [one.name for one in able]
    for one in result.figures:
        tell_figure(one, "go" if "go" in names else names[0])
    if given.save:
        print(f"saved {save(kind, result, given.save)}")


def measure(
    result: Result,
    clients: Sequence[Client],
    given: argparse.Namespace,
    folder: Path,
    places: tuple[set[int], set[int]],
) -> None:
    """Serve, look at every client, then let them take turns, first without TLS."""
    engine_cores, server_cores = places
    schemes = [False, True] if given.scheme == "both" else [given.scheme == "https"]
    with nginx(folder / "nginx", server_cores) as server:
        for tls in schemes:
            plan = Plan(given.records, given.pairs, tls, engine_cores, server_cores)
            able = [one for one in clients if one.tls or not tls]
            wire, failed = look(plan, server, able, folder)
            result.wire |= {f"{name}{' (TLS)' * tls}": seen for name, seen in wire.items()}
            result.skipped |= failed
            able = [one for one in able if one.name not in failed]
            result.runs += compare(plan, server, able, folder, tell_run)


def look(
    plan: Plan, server: Nginx, clients: Sequence[Client], folder: Path
) -> tuple[dict[str, Wire], dict[str, str]]:
    """What each client sends, and which ones fail: an optional peer that fails is left out."""
    wire: dict[str, Wire] = {}
    failed: dict[str, str] = {}
    for client in clients:
        try:
            wire[client.name] = on_the_wire(plan, server, client, folder)
        except RunFailed as error:
            if not client.optional:
                raise
            failed[client.name] = str(error).strip().splitlines()[-1]
            print(f"{client.name} is left out, since it failed:\n{error}", flush=True)
    return wire, failed
