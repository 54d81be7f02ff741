"""What `import penstock` gives, and that it costs nothing until it is used."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import penstock
from penstock import errors

NAMES = {
    "DiskFull",
    "EngineError",
    "InputError",
    "Interrupted",
    "JobError",
    "LedgerError",
    "LimitStopped",
    "OutputError",
    "PenstockError",
    "ProviderStopped",
    "Report",
    "RowMissing",
    "RunDirectoryError",
    "RunLocked",
    "TemplateError",
    "UsageError",
    "__version__",
    "arun",
    "results",
    "run",
}


def test_the_public_names_are_these_and_no_others() -> None:
    assert set(penstock.__all__) == NAMES
    assert sorted(penstock.__all__) == penstock.__all__


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_public_name_is_there_and_documented(name: str) -> None:
    found = getattr(penstock, name)
    assert name == "__version__" or inspect.getdoc(found)


def test_every_error_is_public() -> None:
    raised = {
        name
        for name, one in vars(errors).items()
        if isinstance(one, type) and issubclass(one, Exception)
    }
    assert raised <= NAMES


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'penstock' has no attribute 'nonsense'"):
        penstock.nonsense  # noqa: B018


def test_a_star_gives_the_public_names() -> None:
    given: dict[str, object] = {}
    exec("from penstock import *", given)
    assert given.keys() >= NAMES


def test_importing_penstock_loads_none_of_its_rooms() -> None:
    script = (
        "import sys, penstock\n"
        "sys.exit(' '.join(m for m in sys.modules if m.startswith('penstock.')) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
