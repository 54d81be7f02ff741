from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from observe.samples import a_snapshot
from penstock.observe import pieces


def test_progress_is_given_in_rows_and_percent() -> None:
    assert pieces.done_words(a_snapshot()) == "612/1,000 61 %"


def test_without_a_total_only_rows_are_given() -> None:
    snapshot = a_snapshot(total=None, eta_seconds=None)
    assert pieces.done_words(snapshot) == "612 rows"
    assert pieces.done_share(snapshot) == 0.0
    assert pieces.eta_words(snapshot) == "1:01 so far"


def test_an_empty_run_is_done() -> None:
    assert pieces.done_share(a_snapshot(total=0, done=0)) == 1.0


def test_the_eta_gives_way_to_the_time_taken_at_the_end() -> None:
    assert pieces.eta_words(a_snapshot()) == "ETA 40 s"
    assert pieces.eta_words(a_snapshot(phase="exporting")) == "1:01 so far"
    assert pieces.eta_words(a_snapshot(phase="done")) == "in 1:01"


def test_failures_are_listed_most_frequent_first() -> None:
    assert list(pieces.failures(a_snapshot())) == [
        "3 failed",
        "invalid_request 2",
        "content_filter 1",
    ]
    assert list(pieces.failures(a_snapshot(failed=0, failed_by_class={}))) == []


@given(st.lists(st.text("ab", min_size=1, max_size=30)), st.integers(1, 100))
def test_flow_keeps_every_piece_in_order_and_within_the_width(parts: list[str], width: int) -> None:
    lines = pieces.flow(parts, width)
    assert all(len(line) <= width for line in lines)
    found = [piece for line in lines for piece in line.split(pieces.SEPARATOR)]
    fitted = [part if len(part) <= width else part[: width - 1] + "…" for part in parts]
    assert found == fitted


def test_dollars_stand_beside_the_tokens_where_a_price_is_known() -> None:
    assert "$" not in "".join(pieces.usage(a_snapshot()))
    assert "$1.25" in pieces.usage(a_snapshot(cost_usd=1.25))
    assert "$1.25 of $5.00" in pieces.usage(a_snapshot(cost_usd=1.25, budget_usd=5.0))
