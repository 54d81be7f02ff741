from __future__ import annotations

import pyarrow as pa
import pytest

from penstock.record import Record
from penstock.sources.record import records, records_of
from penstock.sources.shard import Cursor, Shard
from penstock.sources.table import stream_of

LINE = b'{"custom_id":"x","method":"POST","url":"/v1/responses","body":{}}\n'

PAYLOADS = {
    "lines": b'{"id":"x"}\nbroken\n',
    "batch": LINE + b"broken\n",
    "csv": b"id,b\nx,1\nbroken\n",
    "tsv": b"id\tb\nx\t1\nbroken\n",
    "columns": stream_of(pa.RecordBatch.from_pydict({"id": ["x", "y"]})),
}


@pytest.mark.parametrize("kind", PAYLOADS)
def test_every_kind_of_payload_has_its_records(kind: str) -> None:
    shard = Shard(9, 2, kind, PAYLOADS[kind], "in", 4, 0, Cursor())
    found = list(records_of(shard))
    assert [record.row for record in found] == [9, 10]
    assert found[0].id == "x"
    assert found[0].problem is None
    assert [set_of(record) for record in found] == [1, 1]
    assert list(records_of(shard, wanted={10})) == found[1:]
    assert list(records(kind, PAYLOADS[kind], 9, "in", 4)) == found


def set_of(record: Record) -> int:
    """How many of the three that exclude each other a record has."""
    return sum(part is not None for part in (record.fields, record.batch, record.problem))
