"""What tests of several rooms share: simulated providers, and real servers where there are any."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from penstock.simulator import Settings, SimulatorProcess, spawn

Simulate = Callable[..., SimulatorProcess]

# How long an example takes says how busy the machine is.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


@pytest.fixture
def simulate() -> Iterator[Simulate]:
    """Starts a provider with the given settings in a process of its own, stopped after the test."""
    with ExitStack() as running:
        yield lambda **settings: running.enter_context(spawn(Settings(**settings)))


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("torture")
    group.addoption("--long", action="store_true", help="the long form of every torture")
    group.addoption("--seed", type=int, help="play this seed alone")
    group.addoption("--figures", type=Path, help="write what was done to this file, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    for server in ("nginx", "prometheus"):
        config.addinivalue_line("markers", f"requires_{server}: needs a real {server}")
    config.addinivalue_line("markers", "seeds(short, long): how many seeds a test plays")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a server that isn't installed; where none may be missing, fail instead."""
    needs: dict[str, tuple[str, ...]] = {
        "requires_nginx": ("nginx",),
        "requires_prometheus": ("prometheus", "promtool"),
    }
    for marker, programs in needs.items():
        missing = [name for name in programs if find(name) is None]
        if item.get_closest_marker(marker) is None or not missing:
            continue
        reason = f"{', '.join(missing)} is not installed"
        if os.environ.get("PENSTOCK_REQUIRE_SERVERS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


def find(program: str) -> str | None:
    """A program's path; Debian keeps servers where a user's PATH does not look."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    return shutil.which(program, path=path)
