"""Writing a segment: one worker's results, batch after batch, each durable before it is told.

Two threads use a writer: one writes batches, another fsyncs, so that a slow disk delays the telling
and not the writing. A batch that was written survives the process; only one that `sync` returned
survives the power.

A failed fsync is never tried again on the same file: the kernel reports a lost page once and calls
it clean afterwards. The segment is abandoned instead: nothing of it is told any more, and a marker
beside the file tells recovery to copy what verifies rather than to trust the page cache.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa

from penstock.disk import Disk
from penstock.errors import LedgerError
from penstock.ledger.mark import Mark, SegmentName, ShardMark, stamp
from penstock.ledger.schema import RESULT_SCHEMA
from penstock.ledger.segment_encoder import SegmentEncoder
from penstock.ledger.written import Written, numbers, written

ROLL_BYTES: Final = 256 * 1024 * 1024
GENERATION: Final = RESULT_SCHEMA.get_field_index("generation")  # by name it takes longer


class SegmentWriter:
    """Appends batches to a worker's segments, rolling to the next at `roll_bytes`."""

    def __init__(
        self,
        disk: Disk,
        directory: Path,
        run_id: str,
        epoch: int,
        worker: int,
        roll_bytes: int = ROLL_BYTES,
    ) -> None:
        self._disk = disk
        self._directory = directory
        self._run_id = run_id
        self._epoch = epoch
        self._worker = worker
        self._roll_bytes = roll_bytes
        self._next_segment = 0
        self._current: _Segment | None = None
        self._unsynced: list[_Segment] = []  # the current one and those that rolled
        # Held while a batch is written and while a segment is put away, never during an fsync.
        self._lock = threading.Lock()

    def write(self, batch: pa.RecordBatch, shards: Sequence[ShardMark]) -> None:
        """Append a batch whose rows are all of one generation; afterwards it survives SIGKILL.

        Raises DiskFull or LedgerError if it could not be written: then it is not in the segment,
        what was written before is untouched, and the next batch goes to a new segment.
        """
        with self._lock:
            segment = self._current or self._begin()
            try:
                segment.write(batch, shards)
            except Exception:
                # Half a batch may be in the file, or in the encoder.
                self._current = None
                raise
            if segment.size_bytes >= self._roll_bytes:
                self._finish(segment)

    def sync(self) -> list[Written]:
        """Make durable what was written, and return it, in order. At most one call at a time.

        Raises LedgerError if an fsync fails: then nothing is told, and its segment is abandoned.
        """
        with self._lock:
            dirty = [(segment, segment.take()) for segment in self._unsynced]
        told: list[Written] = []
        failed: LedgerError | None = None
        for segment, batches in dirty:
            try:
                segment.sync()
                told += batches
            except LedgerError as error:
                self._abandon(segment)
                failed = error
        self._put_away()
        if failed is not None:
            raise failed
        return told

    def close(self) -> list[Written]:
        """End the segment with its footer, sync, and return what became durable by that."""
        with self._lock:
            if self._current is not None:
                self._finish(self._current)
        return self.sync()

    def _begin(self) -> _Segment:
        name = SegmentName(self._epoch, self._worker, self._next_segment)
        segment = _Segment(self._disk, self._directory / str(name), self._run_id, name)
        self._next_segment += 1
        self._current = segment
        self._unsynced.append(segment)
        return segment

    def _finish(self, segment: _Segment) -> None:
        self._current = None
        segment.finish()

    def _abandon(self, segment: _Segment) -> None:
        """Write no more to a segment."""
        with self._lock:
            if self._current is segment:
                self._current = None
            self._unsynced.remove(segment)
            segment.abandon()

    def _put_away(self) -> None:
        """Close the segments that nothing will be written to and whose every batch was told."""
        with self._lock:
            kept = []
            for segment in self._unsynced:
                if segment is self._current or segment.dirty:
                    kept.append(segment)
                else:
                    segment.close()
            self._unsynced = kept


class _Segment:
    """One file of a writer."""

    def __init__(self, disk: Disk, path: Path, run_id: str, name: SegmentName) -> None:
        self._disk = disk
        self._path = path
        self._run_id = run_id
        self._name = name
        self._fd = disk.open_new(path)
        self._is_named = False  # its name is durable in the directory
        self._encoder = SegmentEncoder()
        self._batches = 0
        self._pending: list[Written] = []
        self.dirty = True  # something may not be durable, be it the footer
        self.size_bytes = 0

    def write(self, batch: pa.RecordBatch, shards: Sequence[ShardMark]) -> None:
        mark = Mark(
            self._run_id,
            *self._name,
            batch=self._batches,
            generation=generation_of(batch),
            rows=batch.num_rows,
            shards=list(shards),
        )
        start_bytes = self.size_bytes
        self._append(self._encoder.batch(batch, stamp(batch, mark)))
        self._batches += 1
        self._pending.append(written(batch, mark, start_bytes, self.size_bytes))

    def finish(self) -> None:
        """Write the footer. It is a convenience to readers, so that a failure of it is none."""
        with contextlib.suppress(LedgerError):
            self._append(self._encoder.footer())

    def take(self) -> list[Written]:
        """What was written and not yet taken; counts as clean until the next write."""
        taken, self._pending = self._pending, []
        self.dirty = False
        return taken

    def sync(self) -> None:
        self._disk.fsync(self._fd)
        if not self._is_named:
            self._disk.fsync_dir(self._path.parent)
            self._is_named = True

    def abandon(self) -> None:
        with contextlib.suppress(LedgerError):
            # Not by a temporary name: its being there is all that it says.
            self._disk.write_file(abandoned_marker(self._path), b"")
        self.close()

    def close(self) -> None:
        with contextlib.suppress(LedgerError):
            self._disk.close(self._fd)

    def _append(self, data: bytes) -> None:
        self.dirty = True
        self._disk.write(self._fd, data)
        self.size_bytes += len(data)


def generation_of(batch: pa.RecordBatch) -> int:
    """The generation of a batch's rows, which must have the same; 0 for an empty batch."""
    if not batch.num_rows:
        return 0
    generations = sorted(set(numbers(batch.column(GENERATION))))
    if len(generations) > 1:
        raise ValueError(f"one batch holds results of the generations {generations}")
    return generations[0]


def abandoned_marker(segment: Path) -> Path:
    """The file whose being there says that an fsync of `segment` failed."""
    return segment.with_suffix(".abandoned")
