"""Each suffix has its writer, and each writer says before the run what it can't hold."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pytest

from penstock.errors import OutputError
from penstock.ledger.formats import check_types, output_for
from penstock.ledger.output_columns import OutputColumns, output_columns
from penstock.sources.schema import InputSchema, arrow_column


def columns_with(kind: pa.DataType) -> OutputColumns:
    return output_columns(InputSchema((arrow_column("odd", kind),)))


@pytest.mark.parametrize(
    ("name", "magic"), [("o.parquet", b"PAR1"), ("o.arrow", b"ARROW1"), ("o.csv", b'"odd"')]
)
def test_a_suffix_decides_the_format(name: str, magic: bytes) -> None:
    sink = io.BytesIO()
    columns = columns_with(pa.int64())
    output = output_for(Path(name), sink, columns)
    output.close()
    assert sink.getvalue().startswith(magic)


def test_a_type_that_a_format_lacks_is_refused_with_its_column() -> None:
    with pytest.raises(OutputError, match="'odd'"):
        check_types(Path("o.parquet"), columns_with(pa.month_day_nano_interval()))


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".jsonl", ".csv"])
@pytest.mark.parametrize(
    "kind",
    [
        pa.null(),
        pa.decimal128(9, 2),
        pa.time64("ns"),
        pa.duration("ns"),
        pa.binary(3),
        pa.large_string(),
        pa.map_(pa.string(), pa.int64()),
        pa.list_(pa.struct([("a", pa.timestamp("ns", "Europe/Paris"))])),
        pa.dictionary(pa.int32(), pa.string()),
    ],
    ids=str,
)
def test_common_types_are_held_by_every_format(suffix: str, kind: pa.DataType) -> None:
    check_types(Path("o" + suffix), columns_with(kind))
