"""The judge of a simulated world: what may be sent, written, lost and bought twice.

It knows what is on the disk better than the run does, and holds every request against that.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from penstock._core import Sending
from penstock.engine.retry import HEAP_PER_SLOT
from penstock.errors import EXIT_PROVIDER
from penstock.ledger.recovery import survey
from penstock.ledger.rows import RowSet
from penstock.ledger.segment_reader import SegmentReader
from torture.world.machine import Process
from torture.world.provider import UNAUTHORIZED, Exchange, answer

if TYPE_CHECKING:
    from torture.world.run import World
    from torture.world.worker import Hand

T = TypeVar("T")

WRITTEN_WITHIN_NS = 350_000_000  # and two beats: an answer is on the disk


def judged(method: Callable[..., T]) -> Callable[..., T]:
    """What a rule says of a process fails the test, whatever the process makes of the exception."""

    @wraps(method)
    def judge(self: Judge, *args: Any) -> T:
        try:
            return method(self, *args)
        except AssertionError as error:
            self._machine.complaints.append(str(error))
            raise

    return judge


class Judge:
    """One for each world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._plot, self._machine, self._provider = world.plot, world.machine, world.provider
        self.on_disk: set[int] = set()  # rows in a batch that is whole
        self.perhaps: set[int] = set()  # rows whose process died while it wrote them
        self._allowed = 0  # copies that the blows explain

    @judged
    def received(self, hand: Hand, row: int, sending: Sending) -> Exchange:
        """A worker sent a request: may it?"""
        now_ns, limiter = self._machine.now_ns, sending.traffic.tickets.limiter
        assert hand.process.alive, f"{hand.name} is dead"
        assert row not in self.on_disk, f"row {row} is asked for though it is on the disk"
        assert now_ns >= limiter.paused_until(), f"row {row} is asked for in a pause"
        binding = (one for one in self._provider.buckets if one.limit is not None)
        late_ns = min((bucket.late_ns for bucket in binding), default=now_ns)
        # A slower limit that was found may be in force, over a longer window: it allows for more.
        is_valid = now_ns - sending.charged_ns <= late_ns or limiter.valid(
            sending.charged_ns, limiter.generation, now_ns
        )
        assert is_valid, f"row {row} has a ticket that is void"
        predicted = sending.input_tokens, sending.output_tokens
        exchange = self._provider.receive(hand, row, now_ns, predicted)
        self._machine.note("sent", hand.name, row)
        if self._provider.outage_kind == UNAUTHORIZED:
            self._world.excused.add(EXIT_PROVIDER)
        hand.sends(row)
        assert len(self._provider.open) <= self._plot.slots + 1, "more in flight than slots"
        assert hand.worker is not None
        waiting = hand.worker._work.retry_waiting
        assert waiting <= (HEAP_PER_SLOT + 1) * hand.slots, f"{waiting} on the heap"
        return exchange

    @judged
    def wrote(self, hand: Hand, rows: list[int]) -> None:
        """A batch is whole on the disk."""
        again = self.on_disk.intersection(rows)
        assert not again, f"rows {again} are written again"
        self.on_disk.update(rows)
        for row in rows:
            hand.unwritten.pop(row, None)

    @judged
    def dies(self, process: Process) -> None:
        """A process is about to be killed: what may be lost by that?"""
        hand = next((one for one in self._world.living if one.process is process), None)
        if hand is None:
            return
        self._allowed += sum(one.hand is hand for one in self._provider.open.values())
        self._allowed += len(hand.unwritten)
        within_ns = WRITTEN_WITHIN_NS + int(2e9 * self._plot.beat_seconds)
        quick = not process.was_stopped and self._plot.disk_seconds < 0.1
        for row, since_ns in hand.unwritten.items():
            age_ns = self._machine.now_ns - since_ns
            late = quick and age_ns > within_ns
            assert not late, f"row {row} was answered {age_ns / 1e9} s ago and is not written"
        hand.unwritten.clear()

    @judged
    def ended(self, hand: Hand) -> None:
        for exchange in [one for one in self._provider.open.values() if one.hand is hand]:
            self._provider.ended(exchange)
        assert not hand.unwritten, f"{hand.name} ended and left {hand.unwritten} unwritten"

    def check_end(self) -> None:
        """Every row ended once, as it must; what was bought twice is explained."""
        plot = self._plot
        endings: dict[int, tuple[str, str]] = {}
        for name in self._world.run_dir.segment_sizes():
            for found in SegmentReader(self._world.run_dir.segment_path(name), self._world.run_id):
                columns = ("row", "error_class", "output")
                values = [found.batch.column(column).to_pylist() for column in columns]
                for row, error_class, output in zip(*values, strict=True):
                    assert row not in endings, f"row {row} ended twice"
                    endings[row] = error_class or "", output
        assert sorted(endings) == list(range(plot.rows))
        for row, (error_class, output) in endings.items():
            must = plot.must_end(row)
            assert error_class == must, f"row {row} ended as {error_class!r}, not as {must!r}"
            assert must or output == answer(row), f"row {row} has the answer {output!r}"
        self._provider.check_limits()
        twice = sum(self._provider.bought.values()) - len(self._provider.bought)
        assert twice <= self._allowed, f"{twice} answers were bought twice, {self._allowed} may be"

    # --- the ledger -------------------------------------------------------------------------------

    @judged
    def recovered(self, done: RowSet) -> None:
        """A new supervisor has found out what there is."""
        found = self._rows_of(done)
        assert self.on_disk <= found, f"recovery does not find {self.on_disk - found}"
        assert found <= self.on_disk | self.perhaps, f"recovery finds {found - self.on_disk}"
        self.on_disk = found

    def power_is_back(self, told: RowSet) -> None:
        """What was told as committed is there; all else may be."""
        kept, committed = set(), self._rows_of(told)
        run_dir = self._world.run_dir
        if run_dir.exists():
            kept = self._rows_of(survey(run_dir, self._world.run_id).account.done_in(0))
        lost = committed - kept
        assert not lost, f"rows {lost} were told as committed and did not last"
        self._allowed += len(self.on_disk - kept)
        self.on_disk = kept

    def _rows_of(self, done: RowSet) -> set[int]:
        return {row for row in range(self._plot.rows) if row in done}
