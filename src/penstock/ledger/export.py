"""The export: from the ledger and the input to the output, in input order, within bounded memory.

Rows are taken range by range: of each the input's columns, read again, and the results that count,
merged from the segments. Both files, the output and the dead letters, are whole and durable before
either has its name.

A column of JSON input whose type the first pass guessed too narrow is widened, and the export begun
anew: a run must not fail at its end for a value in its ten millionth row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
import pyarrow as pa

from penstock.disk import Disk
from penstock.errors import LedgerError, RowMissing
from penstock.ledger.batch_output import BatchOutput, is_batch_output
from penstock.ledger.copies import Copies
from penstock.ledger.dead_letters import DeadLetters
from penstock.ledger.embedding import embedding_for, found_in
from penstock.ledger.figures import Figures
from penstock.ledger.formats import Output, output_for
from penstock.ledger.input_rows import InputRows, as_frozen
from penstock.ledger.manifest import Manifest
from penstock.ledger.merge import Merge, Merged, single_batch
from penstock.ledger.output_check import check_output, failed_output
from penstock.ledger.output_columns import OutputColumns, output_columns
from penstock.ledger.output_file import OutputFile
from penstock.ledger.parsed import parsed_for
from penstock.ledger.published import fingerprint, remember
from penstock.ledger.run_directory import RunDirectory
from penstock.sources.columns import Misfit
from penstock.sources.inputs import Inputs
from penstock.sources.schema import InputSchema
from penstock.sources.shard import Shard


class ExportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an export wrote, and what its rows came to."""

    output: Path
    output_bytes: int
    failed_output: Path | None  # None: no dead letters
    figures: Figures  # `figures.rows` were written
    widened: list[str]  # in words: columns whose type had to be wider than announced


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """All that an export needs to know, but for the columns' types."""

    disk: Disk
    run_dir: RunDirectory
    manifest: Manifest
    copies: Copies
    inputs: Inputs
    output: Path
    partial: bool
    limit: int | None
    progress: Callable[[int], None]

    @property
    def is_batch(self) -> bool:
        return is_batch_output(self.output, batch_lines=self.manifest.batch_lines)

    def shards(self) -> Iterable[Shard]:
        shards = self.inputs.shards(rows=self.manifest.shard_rows)
        return as_frozen(shards, self.manifest.inputs)


def export(
    run_dir: Path,
    output: Path,
    *,
    inputs: Inputs | None = None,
    partial: bool = False,
    limit: int | None = None,
    overwrite: bool = False,
    disk: Disk | None = None,
    progress: Callable[[int], None] = lambda rows: None,
) -> ExportReport:
    """Writes `output`, and `OUTPUT.failed.jsonl` where there are dead letters.

    `inputs` are the run's, checked; without them those that its job names are opened. `partial`
    takes the rows that are done, and works beside a live run. Rows from `limit` on, else from the
    --limit of the manifest's job on, are left out. `progress` is told how many rows are written.

    Raises LedgerError where rows are missing (unless `partial`) or the disk fails, InputError where
    the input is not what the run read, OutputError where `output` is in the way.
    """
    directory = RunDirectory(run_dir)
    manifest = directory.manifest()
    check_output(output, run_dir, manifest.job["inputs"], overwrite=overwrite)
    task = Task(
        disk=disk or Disk(),
        run_dir=directory,
        manifest=manifest,
        copies=Copies(directory, manifest.run_id),
        inputs=inputs or open_inputs(directory, manifest),
        output=output,
        partial=partial,
        limit=limit if limit is not None else manifest.job["limit"],
        progress=progress,
    )
    columns = columns_of(manifest, output)
    columns = msgspec.structs.replace(columns, embedding=found_in(task.copies, columns.embedding))
    if task.is_batch:
        columns = msgspec.structs.replace(columns, kept=())
    widened: list[str] = []
    while True:
        try:
            return write_files(task, columns, widened)
        except Misfit as misfit:
            told = f"{misfit.column} is {misfit.wider}, for the value in row {misfit.row}"
            if told in widened:
                raise LedgerError(
                    f"row {misfit.row}: the value of {misfit.column!r} can't be written",
                    "The results are safe; `penstock.results` reads them without the input.",
                ) from None
            columns = columns.widened(misfit.column, misfit.wider)
            widened.append(told)


def open_inputs(run_dir: RunDirectory, manifest: Manifest) -> Inputs:
    """The inputs that a run's job names, checked to be what it froze. Raises InputError."""
    inputs = Inputs.open(manifest.job["inputs"], spool=run_dir.spool)
    inputs.check(manifest.inputs)
    return inputs


def columns_of(manifest: Manifest, output: Path) -> OutputColumns:
    """The columns of `output` as the run announced them."""
    job = manifest.job
    schema = msgspec.convert(manifest.input_schema, InputSchema)
    return output_columns(
        schema,
        keep=job["keep"],
        prefix=job["prefix"],
        id_column=job["id"],
        parsed=parsed_for(job["schema"], job["flatten"], output),
        embedding=embedding_for(job),
    )


def write_files(task: Task, columns: OutputColumns, widened: list[str]) -> ExportReport:
    """One try: both files, from the first row to their names. Raises Misfit."""
    beside = failed_output(task.output)
    with open_output(task, task.output) as output, open_output(task, beside) as failed:
        letters = DeadLetters(failed.sink)
        figures = fill(task, columns, writer_of(task, columns, output.sink), letters)
        failed.finish()
        output.finish()
        if letters.count:
            publish(task, failed, beside.name)
        else:
            task.disk.unlink(beside)
        publish(task, output, task.output.name)
        return ExportReport(
            output=task.output,
            output_bytes=output.target.stat().st_size,
            failed_output=beside if letters.count else None,
            figures=figures,
            widened=widened,
        )


def open_output(task: Task, target: Path) -> OutputFile:
    # What a symbolic link points to is replaced, not the link.
    return OutputFile(task.disk, target.resolve(), task.manifest.run_id)


def publish(task: Task, file: OutputFile, name: str) -> None:
    """Gives a finished file its name, and remembers it as this run's."""
    remember(task.disk, task.run_dir.path, fingerprint(file.temporary, name))
    file.publish()


def writer_of(task: Task, columns: OutputColumns, sink: BinaryIO) -> Output:
    if task.is_batch:
        return BatchOutput(sink, task.manifest.run_id, columns.prefix)
    return output_for(task.output, sink, columns)


def fill(task: Task, columns: OutputColumns, writer: Output, letters: DeadLetters) -> Figures:
    """Writes all rows; returns what they came to. Raises Misfit."""
    figures = Figures()
    inputs = InputRows(task.shards(), task.copies.shards.values(), task.limit)
    for merged in ranges(task, inputs):
        figures.add(merged.results)
        figures.duplicates += merged.duplicates
        letters.write(merged.results, inputs)
        writer.write(joined(merged.results, inputs, columns))
        task.progress(figures.rows)
    writer.close()
    return figures


def ranges(task: Task, inputs: InputRows) -> Iterator[Merged]:
    """The results of all rows, or of those that are done, while their input is at hand.

    Raises LedgerError at the first row that is missing, and for results beyond the input's end.
    """
    merge = Merge(task.copies)
    start = 0
    while (end := inputs.ahead()) > start and not (task.partial and start >= task.copies.end):
        merged = merge.merge(start, end)
        if merged.missing is not None and not task.partial:
            raise missing(merged.missing)
        yield merged
        start = merged.end
        inputs.drop(start)
    if task.limit is None and not task.partial and task.copies.end > start:
        raise LedgerError(
            f"row {task.copies.end - 1} has a result, but the input ends after {start} rows",
            "Bring the input back as it was; the results are safe, and `penstock export --partial` "
            "writes those of the rows that are there.",
        )


def missing(row: int) -> RowMissing:
    """The error for a row without a result."""
    return RowMissing(
        f"row {row} has no result yet, nor perhaps others after it",
        "Run the same command again to ask for what is left, or take what is there with "
        "`penstock export --partial`.",
    )


def joined(results: pa.RecordBatch, inputs: InputRows, columns: OutputColumns) -> pa.RecordBatch:
    """The rows of the output: the input's columns, then the results'. Raises Misfit."""
    kept: list[pa.Array] = []
    if columns.kept:
        kept = single_batch(inputs.columns(results["row"].to_pylist(), columns)).columns
    return pa.RecordBatch.from_arrays(
        [*kept, *columns.result_columns(results)], schema=columns.schema
    )
