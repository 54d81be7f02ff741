"""Inputs of every format that change between two runs, and in every way during one."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import Simulate
from integration.place import Place, text_rows
from integration.test_changed_inputs import CHANGES, FORMATS, check_change, check_format
from integration.test_inputs import WRITERS


@pytest.fixture(autouse=True)
def only_long(long: bool) -> None:
    if not long:
        pytest.skip("the short form is in tests/integration/test_changed_inputs.py")


@pytest.mark.parametrize("name", [name for name in WRITERS if name not in FORMATS])
def test_an_input_of_any_format_that_changed_is_refused_by_name(tmp_path: Path, name: str) -> None:
    check_format(tmp_path, name)


@pytest.mark.parametrize("name", CHANGES)
def test_an_input_that_changes_in_any_way_during_the_run_is_found_out(
    tmp_path: Path, simulate: Simulate, name: str
) -> None:
    run = Place(tmp_path, text_rows(600))
    check_change(run, simulate(ttft_seconds=0.03, ttft_spread=0.0), name)
