"""A named limiter: the buckets of a key, in a file that all runs on a host map.

    0     a line of JSON: format, boot, and the limits; zeros up to HEADER_BYTES
    4096  the limiter, as in a run's own region

It is made and changed under a lock beside it, and each run that uses it holds a shared lock on the
file itself: so whoever comes knows whether others do. Both are let go by the system when their
holders are gone, however they went, and nothing else is ever locked: a killed run wedges nobody. A
boot, which starts the clock anew, or another format makes the file void.

Limits. Who gives none takes those that are there. Who gives others than those in use is refused: to
change them under other runs is what `penstock tune` is for, which says so to all. Where nobody uses
the file its limits are replaced. Where they are the same the buckets go on as they are, so that a
run which follows another does not get the minute's quota again.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from penstock._core import Limiter
from penstock.engine.limits import NAMES, Bucket, buckets_with
from penstock.engine.region import configure
from penstock.errors import EngineError, JobError
from penstock.ledger.process import boot_id

FORMAT: Final = 1
HEADER_BYTES: Final = 4096
SIZE: Final = HEADER_BYTES + Limiter.bytes_needed(len(NAMES))


class Stamp(msgspec.Struct, frozen=True):
    """What the file says of itself."""

    format: int
    boot: str
    limits: dict[str, int]  # by option, those that bound something
    ceilings: dict[str, int]


class LimiterFile:
    """The open file; its lock lasts as long as any process has it open."""

    def __init__(self, path: Path, descriptor: int, stamp: Stamp) -> None:
        self.path = path
        self.descriptor = descriptor
        self.stamp = stamp

    def buckets(self, largest_tokens: int) -> list[Bucket]:
        """The buckets in it, whoever gave their limits."""
        return buckets_with(self.stamp.limits, largest_tokens)

    def limiter(self) -> Limiter:
        """A handle on its buckets."""
        return limiter_at(self.descriptor)

    def close(self) -> None:
        """Use it no more, in this process."""
        os.close(self.descriptor)


def limiter_at(descriptor: int) -> Limiter:
    """A handle on the buckets of an open file."""
    return Limiter(mmap.mmap(descriptor, SIZE), HEADER_BYTES, len(NAMES))


def path_of(name: str, environment: Mapping[str, str]) -> Path:
    """Where a limiter is: a name in the user's own place, anything with a slash as it is."""
    if "/" in name:
        return Path(name)
    runtime = environment.get("XDG_RUNTIME_DIR")
    place = Path(runtime) if runtime else Path(environment.get("HOME", "~")).expanduser() / ".cache"
    return place / "penstock" / "limiters" / name


def open_limiter(path: Path, buckets: Sequence[Bucket], now_ns: int) -> LimiterFile:
    """Open a named limiter, or make it. Raises JobError for limits that are not those in use."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                stamp = adopt(path, descriptor, buckets, now_ns)
                fcntl.flock(descriptor, fcntl.LOCK_SH)
            except BaseException:
                os.close(descriptor)
                raise
    except OSError as error:
        raise EngineError(
            f"--limiter {path}: {error.strerror}", "Name another, or a path that can be written."
        ) from None
    return LimiterFile(path, descriptor, stamp)


def adopt(path: Path, descriptor: int, buckets: Sequence[Bucket], now_ns: int) -> Stamp:
    """Make the file fit for these limits, if that may be; returns its stamp."""
    found, ours = read_stamp(descriptor), stamp_of(buckets)
    is_ours_to_change = is_unused(descriptor)
    if found is not None and (found.limits == ours.limits or not ours.limits):
        return found if covers(found, ours) else enlarge(descriptor, found, buckets, now_ns)
    if not is_ours_to_change:
        raise JobError(
            f"--limiter {path}: other runs use it, with {words(found)}, and this job gives "
            f"{words(ours)}",
            "Give the same limits, or none to take those; or name another limiter.",
        )
    os.ftruncate(descriptor, 0)  # whoever is killed from here on leaves a file without a stamp
    os.ftruncate(descriptor, SIZE)
    configure(limiter_at(descriptor), buckets, now_ns)
    write_stamp(descriptor, ours)
    return ours


def covers(found: Stamp, ours: Stamp) -> bool:
    """Whether bursts are large enough for this job's records."""
    return all(
        found.ceilings[name] >= ours.ceilings[name] for name in found.limits if name in ours.limits
    )


def enlarge(descriptor: int, found: Stamp, buckets: Sequence[Bucket], now_ns: int) -> Stamp:
    """Have the buckets take this job's larger records without an extra charge."""
    limiter, ceilings = limiter_at(descriptor), dict(found.ceilings)
    for index, one in enumerate(buckets):
        if one.limit is not None and one.ceiling > found.ceilings[one.name]:
            limiter.tune(index, one.limit, one.window_ns, one.ceiling, one.late_ns, now_ns)
            ceilings[one.name] = one.ceiling
    stamp = msgspec.structs.replace(found, ceilings=ceilings)
    write_stamp(descriptor, stamp)
    return stamp


def restamp(file: LimiterFile, buckets: Sequence[Bucket]) -> None:
    """Have the file say that its limits are these: a user tuned them. Raises OSError."""
    with locked(file.path):
        file.stamp = stamp_of(buckets)
        write_stamp(file.descriptor, file.stamp)


def stamp_of(buckets: Sequence[Bucket]) -> Stamp:
    """The stamp of a file with these limits."""
    given = {one.name: one.limit for one in buckets if one.limit is not None}
    return Stamp(FORMAT, boot_id(), given, {one.name: one.ceiling for one in buckets})


def read_stamp(descriptor: int) -> Stamp | None:
    """What the file says of itself; None where it is new, void or broken."""
    head = os.pread(descriptor, HEADER_BYTES, 0).rstrip(b"\0")
    try:
        stamp = msgspec.json.decode(head, type=Stamp)
    except ValueError:  # msgspec's errors are ValueErrors
        return None
    is_whole = os.fstat(descriptor).st_size == SIZE and {*stamp.ceilings} == {*NAMES}
    return stamp if is_whole and (stamp.format, stamp.boot) == (FORMAT, boot_id()) else None


def write_stamp(descriptor: int, stamp: Stamp) -> None:
    os.pwrite(descriptor, msgspec.json.encode(stamp).ljust(HEADER_BYTES, b"\0"), 0)


def is_unused(descriptor: int) -> bool:
    """Whether nobody else has it open; the lock is then ours alone."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def words(stamp: Stamp | None) -> str:
    """The limits as flags."""
    if stamp is None:
        return "a format of another version"
    given = [f"--{name.replace('_', '-')} {most}" for name, most in stamp.limits.items()]
    return " ".join(given) or "no limits"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Alone in here with a limiter's file, among all processes: by a lock that is beside it."""
    beside = path.with_name(path.name + ".lock")
    descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
