from __future__ import annotations

import mmap

import pytest

from penstock._core import Slab
from penstock.observe.slab_layout import (
    ERROR_CLASSES,
    REQUESTS_FIRST,
    RETRIES_FIRST,
    STARTED_FIRST,
    STATUS_CLASSES,
    C,
    H,
    open_slab,
    request_cell,
    retry_cell,
    slab_bytes,
    started_cell,
    started_rows,
    status_class,
)
from penstock.providers.openai_verdicts import RULES


def a_slab(slots: int = 4) -> Slab:
    return open_slab(bytearray(slab_bytes(slots)), 0, slots)


def test_the_named_cells_are_numbered_without_gaps_from_zero() -> None:
    assert [int(cell) for cell in C] == list(range(len(C)))
    assert [int(one) for one in H] == list(range(len(H)))


def test_every_pair_of_status_and_error_class_has_a_cell_of_its_own() -> None:
    status_of = {"2xx": 200, "4xx": 404, "5xx": 503, "transport": -1}
    cells = [request_cell(status_of[s], e) for s in STATUS_CLASSES for e in ERROR_CLASSES]
    assert cells == list(range(REQUESTS_FIRST, RETRIES_FIRST))


def test_retries_and_started_rows_follow_without_overlap() -> None:
    assert [retry_cell(e) for e in ERROR_CLASSES] == list(range(RETRIES_FIRST, STARTED_FIRST))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, "2xx"),
        (299, "2xx"),
        (400, "4xx"),
        (499, "4xx"),
        (500, "5xx"),
        (599, "5xx"),
        (-4, "transport"),
        (0, "transport"),
        (101, "transport"),
        (302, "transport"),
        (600, "transport"),
    ],
)
def test_a_status_has_a_class(status: int, expected: str) -> None:
    assert status_class(status) == expected


def test_a_verdict_without_an_error_class_is_a_success() -> None:
    assert request_cell(200, "") == request_cell(200, "success")


@pytest.mark.parametrize("error_class", sorted({rule[3] for rule in RULES} - {""}))
def test_every_error_class_of_the_verdict_table_has_cells_of_its_own(error_class: str) -> None:
    assert error_class in ERROR_CLASSES


def test_an_error_class_that_is_not_listed_counts_as_unknown() -> None:
    assert request_cell(500, "gremlins") == request_cell(500, "unknown")
    assert retry_cell("gremlins") == retry_cell("unknown")


def test_started_rows_are_those_marked_and_not_cleared() -> None:
    slab = a_slab()
    slab.set(started_cell(0), 1)
    slab.set(started_cell(1), 7_000_000_001)
    slab.set(started_cell(3), 6)
    slab.set(started_cell(3), 0)
    assert started_rows(slab) == [0, 7_000_000_000]


def test_a_slab_is_read_by_another_mapping_of_the_same_memory() -> None:
    with mmap.mmap(-1, slab_bytes(2) + 64) as memory:
        writer, reader = open_slab(memory, 64, 2), open_slab(memory, 64, 2)
        writer.add(C.REQUESTS_SENT, 3)
        writer.record(H.REQUEST_US, 1500)
        writer.set(started_cell(1), 10)
        assert reader.get(C.REQUESTS_SENT) == 3
        assert sum(reader.histogram(H.REQUEST_US)) == 1
        assert started_rows(reader) == [9]
        del writer, reader


def test_a_slab_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError):
        open_slab(bytearray(slab_bytes(4)), 64, 4)
