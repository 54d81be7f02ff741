"""What need not be bought is found or deferred, and a row is asked if nobody else asks the same."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest

from ledger.ledger_rows import RUN, answer, put, run_directory
from penstock._core import Claims
from penstock.disk import Disk
from penstock.engine.results import taken
from penstock.engine.unbought import Unbought
from penstock.errors import LedgerError
from penstock.ledger.known import Shelf
from penstock.ledger.shelving import own_shelf
from penstock.record import DUPLICATE, REUSED, Record

HASH = "0123456789abcdef" * 2
OTHER = "f123456789abcdef" * 2


def claims() -> Claims:
    return Claims(mmap.mmap(-1, Claims.bytes_needed()), 0)


def test_the_first_of_those_who_ask_the_same_is_asked_in_every_worker() -> None:
    shared = claims()
    one, other = Unbought((), shared, 0), Unbought((), shared, 0)
    assert one.claim(HASH) and not other.claim(HASH) and not one.claim(HASH)
    assert other.claim(OTHER)
    assert one.find(HASH) is None


def test_in_the_next_turn_claims_begin_anew_and_what_was_asked_is_found(tmp_path: Path) -> None:
    place, shared = run_directory(tmp_path), claims()
    one, late = Unbought((), shared, 0), Unbought((), shared, 1)
    assert one.claim(HASH) and one.claim(OTHER)
    one.defer(7)
    one.defer(9)
    assert one.take_deferred() == [7, 9] and one.take_deferred() == []
    put(place, [answer(3, request_hash=HASH)])
    one.know(own_shelf(Disk(), place, RUN, 0), 1)
    found = one.find(HASH)
    assert found == (answer(3, request_hash=HASH), DUPLICATE)
    assert one.find(OTHER) is None  # its worker died
    assert late.claim(OTHER) and not one.claim(OTHER)


def test_without_dedupe_everybody_is_asked_what_is_not_known(tmp_path: Path) -> None:
    alone = Unbought((), None, 0)
    assert alone.claim(HASH) and alone.claim(HASH)
    gone = Shelf(str(tmp_path / "none"), [], REUSED)
    with pytest.raises(LedgerError, match="has to stay where it is"):
        Unbought([gone], None, 0)


def test_a_result_that_is_taken_is_the_rows_own_and_costs_nothing() -> None:
    found = answer(3, request_hash=HASH, response="{}", model="m", endpoint="h", generation=2)
    record = Record(row=8, where="a:9", id="r-8")
    result = taken(record, found, REUSED, generation=0, finished_at=5, keep="failed")
    assert (result.row, result.id, result.source, result.generation) == (8, "r-8", REUSED, 0)
    assert (result.output, result.model, result.endpoint) == (found.output, "m", "h")
    assert (result.attempts, result.input_tokens, result.cost_usd) == (0, None, 0.0)
    assert result.response is None and result.request_hash == HASH
    free = answer(3, cost_usd=None, response="{}")
    kept = taken(record, free, DUPLICATE, generation=0, finished_at=5, keep="always")
    assert (kept.response, kept.cost_usd) == ("{}", None)
