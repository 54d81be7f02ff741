"""The one door to the disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ledger.ledger_disk import RecordingDisk, failing
from penstock.disk import Disk
from penstock.errors import DiskFull, LedgerError


def test_a_write_that_the_system_cuts_short_is_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, write = Disk(), os.write
    fd = disk.open_new(tmp_path / "a")
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data)[:3]))
    disk.write(fd, b"0123456789")
    disk.close(fd)
    assert (tmp_path / "a").read_bytes() == b"0123456789"


def test_a_write_at_a_place_that_the_system_cuts_short_goes_on_where_it_was_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"ab" + bytes(10))
    disk, write = Disk(), os.pwrite
    fd = disk.open_kept(tmp_path / "a")
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: write(fd, bytes(data)[:3], at))
    disk.write(fd, b"0123456789", 2)
    disk.close(fd)
    assert (tmp_path / "a").read_bytes() == b"ab0123456789"


def test_a_log_goes_on_where_it_ended(tmp_path: Path) -> None:
    disk = Disk()
    for line in (b"one\n", b"two\n"):
        fd = disk.open_log(tmp_path / "log")
        disk.write(fd, line)
        disk.close(fd)
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\n"


def test_a_file_that_is_there_already_is_not_opened_as_new(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"paid")
    with pytest.raises(LedgerError, match=r"can't open .*/a: File exists"):
        Disk().open_new(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"paid"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_no_space_is_said_in_words_with_the_files_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def full(fd: int, data: bytes) -> int:
        raise OSError(code, os.strerror(code))

    disk = Disk()
    fd = disk.open_new(tmp_path / "a")
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(DiskFull, match=r"no space left: can't write to .*/a\nFree some space"):
        disk.write(fd, b"x")
    disk.close(fd)


def test_a_replaced_file_is_durable_before_it_has_the_name_and_the_name_before_it_returns(
    tmp_path: Path,
) -> None:
    disk = RecordingDisk()
    disk.replace_file(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert disk.steps == [
        "unlink a.new",
        "open a.new",
        "write a.new",
        "fsync a.new",
        "rename a",
        f"fsync {tmp_path.name}",
    ]


@pytest.mark.parametrize("verb", ["open", "write", "fsync"])
def test_a_failed_replacement_leaves_the_old_file_alone(tmp_path: Path, verb: str) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(LedgerError):
        RecordingDisk(failing(verb, "a.new")).replace_file(tmp_path / "a", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_where_a_full_fsync_is_not_supported_an_ordinary_one_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr("penstock.disk.FULL_FSYNC", 0x7FFF)  # fcntl knows no such command
    monkeypatch.setattr(os, "fsync", synced.append)
    disk = Disk()
    fd = disk.open_new(tmp_path / "a")
    disk.fsync(fd)
    assert synced == [fd]
    disk.close(fd)
    with pytest.raises(LedgerError, match="can't fsync a file"):
        disk.fsync(fd)  # a failure is no lack of support


def test_no_descriptor_is_left_open_whatever_fails(tmp_path: Path) -> None:
    path = tmp_path / "x"
    disk = Disk()
    disk.write_file(path, b"1")
    disk.replace_file(path, b"2")
    disk.fsync_file(path)
    disk.fsync_dir(tmp_path)
    assert disk._paths == {}
    for verb in ("write", "fsync"):
        bad = RecordingDisk(failing(verb, "x"))
        with pytest.raises(LedgerError):
            bad.write_file(path, b"3")
        assert bad._paths == {}
    with pytest.raises(LedgerError):
        bad.fsync_file(path)
    assert bad._paths == {}


def test_a_read_that_the_system_cuts_short_is_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, size, at: pread(fd, min(size, 3), at))
    (tmp_path / "a").write_bytes(b"0123456789")
    disk = Disk()
    fd = disk.open_to_read(tmp_path / "a")
    assert disk.read(fd, 7, 2) == b"2345678"
    assert disk.read_file(tmp_path / "a") == b"0123456789"
    disk.close(fd)


def test_what_can_not_be_read_is_not_taken_for_what_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An epoch or a segment that is there, and can't be read, would be given a second time."""

    def broken(*call: object, **options: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    assert (Disk().read_file(tmp_path / "a"), Disk().entries(tmp_path / "a")) == (None, [])
    (tmp_path / "a").touch()
    monkeypatch.setattr(os, "open", broken)
    monkeypatch.setattr(os, "scandir", broken)
    with pytest.raises(LedgerError, match=r"can't open .*/a: Input/output error"):
        Disk().read_file(tmp_path / "a")
    with pytest.raises(LedgerError, match=r"can't read .*: Input/output error"):
        Disk().entries(tmp_path)


def test_a_directory_that_is_made_is_durable_and_so_is_the_one_that_it_is_made_in(
    tmp_path: Path,
) -> None:
    above = tmp_path / "made by one who was killed"
    above.mkdir()
    disk = RecordingDisk()
    disk.make_dir(above / "new")
    assert disk.steps == [f"fsync {above.name}", f"fsync {tmp_path.name}"]
    disk.make_dir(above / "new")
    assert len(disk.steps) == 2
