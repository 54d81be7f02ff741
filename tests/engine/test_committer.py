"""When results are written, synced and told, and what happens when the disk fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pyarrow as pa
import pytest

from engine.virtual_time import Clock, VirtualLoop
from penstock.engine.committer import (
    BATCH_BYTES,
    BATCH_NS,
    BATCH_RESULTS,
    MOST_UNWRITTEN,
    SYNC_NS,
    Committer,
)
from penstock.errors import LedgerError
from penstock.ledger.mark import ShardMark
from penstock.record import SUCCEEDED, Result

MARK = ShardMark(0, 1000, 7)
BEAT = 0.05


class FakeWriter:
    """A segment writer without a disk; what it tells of are the rows of the batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.shards: list[Sequence[ShardMark]] = []
        self.synced = 0  # batches
        self.syncs = 0
        self.began_with: int | None = None  # batches, when the sync began; None: all of now
        self.write_error: Exception | None = None
        self.sync_error: Exception | None = None
        self.close_error: Exception | None = None

    def write(self, batch: pa.RecordBatch, shards: Sequence[ShardMark]) -> None:
        if self.write_error:
            raise self.write_error
        self.batches.append(batch.column("row").to_pylist())
        self.shards.append(shards)

    def sync(self) -> list[list[int]]:
        self.syncs += 1
        if self.sync_error:
            raise self.sync_error
        before, self.synced = self.synced, self.began_with or len(self.batches)
        return self.batches[before : self.synced]

    def close(self) -> list[list[int]]:
        if self.close_error:
            raise self.close_error
        return self.sync()


class Scene:
    """A committer over a fake writer, and what it said."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.writer = FakeWriter()
        self.told: list[int] = []
        self.failures: list[BaseException] = []
        self.committer = Committer(
            self.writer,  # type: ignore[arg-type]
            self._committed,  # type: ignore[arg-type]
            self.failures.append,
        )

    def _committed(self, written: list[list[int]]) -> None:
        self.told += [row for rows in written for row in rows]

    def add(self, *rows: int, output: str = "", mark: ShardMark = MARK) -> None:
        for row in rows:
            self.committer.add(Result(row=row, outcome=SUCCEEDED, output=output), mark)

    async def beat(self, seconds: float = BEAT, idle: bool = False) -> None:
        for _ in range(round(seconds / BEAT)):
            await asyncio.sleep(BEAT)
            self.committer.tick(self.loop.now_ns, idle)


Play = Callable[[Callable[[Scene], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def play(clock: Clock) -> Play:
    def run(main: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
        async def begin(loop: VirtualLoop) -> None:
            await main(Scene(loop))

        clock.run(begin)

    return run


def test_a_batch_is_written_once_it_has_enough_results(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(*range(BATCH_RESULTS - 1))
        await asyncio.sleep(0)
        assert scene.writer.batches == []
        scene.add(BATCH_RESULTS - 1, BATCH_RESULTS)
        await asyncio.sleep(0.001)
        assert scene.writer.batches == [list(range(BATCH_RESULTS))]

    play(main)


def test_a_batch_is_written_once_it_is_large(play: Play) -> None:
    async def main(scene: Scene) -> None:
        for row in range(3):
            scene.add(row, output="x" * (BATCH_BYTES // 2))
        await asyncio.sleep(0.001)
        assert scene.writer.batches == [[0, 1]]

    play(main)


def test_a_batch_is_written_once_its_first_result_is_old(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(1)
        await scene.beat(BATCH_NS / 1e9 - BEAT)
        assert scene.writer.batches == []
        scene.add(2)
        await scene.beat(2 * BEAT)
        assert scene.writer.batches == [[1, 2]]

    play(main)


def test_an_idle_worker_holds_nothing_back(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(1, 2)
        await scene.beat(4 * BEAT, idle=True)
        assert scene.told == [1, 2]

    play(main)


def test_rows_are_told_only_after_a_sync_and_in_the_order_they_ended(play: Play) -> None:
    async def main(scene: Scene) -> None:
        await scene.beat(SYNC_NS / 1e9)
        for row in range(40):
            scene.add(row)
            await scene.beat()
            assert len(scene.told) <= sum(map(len, scene.writer.batches[: scene.writer.synced]))
        assert scene.writer.syncs == 2  # once a second
        await scene.committer.close()
        assert scene.told == list(range(40))

    play(main)


def test_every_batch_names_the_shards_of_its_own_rows(play: Play) -> None:
    async def main(scene: Scene) -> None:
        first, second = ShardMark(0, 8, 1), ShardMark(8, 8, 2)
        scene.add(9, mark=second)
        scene.add(1, mark=first)
        scene.add(2, mark=first)
        await scene.beat(6 * BEAT)
        scene.add(3, mark=first)
        scene.add(10, mark=second)
        await scene.committer.close()
        assert scene.writer.shards == [[first, second], [first, second]]
        assert scene.writer.batches == [[9, 1, 2], [3, 10]]

    play(main)


def test_one_sync_is_in_flight_and_what_is_written_meanwhile_waits_for_the_next(
    play: Play,
) -> None:
    async def main(scene: Scene) -> None:
        scene.loop.seconds["sync"] = 5.0
        for row in range(300):
            scene.add(row)
            await scene.beat()
            assert scene.loop.submitted["sync"] - scene.writer.syncs <= 1
        assert scene.writer.syncs == 2
        await scene.committer.close()
        assert scene.told == list(range(300))

    play(main)


def test_what_is_written_during_a_sync_is_synced_also_if_nothing_follows(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.loop.seconds["sync"] = 5.0
        scene.add(1)
        await scene.beat(1.5)
        assert scene.loop.submitted["sync"] == 1
        scene.writer.began_with = 1
        scene.add(2)
        await scene.beat(6.0)
        assert scene.told == [1]
        scene.writer.began_with = None
        await scene.beat(6.0)
        assert scene.told == [1, 2]

    play(main)


def test_nothing_new_is_nothing_to_sync(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(1)
        await scene.beat(3.0)
        syncs = scene.writer.syncs
        await scene.beat(60.0)
        assert scene.writer.syncs == syncs == 1

    play(main)


def test_a_slow_disk_is_noticed_and_so_is_its_recovery(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.loop.seconds["write"] = 1.0
        rows = 0
        while not scene.committer.congested:
            scene.add(*range(rows, rows + BATCH_RESULTS))
            rows += BATCH_RESULTS
        assert rows == MOST_UNWRITTEN * BATCH_RESULTS
        await asyncio.sleep(1.5)
        assert not scene.committer.congested
        await scene.committer.close()
        assert scene.told == list(range(rows))

    play(main)


def test_closing_writes_syncs_and_tells_all_also_in_the_middle_of_a_sync(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.loop.seconds |= {"sync": 2.0, "write": 0.3}
        scene.add(1)
        await scene.beat(1.1)
        scene.add(2)
        await scene.committer.close()
        assert scene.told == [1, 2]

    play(main)


def test_an_error_of_a_write_or_a_sync_is_reported_and_nothing_is_told(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.writer.write_error = LedgerError("no space left")
        scene.add(1)
        await scene.beat(1.0)
        assert scene.failures == [scene.writer.write_error]
        scene.writer.write_error = None
        scene.writer.sync_error = LedgerError("I/O error")
        scene.add(2)
        await scene.beat(2.0)
        assert scene.failures[-1] is scene.writer.sync_error
        assert scene.told == []

    play(main)


def test_an_error_at_the_close_is_raised(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.writer.close_error = LedgerError("I/O error")
        scene.add(1)
        with pytest.raises(LedgerError):
            await scene.committer.close()
        assert scene.told == []

    play(main)
