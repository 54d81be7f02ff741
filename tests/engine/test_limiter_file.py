"""Named limiters: one set of buckets for all runs of a machine, whoever dies."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock._core import monotonic_ns
from penstock.engine import limiter_file
from penstock.engine.limiter_file import LimiterFile, open_limiter, path_of, restamp
from penstock.engine.limits import NAMES, buckets_of, buckets_with
from penstock.errors import EngineError, JobError
from penstock.job import Job

RPM = NAMES.index("rpm")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "limiters" / "key"


@pytest.fixture
def opened() -> Iterator[list[LimiterFile]]:
    files: list[LimiterFile] = []
    yield files
    for file in files:
        file.close()


def open_with(
    path: Path, opened: list[LimiterFile], largest: int = 1, **limits: int
) -> LimiterFile:
    file = open_limiter(path, buckets_of(Job(**limits), largest), monotonic_ns())
    opened.append(file)
    return file


def test_all_who_name_it_share_its_buckets(path: Path, opened: list[LimiterFile]) -> None:
    first = open_with(path, opened, rpm=600).limiter()
    second = open_with(path, opened, rpm=600).limiter()
    now_ns = monotonic_ns() + 10**11
    assert first.reserve(now_ns, 0, 0, 0) == now_ns
    while first.reserve(now_ns, 0, 0, 0) >= 0:
        pass
    assert second.reserve(now_ns, 0, 0, 0) < 0
    assert second.rate(RPM) == pytest.approx(10, rel=0.02)


def test_who_gives_no_limits_takes_those_that_are_there(
    path: Path, opened: list[LimiterFile]
) -> None:
    open_with(path, opened, rpm=600)
    taken = open_with(path, opened)
    assert [b.limit for b in taken.buckets(1) if b.limit] == [600]


def test_other_limits_than_those_in_use_are_refused_with_both(
    path: Path, opened: list[LimiterFile]
) -> None:
    open_with(path, opened, rpm=600)
    with pytest.raises(JobError, match=r"other runs use it, with --rpm 600.*gives --rpm 700"):
        open_with(path, opened, rpm=700)


def test_limits_are_in_use_as_long_as_anybody_uses_them(
    path: Path, opened: list[LimiterFile]
) -> None:
    """Be it the first who named them or another."""
    first = open_with(path, opened, rpm=600)
    open_with(path, opened, rpm=600)
    opened.remove(first)
    first.close()
    with pytest.raises(JobError, match="other runs use it"):
        open_with(path, opened, rpm=700)


def test_where_nobody_uses_it_its_limits_are_replaced(
    path: Path, opened: list[LimiterFile]
) -> None:
    open_with(path, opened, rpm=600)
    opened.pop().close()
    changed = open_with(path, opened, tpm=9000)
    assert changed.stamp.limits == {"tpm": 9000}


def test_a_run_after_another_does_not_get_the_quota_again(
    path: Path, opened: list[LimiterFile]
) -> None:
    spent = open_with(path, opened, rpm=6).limiter()
    spent.reserve(monotonic_ns() + 10**11, 10**12, 0, 0)
    level = spent.level(RPM, monotonic_ns())
    opened.pop().close()
    again = open_with(path, opened, rpm=6).limiter()
    assert again.level(RPM, monotonic_ns()) == pytest.approx(level, abs=0.5)


def test_a_boot_starts_it_anew(
    path: Path, opened: list[LimiterFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    spent = open_with(path, opened, rpm=6).limiter()
    spent.reserve(monotonic_ns() + 10**15, 10**18, 0, 0)
    del spent  # it has the file open, too
    opened.pop().close()
    monkeypatch.setattr(limiter_file, "boot_id", lambda: "another")
    again = open_with(path, opened, rpm=6).limiter()
    assert again.level(RPM, monotonic_ns()) > -1


@pytest.mark.parametrize("rubbish", [b"", b"\0" * 9000, b'{"format":1', b"\xff" * 100])
def test_a_file_that_is_broken_or_was_left_half_made_is_made_anew(
    path: Path, opened: list[LimiterFile], rubbish: bytes
) -> None:
    path.parent.mkdir()
    path.write_bytes(rubbish)
    assert open_with(path, opened, rpm=600).limiter().rate(RPM) == pytest.approx(10, rel=0.02)


def test_larger_records_enlarge_the_burst_of_all(path: Path, opened: list[LimiterFile]) -> None:
    open_with(path, opened, tpm=100_000)
    taken = open_with(path, opened, largest=4000, tpm=100_000)
    assert taken.stamp.ceilings["tpm"] == 5000
    assert taken.stamp.limits == {"tpm": 100_000}


def test_tuned_limits_are_those_that_the_next_run_finds(
    path: Path, opened: list[LimiterFile]
) -> None:
    file = open_with(path, opened, rpm=600)
    restamp(file, buckets_with({"rpm": 900}, 1))
    assert open_with(path, opened, rpm=900).stamp.limits == {"rpm": 900}


HOLDER = """
import os, sys
from pathlib import Path
from penstock.engine.limiter_file import open_limiter
from penstock.engine.limits import buckets_of
from penstock.job import Job
file = open_limiter(Path(sys.argv[1]), buckets_of(Job(rpm=600), 1), 1)
print("open", flush=True)
sys.stdin.read()
"""


def test_a_killed_holder_wedges_nobody(path: Path, opened: list[LimiterFile]) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdin is not None and holder.stdout is not None
    assert holder.stdout.readline() == b"open\n"
    with pytest.raises(JobError):
        open_with(path, opened, rpm=700)
    holder.kill()
    holder.communicate()
    assert open_with(path, opened, rpm=700).stamp.limits == {"rpm": 700}


def test_a_name_is_in_the_users_own_place_and_a_path_is_itself() -> None:
    runtime = {"XDG_RUNTIME_DIR": "/run/user/7", "HOME": "/home/a"}
    assert path_of("key", runtime) == Path("/run/user/7/penstock/limiters/key")
    assert path_of("key", {"HOME": "/home/a"}) == Path("/home/a/.cache/penstock/limiters/key")
    assert path_of("./key", runtime) == Path("key")


def test_a_place_that_can_not_be_written_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EngineError, match=r"--limiter .*file/key"):
        open_limiter(tmp_path / "file" / "key", buckets_of(Job(rpm=1), 1), 1)


def test_it_is_nobody_elses_to_read(path: Path, opened: list[LimiterFile]) -> None:
    open_with(path, opened, rpm=1)
    assert path.stat().st_mode & 0o077 == 0
