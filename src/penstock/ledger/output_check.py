"""What must be true of an output before the first request: no paid run may fail at its export.

`--overwrite` lets go of a file that is in the way. It does not let an output stand where the next
run of the same command would read it as input: the inputs would have changed, and the run be
refused.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from penstock.errors import OutputError
from penstock.job import OUTPUT_FORMATS
from penstock.ledger.published import is_published

ELSEWHERE = "Put the output in a folder of its own."


def failed_output(output: Path) -> Path:
    """Where the dead letters of an export to `output` go."""
    return output.with_name(output.name + ".failed.jsonl")


def check_output(
    output: Path, run_dir: Path, inputs: Sequence[str], *, overwrite: bool = False
) -> None:
    """Raises OutputError unless `output` and its dead letters can be written, harming nothing.

    `inputs` are the job's, as they were given: files, globs, directories, or `-`.
    """
    if output.suffix not in OUTPUT_FORMATS:
        raise OutputError(
            f"output {output}: the format can't be told from its suffix",
            f"Allowed: {', '.join(OUTPUT_FORMATS)}.",
        )
    check_folder(output)
    for target in (output, failed_output(output)):
        check_file(target)
        check_apart(target, run_dir, inputs)
        if target.exists() and not overwrite and not is_published(run_dir, target):
            raise OutputError(
                f"output {target} exists, and this run did not make it",
                "Move it away, name another output, or replace it with --overwrite.",
            )


def check_folder(output: Path) -> None:
    """Raises OutputError unless files can be made beside `output`."""
    folder = output.parent
    if not folder.is_dir():
        raise OutputError(
            f"output {output}: there is no folder {folder}", "Make it, or name another output."
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(
            f"output {output}: no permission to write in {folder}",
            "Change its permissions, or name another output.",
        )


def check_file(target: Path) -> None:
    """Raises OutputError where `target` is something else than a file."""
    if target.is_dir():
        raise OutputError(f"output {target} is a folder", "Name a file.")
    if target.exists() and not target.is_file():
        raise OutputError(f"output {target} is not a regular file", "Name a regular file.")


def check_apart(target: Path, run_dir: Path, inputs: Sequence[str]) -> None:
    """Raises OutputError where `target` is, or would be read as, an input or a part of the run."""
    real = target.resolve()
    if real.is_relative_to(run_dir.resolve()):
        raise OutputError(f"output {target} is inside the run directory {run_dir}", ELSEWHERE)
    for given in inputs:
        path = Path(given)
        if given == "-":
            continue
        if path.is_dir():
            if real.is_relative_to(path.resolve()):
                raise OutputError(
                    f"output {target} is inside the input directory {path}", ELSEWHERE
                )
        elif path.exists():
            if real == path.resolve():
                raise OutputError(f"output {target} is an input", "Name another output.")
        elif matches(real, given):
            raise OutputError(f"output {target} would match the input {given}", ELSEWHERE)


def matches(real: Path, pattern: str) -> bool:
    """Whether a glob would find the file `real`, were it there."""
    folder, name = os.path.split(pattern)
    return fnmatch(real.name, name) and any(
        Path(found).resolve() == real.parent
        for found in glob.glob(folder or ".", recursive=True)  # noqa: PTH207
    )
