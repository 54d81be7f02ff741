"""From what the user named to the files that are read, in order.

Arguments keep their order; what a glob or a directory gives is sorted. A directory gives the files
directly in it whose suffix is readable, and must hold one format only: the same rows in two formats
would be bought twice. A file that is named twice is read once. Files of run directories, hidden
files and those beginning with `_` (the `_SUCCESS` of other tools) are passed over in globs and
directories.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from penstock.errors import InputError

STDIN: Final = Path("-")

JSONL: Final = "jsonl"
CSV: Final = "csv"
TSV: Final = "tsv"
PARQUET: Final = "parquet"
ARROW: Final = "arrow"

FORMATS: Final = {
    ".jsonl": JSONL,
    ".ndjson": JSONL,
    ".csv": CSV,
    ".tsv": TSV,
    ".parquet": PARQUET,
    ".arrow": ARROW,
}
COMPRESSIONS: Final = {".gz": "gz", ".zst": "zst"}
READABLE: Final = f"{', '.join(FORMATS)}; the text formats also with {' or '.join(COMPRESSIONS)}"


def resolve(paths: Sequence[str]) -> list[Path]:
    """The files that `paths` name: files, globs, directories, and `-`, which stays as it is.

    Raises InputError when one is missing or unreadable, or gives nothing.
    """
    if not paths:
        raise InputError("no input is given", f"Name files to read: {READABLE}.")
    found: dict[str, Path] = {}
    for name in paths:
        for path in _expand(name):
            found.setdefault(os.path.realpath(path) if path != STDIN else "-", path)
    return list(found.values())


def format_of(path: Path) -> tuple[str | None, str]:
    """The format and the compression that a file's suffixes say; None for an unknown format."""
    compression = COMPRESSIONS.get(path.suffix.lower(), "")
    inner = path.with_suffix("") if compression else path
    return FORMATS.get(inner.suffix.lower()), compression


def _expand(name: str) -> list[Path]:
    if name == "-":
        return [STDIN]
    path = Path(name)
    if path.is_dir():
        return _in_directory(path)
    if path.exists():
        return [_readable(path)]
    if glob.has_magic(name):
        matches = _visible(_glob(name))
        if not matches:
            raise InputError(f"{name}: no file matches", "Quote the pattern, or check it.")
        return [_readable(match) for match in matches]
    raise InputError(f"{name}: no such file", f"Relative paths begin at {Path.cwd()}.")


def _in_directory(folder: Path) -> list[Path]:
    try:
        files = _visible(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}", "Make it readable.") from None
    found = [_readable(path) for path in files if format_of(path)[0]]
    if not found:
        raise InputError(
            f"{folder}: holds no file that can be read",
            f"Readable: {READABLE}. For folders in it, name a glob: '{folder}/**/*.jsonl'.",
        )
    _refuse_twins(found)
    formats = sorted({str(format_of(path)[0]) for path in found})
    if len(formats) > 1:
        raise InputError(
            f"{folder}: holds {' and '.join(formats)} files",
            f"Say which to read: '{folder}/*.{formats[0]}', for one.",
        )
    return found


def _refuse_twins(paths: list[Path]) -> None:
    """Raises InputError where one file is there both packed and unpacked."""
    seen: dict[str, Path] = {}
    for path in paths:
        unpacked = path.stem if format_of(path)[1] else path.name
        twin = seen.setdefault(unpacked, path)
        if twin != path:
            raise InputError(
                f"{path.parent}: holds {twin.name} and {path.name}, which look like the same rows",
                "Move one of them away, or name the files to read.",
            )


def _glob(pattern: str) -> Iterator[Path]:
    # Path.glob takes no absolute patterns.
    return map(Path, glob.iglob(pattern, recursive=True))  # noqa: PTH207


def _visible(paths: Iterator[Path]) -> list[Path]:
    return sorted(
        path
        for path in paths
        if not path.name.startswith((".", "_")) and path.is_file() and not _is_of_a_run(path)
    )


def _is_of_a_run(path: Path) -> bool:
    """Whether a file lies in a run directory, where a run keeps what is its own."""
    return any((folder / "run.json").is_file() for folder in path.parents)


def _readable(path: Path) -> Path:
    if not path.is_file():
        raise InputError(
            f"{path}: not a regular file",
            "A pipe can be read once only: pass it as standard input, `-`, which is kept.",
        )
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: permission denied", "Make it readable.")
    return path
