from __future__ import annotations

import msgspec
import pytest
import xxhash

from penstock.errors import InputError
from penstock.sources.shard import Cursor, Shard, check_unchanged, checksum_of

SHARD = Shard(20, 5, "lines", b"payload", "in.jsonl", 31, 7, Cursor(0, 25, 400, 36))


def test_a_checksum_is_xxh3_in_signed_64_bits() -> None:
    for data in (b"", b"a", b"b", b"c", b"d"):
        assert checksum_of(data) % (1 << 64) == xxhash.xxh3_64_intdigest(data)
        assert -(1 << 63) <= checksum_of(data) < 1 << 63


def test_a_shard_that_is_as_it_was_passes() -> None:
    check_unchanged(SHARD, 5, 7)


@pytest.mark.parametrize(("rows", "checksum"), [(6, 7), (5, 8)])
def test_a_shard_that_changed_is_an_error_that_names_file_and_rows(
    rows: int, checksum: int
) -> None:
    with pytest.raises(InputError) as raised:
        check_unchanged(SHARD, rows, checksum)
    assert "in.jsonl: rows 20 to" in raised.value.what
    assert "line 31" in raised.value.what


def test_a_cursor_survives_being_written_down() -> None:
    cursor = Cursor(1, 2, 3, 4, 5, 6)
    assert msgspec.json.decode(msgspec.json.encode(cursor), type=Cursor) == cursor
