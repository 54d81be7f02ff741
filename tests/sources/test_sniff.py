from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from penstock.errors import InputError
from penstock.sources.sniff import sniff

ROW = b'{"a": 1}\n'


def sniffed(folder: Path, name: str, data: bytes) -> tuple[str, str]:
    path = folder / name
    path.write_bytes(data)
    return sniff(path, name)


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.jsonl", ROW, ("jsonl", "")),
        ("a.jsonl", b"\xef\xbb\xbf" + ROW, ("jsonl", "")),
        ("a.jsonl", b"", ("jsonl", "")),
        ("a.jsonl", b"broken\n" + ROW, ("jsonl", "")),
        ("a.jsonl", b'{"a": "\0"}\n', ("jsonl", "")),
        ("a.txt", b"\n" + ROW, ("jsonl", "")),
        ("a", ROW, ("jsonl", "")),
        ("a.gz", gzip.compress(ROW, mtime=0), ("jsonl", "gz")),
        ("a.jsonl.gz", gzip.compress(ROW, mtime=0), ("jsonl", "gz")),
        ("a.jsonl.zst", pa.Codec("zstd").compress(ROW, asbytes=True), ("jsonl", "zst")),
        ("a.csv", b"a,b\n1,2\n", ("csv", "")),
        ("a.parquet", b"whatever", ("parquet", "")),
    ],
)
def test_a_file_is_what_its_name_and_first_bytes_agree_on(
    tmp_path: Path, name: str, data: bytes, expected: tuple[str, str]
) -> None:
    assert sniffed(tmp_path, name, data) == expected


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("a.txt", b"some prose\n", "a.txt: its suffix says no format that is known"),
        ("a.jsonl", ROW.decode().encode("utf-16"), "a.jsonl: is UTF-16 or UTF-32 text"),
        ("a.jsonl", ROW.decode().encode("utf-16-le"), "a.jsonl: is UTF-16 or UTF-32 text"),
        ("a.csv", "a,b\n".encode("utf-16-be"), "a.csv: is UTF-16 or UTF-32 text"),
        ("a.jsonl", "x".encode("utf-32"), "a.jsonl: is UTF-16 or UTF-32 text"),
        ("a.jsonl", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a.jsonl: holds binary data"),
        ("a.csv", b"PK\x03\x04\x14\0\0\0", "a.csv: holds binary data"),
        ("a.jsonl", gzip.compress(ROW, mtime=0), "a.jsonl: holds gz data"),
        ("a.jsonl.gz", b"\x28\xb5\x2f\xfd", "a.jsonl.gz: holds zst data"),
        ("a.jsonl.gz", ROW, "a.jsonl.gz: the gzip data is broken"),
        (
            "a.parquet.gz",
            gzip.compress(ROW, mtime=0),
            "a.parquet.gz: parquet files are compressed inside",
        ),
        ("a.jsonl", b'[\n{"a": 1},\n', "a.jsonl: holds JSON over several lines"),
        ("a.json", b'{\n  "a": 1\n}\n', "a.json: holds JSON over several lines"),
    ],
)
def test_a_file_that_can_not_be_what_it_says_is_an_error(
    tmp_path: Path, name: str, data: bytes, what: str
) -> None:
    with pytest.raises(InputError) as raised:
        sniffed(tmp_path, name, data)
    assert raised.value.what.startswith(what)
    assert raised.value.next_step
