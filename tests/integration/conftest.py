"""Whole runs: real processes, real connections, and files to look at afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from integration.place import Place, text_rows

MakePlace = Callable[[int], Place]


@pytest.fixture
def place(tmp_path: Path) -> MakePlace:
    """Makes the folder of a run over so many rows."""
    return lambda rows: Place(tmp_path, text_rows(rows))
