"""A whole run for tests: inputs, manifest, and segments whose batches name their shards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ledger.ledger_rows import RUN, put, run_directory
from penstock.disk import Disk
from penstock.job import Job, identity
from penstock.ledger.export import ExportReport, export
from penstock.ledger.manifest import Manifest, public_job
from penstock.ledger.mark import ShardMark
from penstock.ledger.output_columns import output_columns
from penstock.record import Result
from penstock.sources.inputs import Inputs


class Run:
    """A run of `input_path` under `path`; `job` are options of its job.

    `inputs` are the opened ones, where they are no files; `guessed` are columns' types in place of
    those that the first pass finds.
    """

    def __init__(
        self,
        path: Path,
        input_path: Path | str = "-",
        *,
        inputs: Inputs | None = None,
        shard_rows: int = 4,
        guessed: Mapping[str, str] | None = None,
        **job: Any,
    ) -> None:
        self.path = path
        self.run_dir = run_directory(path)
        self.shard_rows = shard_rows
        made = Job(inputs=(str(input_path),), **job)
        inputs = inputs or Inputs.open(made.inputs)
        schema = inputs.schema()
        for name, kind in (guessed or {}).items():
            schema = schema.widened(name, kind)
        columns = output_columns(schema, keep=made.keep, prefix=made.prefix, id_column=made.id)
        manifest = Manifest(
            run_id=RUN,
            created_at="2026-03-01T12:00:00Z",
            penstock_version="0",
            identity=identity(made),
            job=public_job(made),
            inputs=inputs.frozen,
            input_schema=msgspec.to_builtins(schema),
            output_schema=columns.types,
            shard_rows=shard_rows,
            batch_lines=inputs.batch_lines,
        )
        self.run_dir.create(Disk(), manifest)
        self.shards = [
            ShardMark(shard.first_row, shard.rows, shard.checksum)
            for shard in inputs.shards(rows=shard_rows)
        ]

    def put(self, *batches: Iterable[Result], **where: Any) -> None:
        """A worker's segments with these batches (see `ledger_rows.put`)."""
        for number, results in enumerate(batches):
            held = list(results)
            put(self.run_dir, held, shards=self.marks(held), **{"worker": number + 1, **where})

    def marks(self, results: Sequence[Result]) -> list[ShardMark]:
        rows = {result.row for result in results}
        return [
            shard
            for shard in self.shards
            if rows & set(range(shard.first_row, shard.first_row + shard.rows))
        ]

    def export(self, name: str = "out.jsonl", **options: Any) -> ExportReport:
        return export(self.run_dir.path, self.path / name, **options)


def json_lines(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """A file of JSON lines."""
    path.write_bytes(msgspec.json.Encoder().encode_lines(list(rows)))
    return path


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
