from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest

from penstock.errors import LedgerError
from penstock.sources.spool_file import SpoolFile
from penstock.system import System

BLOCKS = [b"one\n" * 100, b"two\n", b"three"]


def contents(file: SpoolFile) -> list[bytes]:
    found = []
    position = 0
    while position < file.end:
        data, position = file.block(position)
        found.append(data)
    return found


def written(path: Path, *blocks: bytes) -> SpoolFile:
    file = SpoolFile(path, writable=True)
    for block in blocks:
        file.append(block)
    return file


def test_blocks_and_marks_are_found_again(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    written(path, *BLOCKS, b"", b"more\n", b"")
    again = SpoolFile(path, writable=False)
    assert contents(again) == [*BLOCKS, b"", b"more\n", b""]
    assert again.marks == [409, 414]
    assert again.raw_end == 414
    assert again.complete


def test_a_torn_file_is_read_up_to_its_last_whole_block(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    file = written(path, *BLOCKS, b"")
    data = path.read_bytes()
    ends = [0]
    while ends[-1] < file.end:
        ends.append(file.block(ends[-1])[1])
    for size in range(len(data)):
        for torn in (data[:size], data[:size] + b"\0" * (len(data) - size)):
            path.write_bytes(torn)
            found = contents(SpoolFile(path, writable=False))
            whole = sum(end <= size for end in ends) - 1
            # The zeros may be those that stood there.
            assert found == [*BLOCKS, b""][: whole + (torn == data)]


def test_what_a_killed_process_wrote_is_synced_before_it_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "spool"
    written(path, *BLOCKS)
    synced: list[int] = []
    monkeypatch.setattr(System, "fsync", lambda self, fd: synced.append(os.fstat(fd).st_ino))
    SpoolFile(path, writable=True)
    folders = [path, path.parent, path.parent.parent]
    assert {one.stat().st_ino for one in folders} <= set(synced), "its name may be lost else"


def test_a_block_in_the_place_of_another_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    end = written(path, BLOCKS[0]).end
    path.write_bytes(path.read_bytes()[:end] * 2)
    assert contents(SpoolFile(path, writable=False)) == BLOCKS[:1]


def test_a_block_whose_sync_failed_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "spool"
    file = written(path, *BLOCKS)

    def fail(system: System, fd: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch, pytest.raises(LedgerError, match=r"can't fsync .*spool"):
        patch.setattr(System, "fsync", fail)
        file.append(b"lost")
    assert contents(SpoolFile(path, writable=False)) == BLOCKS


def test_writing_goes_on_after_what_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    written(path, *BLOCKS)
    path.write_bytes(path.read_bytes()[:-3])
    file = SpoolFile(path, writable=True)
    assert path.stat().st_size == file.end
    file.append(b"anew")
    assert contents(SpoolFile(path, writable=False)) == [*BLOCKS[:2], b"anew"]


def test_what_is_taken_back_is_gone_and_the_file_is_not_complete(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    file = written(path, BLOCKS[0])
    position, raw = file.end, file.raw_end
    file.append(BLOCKS[2])
    file.append(b"")
    file.take_back(position, raw)
    for one in (file, SpoolFile(path, writable=False)):
        assert contents(one) == [BLOCKS[0], b""]
        assert one.marks == [raw]
        assert not one.complete


def test_a_block_that_rots_is_an_error_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    written(path, os.urandom(500), b"after")
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    with pytest.raises(LedgerError, match="the block at byte 0 is damaged"):
        SpoolFile(path, writable=False).block(0)


def test_a_head_that_claims_gigabytes_takes_no_memory_for_them(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    file = written(path, b"text")
    data = bytearray(path.read_bytes())
    data[12:16] = (0xFFFFFFFF).to_bytes(4, "little")
    path.write_bytes(data)
    assert file.end == len(data)
    tracemalloc.start()
    try:
        assert SpoolFile(path, writable=False).end == 0
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_block_is_synced_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = SpoolFile(tmp_path / "spool", writable=True)
    ends = []
    monkeypatch.setattr(os, "fsync", lambda _: ends.append(file.end))
    file.append(b"data")
    assert ends == [0]
    assert file.end > 0


def test_a_disk_that_fails_is_an_error_that_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = SpoolFile(tmp_path / "spool", writable=True)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(LedgerError, match=r"no space left: can't write to .*spool"):
        file.append(b"data")
    assert file.end == 0


def test_a_spool_that_can_not_be_opened_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    with pytest.raises(LedgerError, match=r"can't open .*spool: Is a directory"):
        SpoolFile(tmp_path / "spool", writable=True)
