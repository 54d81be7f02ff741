"""Results that are known by what was asked: an index from request hashes to where they stand.

Results stay where they are, in batches of Arrow: of segments, or of an output's copy. The index is
a file of entries of one size, sorted by hash, and mapped, so that it takes no memory but the
system's cache. It is made anew by every supervisor, from batches that verified, and of what is
found in it the hash is looked at once more: what does not fit is not known.
"""

from __future__ import annotations

import mmap
import struct
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator
from heapq import merge
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa

from penstock.disk import Disk
from penstock.ledger.schema import RESULT_SCHEMA
from penstock.record import SUCCEEDED, Result

# Hash, and whether it failed: of those with one hash an answer comes first; then where it stands:
# file, where its batch begins, place in it.
ENTRY: Final = struct.Struct(">16s?IQI")
HASH_BYTES: Final = 16
CHUNK_ENTRIES: Final = 1 << 19  # sorted in memory at once
BUFFER_BYTES: Final = 1 << 20
BATCHES_HELD: Final = 32  # mapped, by each worker
RESULTS_HELD: Final = 2048  # decoded: where many rows ask the same few things
MOST_HELD_BYTES: Final = 4096  # of such a result's texts

GARBAGE: Final = (pa.ArrowException, OSError, ValueError)


class Shelf(msgspec.Struct, frozen=True):
    """Known results: an index, the files it speaks of, and the `source` of what is taken."""

    index: str
    files: list[str]
    source: str
    entries: int = 0


class IndexWriter:
    """Gathers entries, and writes them sorted, within bounded memory."""

    def __init__(self, disk: Disk, path: Path) -> None:
        self._disk = disk
        self._path = path
        self._chunk: list[bytes] = []
        self._runs: list[Path] = []
        self.entries = 0

    def add(self, file: int, batch_bytes: int, batch: pa.RecordBatch, places: list[int]) -> None:
        """Enter the results at some places of a batch that begins at `batch_bytes` of a file."""
        hashes = batch["request_hash"].to_pylist()
        outcomes = batch["outcome"].to_pylist()
        for place in places:
            if name := hash_of(hashes[place]):
                self._chunk.append(
                    ENTRY.pack(name, outcomes[place] != SUCCEEDED, file, batch_bytes, place)
                )
        if len(self._chunk) >= CHUNK_ENTRIES:
            self._spill()

    def finish(self) -> int:
        """Write the index; returns how many entries it has. Raises LedgerError."""
        self._spill()
        self._disk.unlink(self._path)
        target = self._disk.open_new(self._path)
        held = bytearray()
        try:
            for entry in merge(*(entries_of(self._disk, run) for run in self._runs)):
                held += entry
                if len(held) >= BUFFER_BYTES:
                    self._disk.write(target, bytes(held))
                    held.clear()
            self._disk.write(target, bytes(held))
        finally:
            self._disk.close(target)
            for run in self._runs:
                self._disk.unlink(run)
        return self.entries

    def _spill(self) -> None:
        if self._chunk:
            run = self._path.with_name(f"{self._path.name}.{len(self._runs)}")
            self._disk.write_file(run, b"".join(sorted(self._chunk)))
            self._runs.append(run)
            self.entries += len(self._chunk)
            self._chunk.clear()


def hash_of(text: str | None) -> bytes | None:
    """A request hash as bytes; None for what is none."""
    try:
        name = bytes.fromhex(text or "")
    except ValueError:
        return None
    return name if len(name) == HASH_BYTES else None


def entries_of(disk: Disk, path: Path) -> Iterator[bytes]:
    """The entries of a file, in order, few of them at a time in memory."""
    descriptor, at = disk.open_to_read(path), 0
    step = ENTRY.size * (BUFFER_BYTES // ENTRY.size)
    try:
        while data := disk.read(descriptor, step, at):
            at += len(data)
            for start in range(0, len(data), ENTRY.size):
                yield data[start : start + ENTRY.size]
    finally:
        disk.let_go(descriptor)


class KnownResults:
    """A shelf, opened to be looked into."""

    def __init__(self, shelf: Shelf) -> None:
        """Raises OSError where a file of it is not there any more."""
        self.source = shelf.source
        self._index = mapped(Path(shelf.index))
        self._files = [pa.memory_map(path, "r") for path in shelf.files]
        self._batches: OrderedDict[tuple[int, int], pa.RecordBatch] = OrderedDict()
        self._results: OrderedDict[str, Result] = OrderedDict()

    def __len__(self) -> int:
        return len(self._index) // ENTRY.size

    def __getitem__(self, number: int) -> bytes:
        """The hash of an entry."""
        start = number * ENTRY.size
        return self._index[start : start + HASH_BYTES]

    def find(self, request_hash: str) -> Result | None:
        """The result of a request, as it stands there; None where there is none."""
        held = self._results.get(request_hash)
        if held is not None:
            self._results.move_to_end(request_hash)
            return held
        found = self._look_up(request_hash)
        if (
            found is not None
            and len(found.output or "") + len(found.response or "") <= MOST_HELD_BYTES
        ):
            self._results[request_hash] = found
            if len(self._results) > RESULTS_HELD:
                self._results.popitem(last=False)
        return found

    def _look_up(self, request_hash: str) -> Result | None:
        name = hash_of(request_hash)
        if name is None:
            return None
        number = bisect_left(self, name)
        if number == len(self) or self[number] != name:
            return None
        _, _, file, batch_bytes, place = ENTRY.unpack_from(self._index, number * ENTRY.size)
        batch = self._batch(file, batch_bytes)
        if batch is None or place >= batch.num_rows:
            return None
        found = result_at(batch, place)
        return found if found.request_hash == request_hash else None

    def _batch(self, file: int, batch_bytes: int) -> pa.RecordBatch | None:
        """A batch, decoded; None for what is none any more."""
        key = (file, batch_bytes)
        held = self._batches.get(key)
        if held is not None:
            self._batches.move_to_end(key)
            return held
        source = self._files[file]
        try:
            source.seek(batch_bytes)
            batch = pa.ipc.read_record_batch(pa.ipc.read_message(source), RESULT_SCHEMA)
            batch.validate(full=True)
        except GARBAGE:
            return None
        self._batches[key] = batch
        if len(self._batches) > BATCHES_HELD:
            self._batches.popitem(last=False)
        return batch


def mapped(path: Path) -> mmap.mmap | bytes:
    """A file's content, mapped; of an empty one, which can't be, nothing."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            return b""
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def result_at(batch: pa.RecordBatch, place: int) -> Result:
    """One row of a batch of the result schema."""
    values = {
        name: column[place] for name, column in zip(RESULT_SCHEMA.names, batch.columns, strict=True)
    }
    finished_at = values.pop("finished_at").cast(pa.int64())
    return Result(
        **{name: value.as_py() for name, value in values.items()}, finished_at=finished_at.as_py()
    )
