"""Which endpoint a record goes to: properties of the decision."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.engine.routing import (
    MOST_ON_THE_WAY,
    PATIENCE_NS,
    Standing,
    allowed,
    choose,
    home,
)

STANDINGS = st.builds(
    Standing,
    index=st.just(0),
    busy=st.integers(0, 9),
    places=st.integers(0, 8),
    line=st.integers(0, 3),
    on_the_way=st.integers(0, MOST_ON_THE_WAY + 1),
    turn=st.floats(0, 9),
)


def numbered(found: list[Standing]) -> list[Standing]:
    return [
        Standing(n, one.busy, one.places, one.line, one.on_the_way, one.turn)
        for n, one in enumerate(found)
    ]


@given(st.lists(STANDINGS, max_size=5).map(numbered))
def test_one_that_has_room_is_chosen_if_there_is_one_and_tickets_go_before_turns(
    standings: list[Standing],
) -> None:
    index = choose(standings)
    roomy = [one for one in standings if one.has_room]
    assert (index < 0) is not bool(roomy)
    if index < 0:
        return
    chosen = standings[index]
    assert chosen.has_room
    for other in roomy:
        assert (chosen.line > 0, chosen.turn) <= (other.line > 0, other.turn)


def test_few_are_on_their_way_to_one_endpoint_however_many_places_it_has() -> None:
    """They would be bound to it while it is throttled, or fails."""
    waiting = Standing(0, MOST_ON_THE_WAY, 1000, 0, MOST_ON_THE_WAY, 0.0)
    sent = Standing(1, 900, 1000, 0, 0, 9.0)
    assert choose([waiting]) == -1
    assert choose([waiting, sent]) == 1


@given(
    st.lists(STANDINGS, min_size=1, max_size=4).map(numbered),
    st.integers(-1, 3),
    st.integers(0, 3 * PATIENCE_NS),
    st.booleans(),
)
def test_the_one_that_failed_is_not_asked_before_its_wait_is_over_nor_soon_where_others_live(
    standings: list[Standing], shunned: int, now_ns: int, others_live: bool
) -> None:
    held_ns = PATIENCE_NS
    may = [one.index for one in allowed(standings, shunned, held_ns, now_ns, others_live)]
    others = [one.index for one in standings if one.index != shunned]
    assert [index for index in may if index != shunned] == others
    is_free = now_ns >= held_ns + (PATIENCE_NS if others_live else 0)
    assert (shunned in may) is (is_free and 0 <= shunned < len(standings))


PREFIXES = [b"prefix %d" % n for n in range(2000)]


@pytest.mark.parametrize("weights", [[1.0, 1.0, 1.0], [1.0, 2.0, 5.0]])
def test_prefixes_are_shared_out_by_weight(weights: list[float]) -> None:
    found = Counter(home(prefix, list(enumerate(weights))) for prefix in PREFIXES)
    for index, weight in enumerate(weights):
        assert found[index] / len(PREFIXES) == pytest.approx(weight / sum(weights), abs=0.04)


def test_an_endpoint_that_goes_moves_its_own_prefixes_alone() -> None:
    every = [(0, 1.0), (1, 1.0), (2, 1.0)]
    for prefix in PREFIXES:
        before, after = home(prefix, every), home(prefix, [every[0], every[2]])
        assert before == after or before == 1
