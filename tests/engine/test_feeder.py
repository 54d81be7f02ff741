"""Reading ahead: what is wanted of the input, in order, and no further than need be."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest

from engine.shards import rows_of, shard, shards
from penstock.engine.feeder import BYTES_AT_ONCE, SHARDS_AT_ONCE, Feeder
from penstock.errors import InputError
from penstock.ledger.mark import ShardMark
from penstock.ledger.rows import RowSet
from penstock.sources.shard import Shard


def feeder(
    source: list[Shard] | Iterator[Shard],
    *,
    known: Mapping[int, ShardMark] = {},
    done: RowSet | None = None,
    limit: int | None = None,
    target: RowSet | None = None,
) -> Feeder:
    return Feeder(iter(source), known, done or RowSet(), limit, target)


def read_all(made: Feeder) -> list[list[int]]:
    """The wanted rows, in the groups in which they came."""

    async def main() -> list[list[int]]:
        found = []
        try:
            while not made.exhausted:
                assert len(found) < 1000, "the input does not end"
                fresh = await made.next()
                found.append([row for _, wanted in fresh for row in rows_of(wanted)])
        finally:
            made.close()
        return found

    return asyncio.run(main())


def flat(groups: list[list[int]]) -> list[int]:
    return [row for group in groups for row in group]


def test_all_rows_come_in_order_in_bounded_groups() -> None:
    made = feeder(shards(100, 2))
    groups = read_all(made)
    assert flat(groups) == list(range(100))
    assert max(map(len, groups)) <= 2 * SHARDS_AT_ONCE
    assert made.rows_read == 100


def test_large_shards_come_few_at_a_time() -> None:
    large = [
        msgspec.structs.replace(one, payload=bytes(BYTES_AT_ONCE // 2)) for one in shards(10, 1)
    ]
    assert max(map(len, read_all(feeder(large)))) == 2


def test_rows_that_are_done_are_left_out() -> None:
    assert flat(read_all(feeder(shards(20, 4), done=RowSet([(0, 9), (11, 13)])))) == [
        9,
        10,
        *range(13, 20),
    ]


@pytest.mark.parametrize("limit", [1, 3, 4, 5, 8, 19, 20, 21])
def test_reading_ends_with_the_limit(limit: int) -> None:
    source = iter(shards(20, 4))
    made = feeder(source, limit=limit)
    assert flat(read_all(made)) == list(range(min(limit, 20)))
    assert made.rows_read == min(limit, 20)
    assert len(list(source)) == max(0, (20 - limit) // 4)


def test_a_limit_below_where_an_earlier_epoch_came_to_leaves_nothing_to_read() -> None:
    assert flat(read_all(feeder(shards(40, 4)[5:], limit=7))) == []


def test_a_redo_reads_its_rows_alone() -> None:
    assert flat(read_all(feeder(shards(40, 4), target=RowSet([(5, 7), (30, 31)])))) == [5, 6, 30]


def test_an_empty_rest_of_the_input_is_exhausted_at_once() -> None:
    made = feeder([])
    assert read_all(made) == [[]]
    assert made.rows_read == 0


def test_a_shard_without_rows_gives_none_and_still_says_where_it_ends() -> None:
    source = [shard(0, 2), shard(2, 0), shard(2, 2)]
    made = feeder(source)
    assert flat(read_all(made)) == [0, 1, 2, 3]
    assert [end.row for end in made.ends] == [2, 2, 4]


def test_a_shard_that_an_earlier_epoch_read_must_be_what_it_was() -> None:
    first, second = shards(8, 4)
    known = {4: ShardMark(4, 4, second.checksum)}
    assert flat(read_all(feeder([first, second], known=known))) == list(range(8))
    changed = shard(4, 4, text="other")
    with pytest.raises(InputError, match="rows 4 to 7"):
        read_all(feeder([first, changed], known=known))
    grown = {4: ShardMark(4, 3, second.checksum)}
    with pytest.raises(InputError, match="rows 4 to 6"):
        read_all(feeder([first, second], known=grown))


def test_an_input_that_fails_raises_what_it_says() -> None:
    def failing() -> Iterator[Shard]:
        yield shard(0, 2)
        raise InputError("the file is gone")

    with pytest.raises(InputError, match="gone"):
        read_all(feeder(failing()))


class InTheThread:
    """An executor whose work is done before anything on the event loop hears of it."""

    def submit(self, work: Any, *args: Any) -> Any:
        from concurrent.futures import Future

        future: Future[Any] = Future()
        future.set_result(work(*args))
        return future


def test_the_input_is_exhausted_only_once_its_last_shards_were_handed_on() -> None:
    async def main() -> None:
        made = feeder(shards(4, 4))
        made._thread = InTheThread()  # type: ignore[assignment]
        reading = asyncio.create_task(made.next())
        await asyncio.sleep(0)
        assert made.rows_read == 4, "the thread has read it all"
        assert not made.exhausted, "a run would look complete before its rows are known"
        assert len(await reading) == 1
        assert made.exhausted

    asyncio.run(main())


def test_closing_ends_a_long_search_for_rows_that_are_not_done() -> None:
    read = 0

    def endless() -> Iterator[Shard]:
        nonlocal read
        while True:
            read += 1
            if read == 1000:
                made.close()
            yield shard(read, 1)

    made = feeder(endless(), done=RowSet([(0, 10**6)]))
    made._thread = InTheThread()  # type: ignore[assignment]
    made._thread.shutdown = lambda **_: None  # type: ignore[method-assign]

    async def main() -> None:
        assert await made.next() == []
        assert not made.exhausted

    asyncio.run(main())
    assert read == 1000
