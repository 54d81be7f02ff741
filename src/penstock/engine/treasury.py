"""The treasury: prices and dollars of a run, over all its workers.

Which worker may spend how much is decided in `quotas`; here grants are written down and sent, in
that order, and models are looked up in the price list.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

import msgspec

from penstock.disk import Disk
from penstock.engine.messages import Funds, Grant, Price, Prices
from penstock.engine.pricing import asked_models, price_words, rates
from penstock.engine.quotas import Quotas, Used
from penstock.engine.rates import Rates, pusd, usd
from penstock.engine.stopping import Stopped, budget_spent, disk_failed
from penstock.engine.worker_process import WorkerProcess
from penstock.errors import LedgerError
from penstock.job import Job
from penstock.ledger.account import Account
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.spending import Spending, write_spending
from penstock.observe.slab_layout import C
from penstock.observe.tally import Tally


class Treasury:
    """One for each epoch; `prices` is None where nothing of the job has a price."""

    def __init__(
        self,
        disk: Disk,
        run_directory: RunDirectory,
        run_id: str,
        account: Account,
        job: Job,
        prices: Prices | None,
        spent_before: int,
    ) -> None:
        self._disk = disk
        self._run_directory = run_directory
        self._run_id = run_id
        self._account = account
        self._job = job
        self.prices = prices
        self.spent_before = spent_before  # picodollars, by earlier epochs
        self._quotas: Quotas | None = None
        if job.budget_usd is not None:
            self._quotas = Quotas(pusd(job.budget_usd), spent_before)
        self._rates: dict[str, Rates | None] = dict(prices.rates) if prices else {}
        self._lookups: dict[str, asyncio.Task[Rates | None]] = {}
        self._writing = asyncio.Lock()
        self._granting: asyncio.Task[None] | None = None

    def attend(
        self,
        tally: Tally,
        *,
        on_price: Callable[[str], None],
        on_stop: Callable[[Stopped], None],
        on_end: Callable[[asyncio.Task[None]], None],
    ) -> None:
        """Count by these slabs; say what the job's model costs, what stops the run, what ended."""
        self._tally = tally
        self._on_price = on_price
        self._on_stop = on_stop
        self._on_end = on_end

    @property
    def is_priced(self) -> bool:
        """Whether the price of anything is known."""
        return any(self._rates.values())

    # --- prices -----------------------------------------------------------------------------------

    async def rates(self, model: str) -> Rates | None:
        """What a model costs; None where nobody knows."""
        if model in self._rates:
            return self._rates[model]
        if model not in self._lookups:
            self._lookups[model] = asyncio.create_task(asyncio.to_thread(rates, self._job, model))
        found = await asyncio.shield(self._lookups[model])
        if model not in self._rates:
            self._rates[model] = found
            if found is not None:
                self._on_price(price_words(model, found))
        return found

    def setup(self) -> Prices | None:
        """What a worker that starts now is told."""
        if self.prices is None:
            return None
        asked = (self._rates.get(model) for model in asked_models(self._job))
        usual = self.prices.usual or next((found for found in asked if found is not None), None)
        return Prices(dict(self._rates), usual, self.prices.budgeted)

    def answer(self, worker: WorkerProcess, model: str) -> None:
        """Tell a worker what a model costs that its answers name."""
        asyncio.create_task(self._tell(worker, model)).add_done_callback(self._on_end)

    async def _tell(self, worker: WorkerProcess, model: str) -> None:
        """One that nobody knows costs what was asked for."""
        found = await self.rates(model)
        for other in asked_models(self._job) if found is None else ():
            found = found or await self.rates(other)
        worker.send(Price(model, found))

    # --- dollars ----------------------------------------------------------------------------------

    def join(self, worker: int) -> None:
        """A worker started."""
        if self._quotas is not None:
            self._quotas.join(worker)

    def ask(self, worker: int, funds: Funds) -> None:
        """A worker wants more, or gives back."""
        if self._quotas is not None:
            self._quotas.ask(worker, funds.needs, funds.wants, funds.returns)

    def tune(self, budget_usd: float) -> bool:
        """Take another budget; False where the run has none, so that nobody keeps account."""
        if self._quotas is None:
            return False
        self._quotas.tune(pusd(budget_usd))
        self._job = msgspec.structs.replace(self._job, budget_usd=budget_usd)
        return True

    def bury(self, worker: int, used: Used) -> None:
        """A worker is dead."""
        if self._quotas is not None:
            self._quotas.bury(worker, used)

    def look_around(self, workers: Sequence[WorkerProcess]) -> None:
        """Grant what there is to those who ask; where nothing can be bought any more, stop."""
        if self._quotas is None or self._granting is not None:
            return
        used = used_by(workers)
        if grants := self._quotas.grants(used):
            self._granting = asyncio.create_task(self._give(grants, workers))
            self._granting.add_done_callback(self._on_end)
        elif self._quotas.is_over(used) and self._job.budget_usd is not None:
            needed = self._quotas.shortest()
            self._on_stop(budget_spent(self._job.budget_usd, usd(self.spent), usd(needed)))

    async def _give(self, grants: list[tuple[int, int]], workers: Sequence[WorkerProcess]) -> None:
        """Write down what may be spent by then, and only then let it be spent."""
        by_number = {worker.number: worker for worker in workers}
        try:
            if any(amount for _, amount in grants):
                await self.record(workers)
            for number, amount in grants:
                if number in by_number:
                    by_number[number].send(Grant(amount))
        except LedgerError as error:
            self._on_stop(disk_failed(error.what))
        finally:
            self._granting = None

    @property
    def spent(self) -> int:
        """Picodollars that count as spent, over all epochs; what is in flight is not among them."""
        return self.spent_before + self._tally.totals()[C.SPENT_PUSD]

    async def record(self, workers: Iterable[WorkerProcess]) -> None:
        """Write down what is spent beyond the rows' cost, and at most. Raises LedgerError."""
        if self.prices is None:
            return
        async with self._writing:
            totals = self._tally.totals()
            if_all_die = self.spent_before + totals[C.SPENT_PUSD] + totals[C.OPEN_PUSD]
            rows = pusd(self._account.paid_usd) + totals[C.UNTOLD_PUSD]
            at_most = 0 if self._quotas is None else self._quotas.exposed(used_by(workers))
            spending = Spending(self._run_id, max(0, if_all_die - rows), at_most)
            await asyncio.to_thread(write_spending, self._disk, self._run_directory, spending)


def used_by(workers: Iterable[WorkerProcess]) -> dict[int, Used]:
    """What the slabs of workers say."""
    return {worker.number: used_of(worker) for worker in workers}


def used_of(worker: WorkerProcess) -> Used:
    # Open first: what is settled between the two readings is then counted twice, and never missed.
    open_pusd = worker.slab.get(C.OPEN_PUSD)
    return Used(worker.slab.get(C.SPENT_PUSD), open_pusd)
