from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.simulator.stats import MAX_LISTED, Busiest, Listed


@given(st.integers(1, 30), st.lists(st.integers(0, 10), max_size=60))
def test_the_busiest_window_is_found_wherever_it_begins(width_ns: int, gaps_ns: list[int]) -> None:
    busiest, now_ns, times = Busiest(width_ns), 0, []
    for gap_ns in gaps_ns:
        now_ns += gap_ns
        busiest.add(now_ns)
        times.append(now_ns)
    most = max((sum(end - width_ns < one <= end for one in times) for end in times), default=0)
    assert busiest.most == most


def test_a_list_counts_all_and_shows_the_first_thousand() -> None:
    listed = Listed()
    for key in range(MAX_LISTED + 5):
        listed.add(key, f"text {key}")
        listed.add(key, f"text {key}")
    assert len(listed.times) == MAX_LISTED + 5
    assert listed.texts == [f"text {key}" for key in range(MAX_LISTED)]
