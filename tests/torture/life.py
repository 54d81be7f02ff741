"""A ledger's whole life in one process, always the same: what faults and power losses are put to.

The run is opened as the command opens it; what workers would do, and how they die, is done here one
step after the other. Whatever was promised on the way is written down, so that it can be held
against what is there after a crash.
"""

from __future__ import annotations

import asyncio
import errno
import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from ledger.ledger_rows import answer, dead
from penstock.disk import Disk, failure
from penstock.engine import redo
from penstock.engine.opening import OpenRun, open_run
from penstock.errors import InputError, LedgerError
from penstock.job import Job
from penstock.ledger.export import export
from penstock.ledger.mark import ShardMark
from penstock.ledger.schema import batch_of
from penstock.ledger.segment import SegmentWriter
from penstock.ledger.summary import write_summary
from penstock.ledger.verify import verify
from penstock.ledger.written import Written
from penstock.observe.report import Report
from penstock.record import Result
from penstock.sources.inputs import Inputs
from penstock.sources.objects import spool_table
from penstock.sources.shard import Shard, check_unchanged
from torture.power_loss import RecordingSystem

ROWS: Final = 40
PIECE_ROWS: Final = 4
FORMATS: Final = (".parquet", ".arrow", ".csv")
OUTPUTS: Final = {
    f"out{suffix}{end}" for suffix in (".jsonl", *FORMATS) for end in ("", ".failed.jsonl")
}
WHEN: Final = datetime(2026, 3, 1, tzinfo=UTC)
TABLE: Final = pa.table(
    {"id": [f"t-{n}" for n in range(9)], "text": [f"said {n}" for n in range(9)]}
)


class Promises:
    """What was told to someone, and must hold from then on whatever happens."""

    def __init__(self) -> None:
        self.told: set[tuple[int, int]] = set()  # rows told as committed: generation, row
        self.leased: dict[int, bytes] = {}  # shards, by first row
        self.redos: set[int] = set()  # generations told as begun
        self.exported: set[str] = set()  # outputs told as written

    def copy(self) -> Promises:
        made = Promises()
        made.told, made.leased = set(self.told), dict(self.leased)
        made.redos, made.exported = set(self.redos), set(self.exported)
        return made


class Life:
    """The life of the run in `folder`, as far as it comes."""

    def __init__(self, folder: Path, promises: Promises | None = None) -> None:
        self.folder = folder
        self.output = folder / "out.jsonl"
        self.run_dir = folder / "out.jsonl.run"
        self.promises = promises or Promises()
        self.bought: dict[tuple[int, int], set[str | None]] = defaultdict(set)
        self.promised: Callable[[], None] = lambda: None  # called after each promise
        self._purchases = 0
        self.rows = [{"id": f"r-{n}", "text": f"text {n}, " + "x" * (n % 5)} for n in range(ROWS)]
        self.input = "".join(json.dumps(row) + "\n" for row in self.rows).encode()
        self.job = Job(
            inputs=("-",),
            output=str(self.output),
            base_url="http://127.0.0.1:1/v1",
            model="m",
            prompt="{{ text }}",
            workers=1,
            max_concurrency=2,
        )

    def live(self) -> None:
        """From the first command to the end of a redo; workers die on the way."""
        self.first_epoch()
        self.complete()
        self.export_all()
        self.redo()
        self.complete()

    def finish(self) -> None:
        """The same command, after whatever happened; and what then must be true."""
        self.complete()
        self.check_output()
        found = verify(self.run_dir)
        assert found.ok, found.problems
        assert not found.missing
        left = {path.name for path in self.folder.iterdir()} - {self.run_dir.name}
        if left - OUTPUTS:  # of another format: its next export removes it
            self.export_all()
            left = {path.name for path in self.folder.iterdir()} - {self.run_dir.name}
        assert left <= OUTPUTS, f"left behind: {sorted(left - OUTPUTS)}"
        odd = [path.name for path in self.run_dir.rglob("*.sealing")]
        assert not odd, f"left behind: {odd}"

    # --- what commands do -------------------------------------------------------------------------

    def first_epoch(self) -> None:
        """Workers write, roll, fail at an fsync, die, and tear a batch; half of the rows end."""
        with self.opened() as opened:
            spool_table(TABLE, opened.run_directory.spool)
            leases = self.leases(opened)
            first = self.worker(opened, 1, roll_bytes=9000)
            for _ in range(3):
                self.write(first, *next(leases))
            self.tell(opened, first.sync())
            self.checkpoint(opened)
            self.write(first, *next(leases))
            self.tell(opened, first.close())
            second = self.worker(opened, 2, FailsAt("fsync", "0001-0002-0000.arrow"))
            self.write(second, *next(leases))
            with suppress(LedgerError):
                second.sync()
            self.tell(opened, opened.plan.books.untold(2))
            third = self.worker(opened, 3)
            self.write(third, *next(leases))
            self.tell(opened, opened.plan.books.untold(3))
            self.checkpoint(opened)
            tearing = FailsAt("write", "0001-0004-0000.arrow", after=1)
            fourth = self.worker(opened, 4, tearing)
            self.write(fourth, *next(leases))
            self.tell(opened, fourth.sync())
            with suppress(LedgerError):
                self.write(fourth, *next(leases))

    def complete(self) -> None:
        """Ask for what is not done, export, and say so."""
        with self.opened() as opened:
            worker = self.worker(opened, 1)
            for shard, rows in self.leases(opened):
                self.write(worker, shard, rows)
            self.tell(opened, worker.close())
            self.checkpoint(opened)
            self.export(self.output, inputs=opened.inputs, disk=opened.disk)
            account = opened.recovered.account
            failed = sum(account.failures.values())
            told = Report(
                exit_code=3 if failed else 0,
                run_id=opened.plan.run_id,
                rows_in=ROWS,
                succeeded=ROWS - failed,
                failed=failed,
                started_at=WHEN,
                finished_at=WHEN,
            )
            write_summary(opened.disk, self.run_dir, told)

    def export_all(self) -> None:
        """The other formats."""
        for suffix in FORMATS:
            self.export(self.output.with_suffix(suffix))

    def redo(self) -> None:
        """Begin a redo of the dead letters."""
        _, generation = redo.begin(self.run_dir)
        self.promises.redos.add(generation.number)
        self.promised()

    def export(self, output: Path, **options: Any) -> None:
        export(self.run_dir, output, **options)
        self.promises.exported.add(output.name)
        self.promised()

    # --- what supervisor and workers do -----------------------------------------------------------

    @contextmanager
    def opened(self) -> Iterator[OpenRun]:
        with open_run(self.job, {}, stdin=io.BytesIO(self.input)) as opened:
            found = {one.number for one in opened.recovered.generations}
            assert found >= self.promises.redos, "a redo is lost that was told as begun"
            named = {name.epoch for name in opened.run_directory.segment_sizes()}
            assert opened.plan.epoch > max(named, default=0), "an epoch is used twice"
            yield opened

    def leases(self, opened: OpenRun) -> Iterator[tuple[Shard, list[int]]]:
        """The shards with rows to be asked for, and those rows."""
        plan = opened.plan
        for shard in plan.shards:
            if (mark := plan.known_shards.get(shard.first_row)) is not None:
                check_unchanged(shard, mark.rows, mark.checksum)
            plan.books.has_read([shard.next])
            gaps = plan.books.missing([(shard.first_row, shard.first_row + shard.rows)])
            rows = [row for start, end in gaps for row in range(start, end)]
            rows = [row for row in rows if plan.target is None or row in plan.target]
            again = {(plan.generation, row) for row in rows} & self.promises.told
            assert not again, f"asked again, though told as committed: {sorted(again)}"
            if rows:
                self.promises.leased[shard.first_row] = shard.payload
                self.promised()
            for start in range(0, len(rows), PIECE_ROWS):
                yield shard, rows[start : start + PIECE_ROWS]

    def worker(
        self, opened: OpenRun, number: int, disk: Disk | None = None, **options: Any
    ) -> SegmentWriter:
        plan, segments = opened.plan, opened.run_directory.segments
        self._generation = plan.generation
        return SegmentWriter(disk or Disk(), segments, plan.run_id, plan.epoch, number, **options)

    def write(self, worker: SegmentWriter, shard: Shard, rows: list[int]) -> None:
        mark = ShardMark(shard.first_row, shard.rows, shard.checksum)
        worker.write(batch_of([self.answer(row) for row in rows]), [mark])

    def answer(self, row: int) -> Result:
        """Buy an answer, unlike any other."""
        self._purchases += 1
        about = {"id": self.rows[row]["id"], "generation": self._generation}
        if row % 7 == 3 and (self._generation == 0 or row % 2):
            result = dead(row, error_message=f"no {self._purchases}", **about)
        else:
            result = answer(row, output=f"{row}: bought {self._purchases}", **about)
        self.bought[self._generation, row].add(result.output or result.error_message)
        return result

    def purchased(self, number: int) -> None:
        """Go on counting from there, so that no answer is like one of an earlier life."""
        self._purchases = number

    def tell(self, opened: OpenRun, written: list[Written]) -> None:
        """The supervisor counts what workers told it."""
        opened.plan.books.absorb(written)
        for one in written:
            rows = memoryview(one.rows).cast("q")
            self.promises.told |= {(one.generation, row) for row in rows}
        self.promised()

    def checkpoint(self, opened: OpenRun) -> None:
        asyncio.run(opened.plan.books.checkpoint())

    # --- what must be true ------------------------------------------------------------------------

    def check_at_rest(self) -> None:
        """What must be true before the command is called again."""
        self.check_spool()
        for name in self.promises.exported:
            rows = rows_of(self.folder / name)
            assert rows == list(range(ROWS)), f"{name} was told as written, and has {rows}"

    def check_spool(self) -> None:
        """Every row that was leased is in the spool, as it was."""
        if not self.promises.leased:
            return
        inputs = Inputs.open(["-"], spool=self.run_dir / "spool")
        rows = max(payload.count(b"\n") for payload in self.promises.leased.values())
        kept = b""
        with suppress(InputError):  # the spool may have no end yet
            for shard in inputs.shards(rows=rows):
                kept += shard.payload
        for first, payload in self.promises.leased.items():
            assert payload in kept, f"the shard at row {first} was leased, and is not in the spool"

    def check_output(self) -> None:
        """Each row is there once, with its own input and an answer that was bought for it."""
        lines = [json.loads(line) for line in self.output.read_bytes().splitlines()]
        assert [line["row"] for line in lines] == list(range(ROWS))
        for given, line in zip(self.rows, lines, strict=True):
            assert (line["id"], line["text"]) == (given["id"], given["text"])
            said = line["output"] or line["error_message"]
            assert said in self.bought[line["generation"], line["row"]], line


class FailsAt(Disk):
    """A disk on which one call for a file fails: a write in its middle."""

    def __init__(self, verb: str, name: str, after: int = 0) -> None:
        super().__init__()
        self._verb = verb
        self._name = name
        self._left = after

    def write(self, fd: int, data: bytes | memoryview, position: int | None = None) -> None:
        fails = self._fails("write", fd)
        super().write(fd, memoryview(data)[: len(data) // 2] if fails else data, position)
        if fails:
            raise failure("write to", self._paths[fd], OSError(errno.ENOSPC, "no space left"))

    def fsync(self, fd: int) -> None:
        if self._fails("fsync", fd):
            if isinstance(self.system, RecordingSystem):
                self.system.lose(fd)
            raise failure("fsync", self._paths[fd], OSError(errno.EIO, "input/output error"))
        super().fsync(fd)

    def _fails(self, verb: str, fd: int) -> bool:
        if (verb, self._paths[fd].name) != (self._verb, self._name):
            return False
        self._left -= 1
        return self._left == -1


def rows_of(path: Path) -> list[int]:
    """The rows of an output."""
    if path.suffix == ".jsonl":
        return [json.loads(line)["row"] for line in path.read_bytes().splitlines()]
    if path.suffix == ".csv":
        from pyarrow.csv import read_csv

        return read_csv(path)["row"].to_pylist()
    if path.suffix == ".arrow":
        with pa.ipc.open_file(path) as file:
            return file.read_all()["row"].to_pylist()
    from pyarrow.parquet import read_table

    return read_table(path)["row"].to_pylist()
