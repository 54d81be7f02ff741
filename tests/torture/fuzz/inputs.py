"""Input files of every format: read, read again from every cursor, made columns of.

The first three bytes choose the suffix, the rows of a shard and its size; the rest is the file.
"""

from __future__ import annotations

import gzip
import itertools
import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from penstock.errors import InputError
from penstock.record import Record
from penstock.sources.columns import Misfit, batch_of, raw_fields
from penstock.sources.inputs import Inputs
from penstock.sources.record import records_of
from penstock.sources.schema import InputSchema
from penstock.sources.shard import COLUMNS, Shard

SUFFIXES: Final = (
    ".jsonl",
    ".jsonl.gz",
    ".jsonl.zst",
    ".csv",
    ".tsv",
    ".csv.gz",
    ".parquet",
    ".arrow",
    ".unknown",
)
MAX_LINE_BYTES: Final = 300
MOST_CURSORS: Final = 5

LINES: Final = (
    b'{"id": 1, "text": "a", "n": 1}\n{"id": 2, "text": "b"}\n\n{"id": 3, "n": 1.5}\n'
    b'\xef\xbb\xbf{"id": null}\r\n{"text": {"a": [1, null]}}\n[1]\n{"broken\n{"id": 7}'
)
BATCH: Final = b"".join(
    b'{"custom_id": "%d", "method": "POST", "url": "/v1/embeddings", "body": {"input": "x"}}\n' % n
    for n in range(5)
)
ODD_LINES: Final = (
    b'{"n": 123456789012345678901234567890}\n{"n": -9223372036854775809}\n{"n": NaN}\n'
    b'{"n": 1e308}\n{"n": true, "n": "twice"}\n{"n": "\\ud800"}\n{"n": "\\u0000"}\n'
    b'{"n": ' + b"[" * 80 + b"]" * 80 + b'}\n{"long": "' + b"x" * 400 + b'"}\n\xff\xfe\n{"": 0}\n'
)
TABLE: Final = (
    b'id,"na""me",text\n1,"a, b",x\n2,"two\nlines",y\r\n\n3,5" disk,"open\n4,short\n'
    b'5,"closed"late,z\n6,"",w\n'
)


def table() -> pa.Table:
    """Columns of many types, with nulls and what Python can't hold."""
    return pa.table(
        {
            "id": pa.array([1, 2, None, 4, 5]),
            "text": ["a", None, "é", "", "z" * 40],
            "time": pa.array([0, 1, None, 2**62, -(2**62)], pa.timestamp("ns")),
            "list": pa.array([[1, 2], None, [], [None], [3]]),
            "object": pa.array([{"a": 1}, None, {"a": None}, {"a": 2}, {"a": 3}]),
            "kind": pa.array(["x", "y", None, "x", "x"]).dictionary_encode(),
            "amount": pa.array([None, 1, 2, 3, 4], pa.decimal128(20, 2)),
            "map": pa.array(
                [[("k", 1)], None, [], [("k", 2)], []], pa.map_(pa.string(), pa.int8())
            ),
        }
    )


def parquet(**options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table(), sink, row_group_size=3, **options)
    return bytes(sink.getvalue())


def arrow(compression: str | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_file(sink, table().schema, options=options) as writer:
        for batch in table().to_batches(max_chunksize=3):
            writer.write_batch(batch)
    return bytes(sink.getvalue())


def zstd(*parts: bytes) -> bytes:
    """A frame for each part, the second after a skippable one."""
    frames = [bytes(pa.compress(part, "zstd")) for part in parts]
    return (b"\x50\x2a\x4d\x18" + b"\3\0\0\0abc").join(frames)


def seeds() -> Sequence[bytes]:
    files: list[tuple[str, bytes]] = [
        *((".jsonl", one) for one in (LINES, BATCH, ODD_LINES, LINES.replace(b"\n", b"\r\n"))),
        (".jsonl.gz", gzip.compress(LINES[:70], mtime=0) + gzip.compress(LINES[70:], mtime=0)),
        (".jsonl.zst", zstd(LINES[:70], LINES[70:])),
        (".csv", TABLE),
        (".csv", b"\xef\xbb\xbf" + TABLE.replace(b"\n", b"\r\n")),
        (".tsv", TABLE.replace(b",", b"\t")),
        (".csv.gz", gzip.compress(TABLE, mtime=0) + b"\0" * 20),
        (".parquet", parquet()),
        (".parquet", parquet(compression="zstd", data_page_version="2.0")),
        (".arrow", arrow()),
        (".arrow", arrow("zstd")),
        (".unknown", LINES),
    ]
    return [bytes([SUFFIXES.index(suffix), 2, 200]) + data for suffix, data in files]


def once(data: bytes, folder: Path) -> None:
    suffix, rows, max_bytes = (*data[:3], 0, 0, 0)[:3]
    path = folder / ("in" + SUFFIXES[suffix % len(SUFFIXES)])
    path.write_bytes(data[3:])
    read(path, 1 + rows % 8, 1 + max_bytes)


def read(path: Path, rows: int, max_bytes: int) -> None:
    """Reads a file as a run and an export would."""
    try:
        inputs = opened(path)
        schema = inputs.schema()
    except InputError:
        return
    shards, whole = all_of(inputs.shards(rows=rows, max_bytes=max_bytes))
    check_rows(shards, rows)
    for shard in shards[:: len(shards) // MOST_CURSORS + 1]:
        again, _ = all_of(inputs.shards(shard.next, rows=rows, max_bytes=max_bytes))
        assert again == shards[shards.index(shard) + 1 :]
    if whole:
        counted = inputs.count_rows(threading.Event())
        assert counted == sum(shard.rows for shard in shards)
    inputs.check(opened(path).frozen)
    for shard in shards:
        check_columns(shard, schema)
    if path.suffix == ".jsonl" and shards:
        check_lines(path.read_bytes(), shards)


def opened(path: Path) -> Inputs:
    return Inputs.open([str(path)], max_line_bytes=MAX_LINE_BYTES)


def all_of(shards: Iterator[Shard]) -> tuple[list[Shard], bool]:
    """The shards up to the end, or to where the file turned out to be broken."""
    found: list[Shard] = []
    try:
        for shard in shards:
            found.append(shard)
    except InputError:
        return found, False
    return found, True


def check_rows(shards: Sequence[Shard], rows: int) -> None:
    """Every row is one record, in order, and says either what it holds or what is wrong."""
    row = 0
    for shard in shards:
        assert shard.first_row == row
        assert 1 <= shard.rows <= rows
        records = list(records_of(shard))
        assert [record.row for record in records] == list(range(row, row + shard.rows))
        for record in records:
            assert [record.fields, record.batch, record.problem].count(None) == 2, record
        row = shard.next.row


def check_columns(shard: Shard, schema: InputSchema) -> None:
    """As many rows in the export's columns; each widening is a step up, so there are few."""
    for _ in range(100):
        try:
            batch = batch_of(shard, schema, schema.names)
            break
        except Misfit as misfit:
            schema = schema.widened(misfit.column, misfit.wider)
    else:
        raise AssertionError("widened without an end")
    batch.validate(full=True)
    assert batch.num_rows == shard.rows
    raw = list(raw_fields(shard))
    assert [row for row, _, _ in raw] == list(range(shard.first_row, shard.next.row))
    assert shard.kind == COLUMNS or all(line for _, _, line in raw)


def check_lines(data: bytes, shards: Sequence[Shard]) -> None:
    """JSON lines hold what Python's own reader says, line by line."""
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    records = itertools.chain.from_iterable(map(records_of, shards))
    expected = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    for (number, line), record in itertools.zip_longest(expected, records):
        assert record.where == f"in.jsonl:{number}"
        if record.batch is None:
            check_line(line, record)


def check_line(line: bytes, record: Record) -> None:
    if len(line) > MAX_LINE_BYTES:
        assert record.problem is not None
    elif record.fields is not None:
        # `repr` tells 1 from 1.0 and from True.
        assert repr(record.fields) == repr(json.loads(line))
