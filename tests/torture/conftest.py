"""What tries to break Penstock: in a short form with every run of the tests, in a long one alone.

`--long` asks for the long form, `--seed N` for one seed of every test that takes seeds: that is how
a failing one is played again. What was done is counted in `figures`, and summed up at the end.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import pytest

Figures = Callable[..., None]

KEY: Final = "figure:"


@pytest.fixture(scope="session")
def long(pytestconfig: pytest.Config) -> bool:
    """Whether the long form was asked for."""
    return bool(pytestconfig.getoption("--long"))


@pytest.fixture
def figures(record_property: Callable[[str, object], None]) -> Figures:
    """Counts what a test did: `figures(kills=3)`. Equal names are added up over all tests."""

    def count(**counts: int) -> None:
        for name, number in counts.items():
            record_property(KEY + name, number)

    return count


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with an argument `seed` is marked with how many it plays: `seeds(short, long)`."""
    if "seed" in metafunc.fixturenames:
        short, long = metafunc.definition.get_closest_marker("seeds").args
        metafunc.parametrize("seed", seeds(metafunc.config, short, long))


def seeds(config: pytest.Config, short: int, long: int) -> list[int]:
    """The seeds that a test is to play."""
    one = config.getoption("--seed")
    if one is not None:
        return [one]
    return list(range(long if config.getoption("--long") else short))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say what was done, by all processes together."""
    total: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            counted = getattr(report, "when", "") == "call"  # setup and teardown repeat them
            for name, number in report.user_properties if counted else ():
                if name.startswith(KEY):
                    total[name.removeprefix(KEY)] += number
    if not total:
        return
    terminalreporter.section("torture")
    for name, number in sorted(total.items()):
        terminalreporter.write_line(f"{number:>12,}  {name.replace('_', ' ')}")
    path = config.getoption("--figures")
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(dict(sorted(total.items())), indent=2) + "\n")
