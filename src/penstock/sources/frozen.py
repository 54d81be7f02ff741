"""What `run.json` keeps of an input, so that a later supervisor knows it again.

Neither times nor absolute paths are kept: a run's input may be copied or moved. Content is known by
its size and by a sample of its bytes; what a sample can't see, each shard's checksum does.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import xxhash

from penstock.errors import InputError

_END_BYTES = 64 << 10
_BLOCK_BYTES = 4 << 10
_BLOCKS = 16

_BACK = "Bring the input back as it was, or begin anew with --fresh."


class FrozenInput(msgspec.Struct, frozen=True):
    """One input as this run reads it, whatever is appended to it later."""

    name: str  # relative to the folder that the inputs have in common
    format: str  # jsonl, csv, tsv, parquet, arrow
    compression: str  # gz, zst or empty
    size: int  # bytes on disk; -1 for standard input, which the spool knows
    sample: str  # xxh3 of head, tail and blocks between them
    rows: int | None = None  # where the format says
    cuts: tuple[int, ...] = ()  # sizes at earlier freezes: a shard ends there in any case


def sample_of(path: Path, size: int) -> str:
    """xxh3 (hex) of the head, the tail and evenly spaced blocks of the first `size` bytes."""
    digest = xxhash.xxh3_128()
    step = max(_BLOCK_BYTES, size // _BLOCKS)
    with path.open("rb") as file:
        digest.update(file.read(min(size, _END_BYTES)))
        for position in range(step, max(0, size - _BLOCK_BYTES), step):
            file.seek(position)
            digest.update(file.read(_BLOCK_BYTES))
        file.seek(max(0, size - _END_BYTES))
        digest.update(file.read(min(size, _END_BYTES)))
    return digest.hexdigest()


def grown(old: FrozenInput, new: FrozenInput, path: Path) -> FrozenInput:
    """`new`, as the growth of `old`, whose bytes it begins with.

    Raises InputError, naming the file, where it is no such growth: another format, other bytes, or
    a last row that was made longer. Its name may change: the content decides.
    """
    if (old.format, old.compression) != (new.format, new.compression):
        raise InputError(f"{new.name}: the run began with {old.name} in its place", _BACK)
    if old.size < 0 or (old.size == new.size and old.sample == new.sample):
        return msgspec.structs.replace(new, cuts=old.cuts)
    if new.size < old.size:
        raise InputError(
            f"{new.name}: was {old.size:,} bytes when the run began, is {new.size:,} now", _BACK
        )
    if sample_of(path, old.size) != old.sample:
        raise InputError(f"{new.name}: its content changed since the run began", _BACK)
    if old.compression or old.rows is not None:
        raise InputError(f"{new.name}: grew, which only a plain text file may", _BACK)
    if not _ends_a_row(path, old.size):
        raise InputError(f"{new.name}: its last row was made longer since the run began", _BACK)
    return msgspec.structs.replace(new, cuts=(*old.cuts, old.size))


def _ends_a_row(path: Path, size: int) -> bool:
    """Whether the first `size` bytes end at the end of a line."""
    if size == 0:
        return True
    with path.open("rb") as file:
        file.seek(size - 1)
        around = file.read(2)
    return b"\n" in around


def compare(old: list[FrozenInput], new: list[FrozenInput], paths: list[Path]) -> list[FrozenInput]:
    """`new`, checked to be `old` or to have grown only at its end.

    The last input may have grown and others may follow; an earlier one may not, for it would move
    the rows of all after it. Raises InputError naming the file.
    """
    if len(new) < len(old):
        raise InputError(f"{old[len(new)].name}: the run began with it, it is missing now", _BACK)
    kept = [grown(*three) for three in zip(old, new, paths, strict=False)]
    for before, now in zip(old[:-1], kept, strict=False):
        if now.size != before.size:
            raise InputError(
                f"{now.name}: grew, but is not the last input, so all rows after it would move",
                "Put what is new into a file of its own, after the others.",
            )
    return kept + new[len(old) :]
