"""A run knows the outputs that it made, and no others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from penstock.disk import Disk
from penstock.ledger import published
from penstock.ledger.published import (
    fingerprint,
    is_published,
    read_published,
    remember,
)


def made(tmp_path: Path, content: bytes = b"rows") -> tuple[Path, Path]:
    """A run directory, and an output that it made."""
    run_dir, output = tmp_path / "run", tmp_path / "o.jsonl"
    run_dir.mkdir(exist_ok=True)
    temporary = tmp_path / "temporary"
    temporary.write_bytes(content)
    remember(Disk(), run_dir, fingerprint(temporary, output.name))
    temporary.rename(output)
    return run_dir, output


def test_an_output_is_known_again_after_its_rename(tmp_path: Path) -> None:
    run_dir, output = made(tmp_path)
    assert is_published(run_dir, output)


def test_it_is_known_after_run_and_output_were_moved_together(tmp_path: Path) -> None:
    run_dir, output = made(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert is_published(run_dir.rename(elsewhere / "run"), output.rename(elsewhere / output.name))


def test_an_output_that_was_changed_since_is_nobodys(tmp_path: Path) -> None:
    run_dir, output = made(tmp_path)
    stat = output.stat()
    output.write_bytes(b"ROWS")
    os.utime(output, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert not is_published(run_dir, output)


def test_a_change_at_the_end_of_a_large_output_shows_whatever_its_time(tmp_path: Path) -> None:
    run_dir, output = made(tmp_path, bytes(300_000))
    stat = output.stat()
    output.write_bytes(bytes(299_999) + b"x")
    os.utime(output, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert not is_published(run_dir, output)


def test_a_change_beyond_the_sample_shows_in_the_time(tmp_path: Path) -> None:
    run_dir, output = made(tmp_path, bytes(300_000))
    with output.open("r+b") as file:
        file.seek(150_000)
        file.write(b"x")
    os.utime(output, ns=(1, 1))
    assert not is_published(run_dir, output)


def test_the_same_content_under_another_name_is_not_known(tmp_path: Path) -> None:
    run_dir, output = made(tmp_path)
    assert not is_published(run_dir, output.rename(tmp_path / "other.jsonl"))


def test_a_run_that_published_nothing_knows_nothing(tmp_path: Path) -> None:
    (tmp_path / "o.jsonl").write_bytes(b"rows")
    assert not is_published(tmp_path, tmp_path / "o.jsonl")


def test_an_export_that_died_before_its_rename_leaves_the_one_before_known(tmp_path: Path) -> None:
    run_dir, output = made(tmp_path)
    (tmp_path / "temporary").write_bytes(b"more rows")
    remember(Disk(), run_dir, fingerprint(tmp_path / "temporary", output.name))
    assert is_published(run_dir, output)


def test_a_broken_list_counts_as_none(tmp_path: Path) -> None:
    run_dir, output = made(tmp_path)
    (run_dir / "exports.json").write_bytes(b'[{"name"')
    assert not is_published(run_dir, output)


def test_the_list_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "KEPT", 3)
    for number in range(5):
        run_dir, output = made(tmp_path, b"%d" % number)
    assert len(read_published(run_dir)) == 3
    assert is_published(run_dir, output)


@pytest.mark.parametrize("data", [b"", b"[" * 5000, b'[{"name": "\xff"}]', b"7"])
def test_a_list_of_exports_that_can_not_be_read_counts_as_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "exports.json").write_bytes(data)
    assert read_published(tmp_path) == []
