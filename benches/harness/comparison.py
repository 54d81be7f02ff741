"""Clients against one server in one run: taken in turns, with two run lengths each.

What does not grow with the requests (starting, ending) is in both lengths and drops out of their
difference. In each pair every client has its turn, in every second pair in the opposite order, so
that a machine that slows down slows them all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from harness.client import Client, Task
from harness.nginx import Nginx, Wire
from harness.usage import Usage, measured

LEAST = 200  # requests of the short run: every connection is used
LOOK = 1280  # requests by which a client's bytes on the wire are looked at


class Plan(msgspec.Struct, frozen=True):
    """`records`: by how many requests the two lengths of Go and the engine differ."""

    records: int
    pairs: int
    tls: bool
    engine_cores: set[int]
    server_cores: set[int]

    def lengths(self, client: Client) -> tuple[int, int]:
        """The short and the long run of a client."""
        more = max(LEAST * 5, round(self.records / client.weight))
        short = max(LEAST, more // 10)
        return short, short + more


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One measured run, raw."""

    pair: int
    client: str
    tls: bool
    requests: int  # as nginx counted them
    usage: Usage


class Miscounted(Exception):
    """Raised when the server saw another number of requests than the client was to make."""


def take(plan: Plan, server: Nginx, client: Client, folder: Path, pair: int, requests: int) -> Run:
    """Measure one run of one client. Raises RunFailed, Miscounted."""
    before = server.served()
    usage = one(plan, server, client, folder, requests, logged=False)
    served = server.served() - before - 1
    if client.exact and served != requests:
        raise Miscounted(f"{client.name} was to make {requests} requests; nginx saw {served}")
    return Run(pair=pair, client=client.name, tls=plan.tls, requests=served, usage=usage)


def one(
    plan: Plan, server: Nginx, client: Client, folder: Path, requests: int, *, logged: bool
) -> Usage:
    url = server.url(tls=plan.tls, logged=logged)
    task = Task(url, requests, server.ca_file if plan.tls else None, folder)
    prepared = client.prepare(task)
    return measured(
        prepared.command,
        cores=plan.engine_cores,
        accountant_cores=plan.server_cores,
        environment=prepared.environment,
        mark=prepared.mark,
    )


def on_the_wire(plan: Plan, server: Nginx, client: Client, folder: Path) -> Wire:
    """What a client's requests look like to the server."""
    one(plan, server, client, folder, LOOK, logged=True)
    return server.wire()


def compare(
    plan: Plan,
    server: Nginx,
    clients: Sequence[Client],
    folder: Path,
    tell: Callable[[Run], None],
) -> list[Run]:
    """All runs of all pairs, in the order in which they were taken."""
    runs: list[Run] = []
    for pair in range(plan.pairs):
        for client in clients if pair % 2 == 0 else reversed(clients):
            for requests in plan.lengths(client):
                runs.append(take(plan, server, client, folder, pair, requests))
                tell(runs[-1])
    return runs
