"""Dollars are written down before they may be spent, and what may be lost is written as spent."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from engine.limiters import slab
from ledger.ledger_disk import RecordingDisk, failing
from ledger.ledger_rows import RUN, run_directory
from penstock._core import Slab
from penstock.engine.messages import Funds, Grant, Prices
from penstock.engine.quotas import Used
from penstock.engine.rates import Rates, pusd
from penstock.engine.stopping import Stopped
from penstock.engine.treasury import Treasury, used_of
from penstock.errors import EXIT_INTERNAL, EXIT_LIMIT
from penstock.job import Job
from penstock.ledger.account import Account
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.spending import Spending, read_spending
from penstock.observe.slab_layout import C
from penstock.observe.tally import Tally

DOLLAR = pusd(1.0)


class Worker:
    """What the treasury needs of a worker: its slab, and a way to tell it something."""

    def __init__(self, number: int, run_dir: RunDirectory) -> None:
        self.number = number
        self.slab: Slab = slab()
        self.granted: list[int] = []
        self.written_by_then: list[int] = []  # what may be spent at most, as it is on the disk
        self._run_dir = run_dir

    def send(self, message: msgspec.Struct) -> None:
        assert isinstance(message, Grant)
        self.granted.append(message.amount)
        self.written_by_then.append(read_spending(self._run_dir, RUN).at_most)


class Scene:
    """A treasury of one dollar, with workers that have said hello."""

    def __init__(
        self, tmp_path: Path, *, workers: int = 1, spent_before: int = 0, fails: str = ""
    ) -> None:
        self.run_dir = run_directory(tmp_path)
        self.account = Account()
        self.stopped: list[Stopped] = []
        self.ended: list[asyncio.Task[None]] = []
        rates = Rates(1, 1, 1, 1, 1)
        self.treasury = Treasury(
            RecordingDisk(failing(fails, "spending.json") if fails else None),
            self.run_dir,
            RUN,
            self.account,
            Job(budget_usd=1.0),
            Prices({"m": rates}, rates, True),
            spent_before,
        )
        tally = Tally()
        self.treasury.attend(
            tally,
            on_price=lambda words: None,
            on_stop=self.stopped.append,
            on_end=self.ended.append,
        )
        self.workers = [Worker(number, self.run_dir) for number in range(1, workers + 1)]
        for one in self.workers:
            tally.attach(one.number, one.slab)
            self.treasury.join(one.number)

    async def look_around(self) -> None:
        self.treasury.look_around(self.workers)  # type: ignore[arg-type]
        await asyncio.sleep(0)
        while self.treasury._granting is not None:  # noqa: ASYNC110  # a thread writes
            await asyncio.sleep(0.001)

    async def record(self) -> Spending:
        await self.treasury.record(self.workers)  # type: ignore[arg-type]
        return read_spending(self.run_dir, RUN)


def test_a_grant_is_on_the_disk_before_anybody_is_told_of_it(tmp_path: Path) -> None:
    async def main() -> None:
        scene = Scene(tmp_path, workers=2, spent_before=7)
        for one in scene.workers:
            scene.treasury.ask(one.number, Funds(100, 1000, 0))
        await scene.look_around()
        assert [one.granted for one in scene.workers] == [[1000], [1000]]
        assert [one.written_by_then for one in scene.workers] == [[2007], [2007]]

    asyncio.run(main())


def test_what_can_not_be_written_down_is_not_granted(tmp_path: Path) -> None:
    async def main() -> None:
        scene = Scene(tmp_path, fails="rename")
        scene.treasury.ask(1, Funds(100, 1000, 0))
        await scene.look_around()
        assert scene.workers[0].granted == []
        assert [one.exit_code for one in scene.stopped] == [EXIT_INTERNAL]

    asyncio.run(main())


def test_what_is_in_flight_is_written_down_as_spent(tmp_path: Path) -> None:
    """Should everything die now, nobody could tell what of it is billed."""

    async def main() -> None:
        scene = Scene(tmp_path, spent_before=7)
        worker = scene.workers[0]
        worker.slab.add(C.SPENT_PUSD, 500)
        worker.slab.add(C.OPEN_PUSD, 300)
        assert (await scene.record()).beyond_rows == 807
        scene.account.paid_usd = 600 / DOLLAR  # by rows, which carry their cost
        assert (await scene.record()).beyond_rows == 207

    asyncio.run(main())


def test_what_a_dead_worker_had_in_flight_stays_spent(tmp_path: Path) -> None:
    async def main() -> None:
        scene = Scene(tmp_path)
        (worker,) = scene.workers
        scene.treasury.ask(1, Funds(100, 1000, 0))
        await scene.look_around()
        worker.slab.add(C.SPENT_PUSD, 200)
        worker.slab.add(C.OPEN_PUSD, 300)
        assert used_of(worker) == Used(200, 300)  # type: ignore[arg-type]
        scene.treasury.bury(1, used_of(worker))  # type: ignore[arg-type]
        scene.workers.clear()
        assert (await scene.record()).at_most == 500

    asyncio.run(main())


@pytest.mark.parametrize(("open_pusd", "codes"), [(0, [EXIT_LIMIT]), (DOLLAR // 2, [])])
def test_a_budget_ends_the_run_only_once_nothing_is_in_flight(
    tmp_path: Path, open_pusd: int, codes: list[int]
) -> None:
    """What is may turn out cheaper than was predicted."""

    async def main() -> None:
        scene = Scene(tmp_path)
        (worker,) = scene.workers
        scene.treasury.ask(1, Funds(DOLLAR, DOLLAR, 0))
        await scene.look_around()
        assert worker.granted == [DOLLAR]
        worker.slab.add(C.SPENT_PUSD, DOLLAR - open_pusd)
        worker.slab.add(C.OPEN_PUSD, open_pusd)
        scene.treasury.ask(1, Funds(5, 5, 0))
        for _ in range(3):
            await scene.look_around()
        assert worker.granted == [DOLLAR, 0]
        assert [one.exit_code for one in scene.stopped][:1] == codes

    asyncio.run(main())
