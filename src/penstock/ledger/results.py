"""Results without an export: as Arrow batches, and as figures, in input order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from penstock.errors import LedgerError
from penstock.ledger.copies import Copies
from penstock.ledger.embedding import embedding_for, found_in
from penstock.ledger.export import missing
from penstock.ledger.figures import Figures
from penstock.ledger.merge import Merge
from penstock.ledger.output_columns import OutputColumns
from penstock.ledger.parsed import parsed_for
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.summary import read_summary
from penstock.sources.columns import Misfit
from penstock.sources.schema import InputSchema

NO_FILE = Path()  # Arrow's types, not those of a file


def results(run_dir: Path, *, partial: bool = False) -> Iterator[pa.RecordBatch]:
    """The results of a run, one a row, in input order, as batches; with a schema, `parsed` too,
    and of vectors `embedding`.

    `partial` takes the rows that are done, also of a live run. The input is not read: its columns
    are in the output. Raises LedgerError where the run is not complete (unless `partial`).
    """
    directory = RunDirectory(run_dir)
    manifest = directory.manifest()
    copies = Copies(directory, manifest.run_id)
    job = manifest.job
    columns = OutputColumns(
        *(InputSchema(), (), ""),
        parsed=parsed_for(job["schema"], False, NO_FILE),
        embedding=found_in(copies, embedding_for(job)),
    )
    end = copies.end if partial else rows_in(run_dir)
    for merged in Merge(copies).ranges(end):
        if merged.missing is not None and not partial:
            raise missing(merged.missing)
        if merged.results.num_rows:
            yield typed(merged.results, columns)


def typed(results: pa.RecordBatch, columns: OutputColumns) -> pa.RecordBatch:
    """Results with the columns that are made of them. Raises LedgerError."""
    try:
        made = columns.result_columns(results)
    except Misfit as misfit:
        raise LedgerError(
            f"row {misfit.row}: its vector is not as long as those before it",
            "`penstock export` writes them as lists of any length.",
        ) from None
    return pa.RecordBatch.from_arrays(made, schema=columns.result_schema)


def rows_in(run_dir: Path) -> int:
    """How many rows a run has; known once it has read its input to the end. Raises LedgerError."""
    summary = read_summary(run_dir)
    if summary is None or summary.rows_in is None:
        raise LedgerError(
            f"{run_dir}: the run is not complete",
            "Run the same command again to complete it, or ask for what is there: partial=True.",
        )
    return summary.rows_in


def figures_of(copies: Copies) -> Figures:
    """What the copies that count come to."""
    sums = Figures()
    for merged in Merge(copies).ranges(copies.end):
        sums.add(merged.results)
        sums.duplicates += merged.duplicates
    return sums
