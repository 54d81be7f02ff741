"""A client to be measured: how it is got ready, and the command that makes so many requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

CONNECTIONS = 128


class Task(NamedTuple):
    """What a client is to do."""

    base_url: str
    requests: int
    ca_file: Path | None  # None: without TLS
    folder: Path  # its own, on the disk that is measured

    @property
    def tls(self) -> bool:
        return self.ca_file is not None


class Prepared(NamedTuple):
    """A command, and what goes with it."""

    command: list[str]
    environment: Mapping[str, str] = {}
    mark: str | None = None  # the file that begins the part that is told apart


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """A client by name. `weight` is how many times slower than Go it is about: it gets fewer
    requests, so that all runs take about as long. `exact`: it makes as many requests as it is told.
    `missing` says why it can't be had here."""

    name: str
    what: str
    prepare: Callable[[Task], Prepared]
    version: Callable[[], str]
    weight: float = 1.0
    tls: bool = True
    exact: bool = True
    optional: bool = False  # left out where it fails
    missing: str | None = None
