"""Making shelves of known results: of this run's own, and of earlier runs and their outputs.

Only what verifies is known. Of an earlier run the answers are taken, for a failure was not paid; of
this run's own generation failures too, as what was asked once in vain need not be asked again for
each of its duplicates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc

from penstock.disk import Disk
from penstock.errors import InputError, PenstockError
from penstock.ledger.embedding import NAME as VECTORS
from penstock.ledger.embedding import texts_of
from penstock.ledger.known import IndexWriter, Shelf
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.schema import RESULT_SCHEMA
from penstock.ledger.segment_reader import SegmentReader, VerifiedBatch
from penstock.record import DUPLICATE, REUSED, SUCCEEDED

OWN_INDEX: Final = "own.index"
REUSED_INDEX: Final = "reused.index"
BATCH_ROWS: Final = 1024

# Without these there is nothing to take, or nobody knows of what.
NEEDED: Final = ("outcome", "output", "request_hash")


def own_shelf(disk: Disk, directory: RunDirectory, run_id: str, generation: int) -> Shelf:
    """What a generation of a run has asked for so far, its failures too. Raises LedgerError."""
    disk.make_dir(directory.known)
    index = directory.known / OWN_INDEX
    writer = IndexWriter(disk, index)
    files: list[str] = []
    for path, batches in segments(directory, run_id):
        for found in batches:
            if found.mark.generation == generation:
                asked = pc.not_equal(found.batch["source"], DUPLICATE)
                writer.add(len(files), found.start_bytes, found.batch, places(asked))
        files.append(str(path))
    return Shelf(str(index), files, DUPLICATE, writer.finish())


def reuse_shelf(
    disk: Disk, directory: RunDirectory, sources: Sequence[str], *, with_response: bool
) -> Shelf:
    """The answers of earlier runs, given as run directories or as outputs.

    With `with_response` only those whose raw response was kept. Raises InputError for what is
    neither, or can't be read.
    """
    disk.make_dir(directory.known)
    index = directory.known / REUSED_INDEX
    writer = IndexWriter(disk, index)
    files: list[str] = []

    def add(path: Path, batch: pa.RecordBatch, start_bytes: int) -> None:
        if not files or files[-1] != str(path):
            files.append(str(path))
        writer.add(len(files) - 1, start_bytes, batch, places(usable(batch, with_response)))

    for number, source in enumerate(sources):
        path = Path(source)
        if path.is_dir():
            add_run(path, add)
        else:
            add_output(disk, path, directory.known / f"reused-{number}.arrow", add)
    return Shelf(str(index), files, REUSED, writer.finish())


Add = Callable[[Path, pa.RecordBatch, int], None]


def add_run(path: Path, add: Add) -> None:
    """What the run in `path` has answered."""
    directory = RunDirectory(path)
    try:
        manifest = directory.manifest()
    except PenstockError as error:
        raise InputError(
            f"--reuse {error.what}",
            "Name a run directory, or the .parquet or .arrow output of one.",
        ) from None
    for segment, batches in segments(directory, manifest.run_id):
        for found in batches:
            add(segment, found.batch, found.start_bytes)


def segments(
    directory: RunDirectory, run_id: str
) -> Iterator[tuple[Path, Iterator[VerifiedBatch]]]:
    """The segments of a run, in the order of choice, each with its verified batches."""
    for name in directory.segment_sizes():
        path = directory.segment_path(name)
        yield path.resolve(), iter(SegmentReader(path, run_id))


def add_output(disk: Disk, path: Path, copy: Path, add: Add) -> None:
    """What an output holds, written anew as batches that can be looked up one by one."""
    disk.unlink(copy)
    target, position = disk.open_new(copy), 0
    try:
        for batch in output_batches(path):
            message = batch.serialize()
            disk.write(target, memoryview(message))
            add(copy.resolve(), batch, position)
            position += len(message)
    finally:
        disk.close(target)


def output_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The results in an output, under their own names and as batches of the result schema."""
    try:
        with path.open("rb") as file:
            for batch in raw_batches(path, file):
                yield as_results(batch, prefix_of(path, batch.schema))
    except (OSError, pa.ArrowException) as error:
        words = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"--reuse {path}: {words}",
            "Name a run directory, or the .parquet or .arrow output of one.",
        ) from None


def raw_batches(path: Path, file: BinaryIO) -> Iterator[pa.RecordBatch]:
    """The batches of a Parquet or Arrow file."""
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        yield from pq.ParquetFile(file).iter_batches(BATCH_ROWS)
    elif path.suffix == ".arrow":
        reader = pa.ipc.open_file(file)
        for number in range(reader.num_record_batches):
            whole = reader.get_batch(number)
            for start in range(0, whole.num_rows, BATCH_ROWS):
                yield whole.slice(start, BATCH_ROWS)
    else:
        raise pa.ArrowInvalid("neither a run directory nor a .parquet or .arrow file")


def prefix_of(path: Path, schema: pa.Schema) -> str:
    """What stands before the names of an output's result columns. Raises InputError."""
    for name in schema.names:
        if name.endswith("request_hash"):
            prefix = name.removesuffix("request_hash")
            if all(prefix + needed in schema.names for needed in NEEDED):
                return str(prefix)
    raise InputError(
        f"--reuse {path}: is no output of Penstock: it has no column request_hash beside output",
        "Name the output, or the run directory, of an earlier run.",
    )


def as_results(batch: pa.RecordBatch, prefix: str) -> pa.RecordBatch:
    """A batch of an output as one of the result schema: what it lacks is null, or nothing."""
    columns = []
    for field in RESULT_SCHEMA:
        name = prefix + field.name
        if field.name == "output" and prefix + VECTORS in batch.schema.names:
            columns.append(texts_of(batch[prefix + VECTORS]))
        elif name in batch.schema.names:
            columns.append(batch[name].cast(field.type))
        elif field.nullable:
            columns.append(pa.nulls(batch.num_rows, field.type))
        else:
            columns.append(pa.repeat(nothing(field.type), batch.num_rows))
    return pa.RecordBatch.from_arrays(columns, schema=RESULT_SCHEMA)


def nothing(kind: pa.DataType) -> pa.Scalar:
    """What stands in a column that can't be null and is not there."""
    value = "" if kind == pa.string() else 0
    return pa.scalar(value, pa.int64()).cast(kind) if value == 0 else pa.scalar(value, kind)


def usable(batch: pa.RecordBatch, with_response: bool) -> pa.Array:
    """Which results of an earlier run can stand for an answer of this one."""
    answered = pc.equal(batch["outcome"], SUCCEEDED)
    return pc.and_(answered, pc.is_valid(batch["response"])) if with_response else answered


def places(wanted: pa.Array) -> list[int]:
    return [place for place, is_wanted in enumerate(wanted.to_pylist()) if is_wanted]
