"""Reading segments: never wrong data, never an error for garbage, whatever happened to the file."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pyarrow as pa
import pytest

from ledger.ledger_rows import RUN, answer, dead, put, run_directory
from penstock.disk import Disk
from penstock.errors import LedgerError
from penstock.ledger.mark import SegmentName, ShardMark, stamp
from penstock.ledger.schema import RESULT_SCHEMA, batch_of
from penstock.ledger.segment_encoder import SegmentEncoder
from penstock.ledger.segment_reader import STREAM_END, SegmentReader, read_batch
from penstock.system import System

NAME = "0001-0001-0000.arrow"
BATCHES = [[answer(0), dead(1)], [answer(5, output="é" * 30), answer(4)], [dead(9)]]
EXPECTED = [batch_of(results) for results in BATCHES]


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    run_dir = run_directory(tmp_path)
    put(run_dir, *BATCHES, shards=[ShardMark(0, 10, 3)])
    return run_dir.segments / NAME


def read(path: Path, run_id: str = RUN) -> tuple[int, bool, bool]:
    """How many batches verify, all of them as they were written; is_torn, has_remains."""
    reader = SegmentReader(path, run_id)
    number = -1
    for number, found in enumerate(reader):
        assert found.batch.equals(EXPECTED[number])
        assert found.mark.shards == [ShardMark(0, 10, 3)]
    assert reader.batches == number + 1
    return reader.batches, reader.is_torn, reader.has_remains


def ends(path: Path) -> list[int]:
    return [found.end_bytes for found in SegmentReader(path, RUN)]


def test_a_whole_segment_is_read_to_its_end(segment: Path) -> None:
    assert read(segment) == (3, False, False)


def test_every_prefix_gives_the_batches_that_are_wholly_in_it(segment: Path) -> None:
    data, whole = segment.read_bytes(), ends(segment)
    lengths = set(range(0, len(data), 9)) | set(range(whole[0] - 20, whole[1] + 20))
    # From long to short, so that the file is only ever cut.
    for length in sorted(lengths, reverse=True):
        os.truncate(segment, length)
        batches, is_torn, has_remains = read(segment)
        assert batches == sum(end <= length for end in whole)
        assert is_torn
        if batches:
            assert has_remains == (whole[batches - 1] + 4 < length < whole[-1])


def test_no_flipped_bit_gives_a_wrong_row(segment: Path) -> None:
    data, seed = segment.read_bytes(), 7
    chance = random.Random(seed)
    outcomes = set()
    for _ in range(600):
        flipped = bytearray(data)
        for _ in range(chance.choice((1, 1, 1, 2, 9))):
            flipped[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        segment.write_bytes(flipped)
        outcomes.add(read(segment)[0])
    assert outcomes == {0, 1, 2, 3}


@pytest.mark.parametrize(
    "garbage", [b"", b"ARROW1", b"ARROW1\0\0", b"\0" * 5000, bytes(range(256)) * 20]
)
def test_garbage_has_no_batches(segment: Path, garbage: bytes) -> None:
    segment.write_bytes(garbage)
    assert read(segment)[:2] == (0, True)
    segment.write_bytes(b"ARROW1\0\0" + garbage)
    assert read(segment)[:2] == (0, True)


def test_zeros_behind_the_last_batch_are_no_end(segment: Path) -> None:
    data, last = segment.read_bytes(), ends(segment)[-1]
    segment.write_bytes(data[:last] + b"\0" * 4096)
    assert read(segment) == (3, True, True)
    segment.write_bytes(data + b"\0" * 4096)
    assert read(segment) == (3, True, False)


def test_a_last_byte_that_rotted_is_no_end(segment: Path) -> None:
    data = bytearray(segment.read_bytes())
    data[-1] ^= 1
    segment.write_bytes(data)
    assert read(segment) == (3, True, False)


def test_an_end_in_the_middle_of_the_file_is_none(segment: Path) -> None:
    data, first = segment.read_bytes(), ends(segment)[0]
    segment.write_bytes(data[:first] + STREAM_END + data[first:])
    assert read(segment)[:2] == (1, True)


def test_a_batch_that_stands_in_the_place_of_another_is_not_trusted(segment: Path) -> None:
    data, (first, second, third) = segment.read_bytes(), ends(segment)
    segment.write_bytes(data[:first] + data[second:third] + data[first:second] + data[third:])
    assert read(segment) == (1, True, True)
    segment.write_bytes(data[:second] + data[first:second] + data[second:])
    assert read(segment) == (2, True, True)


def test_a_segment_of_another_run_or_under_another_name_is_not_trusted(segment: Path) -> None:
    assert read(segment, "other")[0] == 0
    assert read(segment.rename(segment.with_name("0001-0001-0001.arrow")))[0] == 0


def test_a_segment_of_another_schema_is_not_trusted(segment: Path) -> None:
    other = RESULT_SCHEMA.set(0, pa.field("row", pa.int32(), nullable=False))
    with pa.ipc.new_file(str(segment), other) as writer:
        writer.write_batch(EXPECTED[0].cast(other))
    assert read(segment) == (0, True, True)


def test_the_same_bits_of_another_type_are_not_trusted(segment: Path) -> None:
    """The digest is of the values' bytes: what they mean is in the schema alone."""
    found = next(iter(SegmentReader(segment, RUN)))
    other = RESULT_SCHEMA.set(0, pa.field("row", pa.uint64(), nullable=False))
    batch = found.batch.cast(other)
    proof = stamp(batch, found.mark)
    assert proof == stamp(found.batch, found.mark)
    with pa.ipc.new_file(str(segment), other) as writer:
        writer.write_batch(batch, custom_metadata=proof)
    assert read(segment) == (0, True, True)


def test_a_batch_without_a_mark_is_not_trusted(segment: Path) -> None:
    encoder = SegmentEncoder()
    segment.write_bytes(encoder.batch(EXPECTED[0], {}) + encoder.footer())
    assert read(segment) == (0, True, True)


def test_reading_goes_on_where_it_ended(segment: Path) -> None:
    whole = list(SegmentReader(segment, RUN))
    reader = SegmentReader(segment, RUN, start_bytes=whole[0].end_bytes, from_batch=1)
    assert [found.mark.batch for found in reader] == [1, 2]
    assert (reader.verified_bytes, reader.batches) == (whole[2].end_bytes, 3)
    assert not reader.is_torn
    at_end = SegmentReader(segment, RUN, start_bytes=whole[2].end_bytes, from_batch=3)
    assert list(at_end) == []
    assert not at_end.is_torn


def test_a_batch_is_read_by_where_it_begins(segment: Path) -> None:
    for number, found in enumerate(SegmentReader(segment, RUN)):
        assert read_batch(segment, RUN, found.start_bytes, number).equals(EXPECTED[number])
    assert read_batch(segment, RUN, 0, 0).equals(EXPECTED[0])


def test_a_batch_that_does_not_verify_any_more_is_an_error_that_names_it(segment: Path) -> None:
    start = ends(segment)[0]
    data = bytearray(segment.read_bytes())
    data[data.index("ééé".encode())] ^= 1
    segment.write_bytes(data)
    with pytest.raises(LedgerError, match=f"{NAME}: batch 1 does not verify any more"):
        read_batch(segment, RUN, start, 1)


def test_a_disk_that_can_not_be_read_is_an_error_and_no_garbage(segment: Path) -> None:
    segment.unlink()
    with pytest.raises(LedgerError, match=f"can't open .*{NAME}"):
        list(SegmentReader(segment, RUN))
    segment.mkdir()
    with pytest.raises(LedgerError, match=f"can't read .*{NAME}"):
        list(SegmentReader(segment, RUN))


def test_only_segments_are_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no segment's name"):
        SegmentReader(tmp_path / "x.arrow", RUN)


def test_names_are_known_by_their_parts() -> None:
    assert SegmentName.parse(NAME) == (1, 1, 0)


class BadSector(System):
    """A disk that can't read one byte of each file."""

    def __init__(self, bad: int) -> None:
        self._bad = bad

    def read(self, fd: int, size: int, position: int) -> bytes:
        if position <= self._bad < position + size:
            raise OSError(errno.EIO, "bad sector")
        return super().read(fd, size, position)


@pytest.mark.parametrize("is_within_first", [True, False])
def test_a_disk_that_fails_amid_a_batch_is_an_error_and_no_end(
    segment: Path, monkeypatch: pytest.MonkeyPatch, is_within_first: bool
) -> None:
    """Taken for an end, what follows would be sealed away, and bought again."""
    within_first = (found := next(iter(SegmentReader(segment, RUN)))).start_bytes + 100
    assert within_first < found.end_bytes
    monkeypatch.setattr(Disk, "system", BadSector(within_first if is_within_first else 100))
    with pytest.raises(LedgerError, match=r"can't read .*: bad sector"):
        list(SegmentReader(segment, RUN))
