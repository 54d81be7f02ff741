"""Isolation: the rows that a crash accuses, asked for in a worker of their own.

Which rows those are and when one is condemned is decided in `blame`; here it is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from penstock.engine import blame
from penstock.engine.books import Books
from penstock.engine.crew import Crew
from penstock.engine.leases import Grant
from penstock.engine.leasing import Leasing
from penstock.engine.messages import Drain
from penstock.engine.worker_process import WorkerProcess
from penstock.observe import events


class Isolation:
    """The quarantine, and the worker that keeps it."""

    def __init__(
        self, books: Books, crew: Crew, leasing: Leasing, tell: Callable[[events.Event], None]
    ) -> None:
        self._books = books
        self._crew = crew
        self._leasing = leasing
        self._tell = tell
        self._quarantine = blame.Quarantine()

    def __bool__(self) -> bool:
        return bool(self._quarantine)

    def accuse(self, left: Iterable[Grant], rows: Iterable[int], cause: str) -> list[Grant]:
        """Put `rows` of a crashed worker's leases under suspicion; returns the leases without."""
        accused, innocent = set(rows), []
        for grant in left:
            guilty, free = blame.parted(grant.wanted, accused)
            self._quarantine.accuse(grant, guilty)
            for row, _ in guilty[:1]:
                self._tell(events.RowQuarantined(row=row, cause=cause))
            if free:
                innocent.append(grant.of(free))
        return innocent

    async def tend(self) -> None:
        """Ask for suspected rows in a worker of their own; end it when there are none."""
        keeper = self._crew.keeper
        if keeper is not None and keeper.gone:
            return  # it is judged first, by the rows that it had
        current = self._quarantine.current
        if current is not None and not self._books.missing(current.wanted):
            self._quarantine.cleared()
        suspects = self._quarantine.next()
        if suspects is None:
            if keeper is not None and not self._quarantine:
                keeper.send(Drain(0.0))
        elif keeper is None:
            await self._crew.start_keeper()
        elif keeper.ready:
            self._ask(keeper, suspects)

    def greet(self, keeper: WorkerProcess) -> None:
        """The quarantine's worker is ready for the rows that it was started for."""
        if self._quarantine.current is not None:
            self._ask(keeper, self._quarantine.current)

    def judge(self, crashed: bool, cause: str) -> None:
        """The quarantine's worker ended: find out whom its end accuses."""
        current = self._quarantine.current
        if current is None:
            return
        undone = self._books.missing(current.wanted)
        if not crashed:
            self._quarantine.interrupted(undone)
            return
        condemned = self._quarantine.crashed(undone)
        if condemned is not None:
            row = condemned.wanted[0][0]
            reason = f"{condemned.grant.shard.file}: the row alone crashed a worker twice ({cause})"
            self._tell(events.Warned(message=f"row {row}: {reason}"))
            self._leasing.table.condemn(condemned.grant.shard, row, reason)

    def _ask(self, keeper: WorkerProcess, suspects: blame.Suspects) -> None:
        self._leasing.grant_to(keeper.number, suspects.grant.shard, suspects.wanted)
