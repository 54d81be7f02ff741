"""Fuzzes one target guided by coverage, or plays single inputs again.

    python -m torture.fuzz TARGET --seconds 60 --folder DIR      (needs atheris)
    python -m torture.fuzz TARGET FILE...

with `tests` in PYTHONPATH. Whatever fails is kept as DIR/crash-..., timeout-... or oom-...
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Final

MOST_MEGABYTES: Final = 2048
MOST_BYTES: Final = 1 << 14  # of an input


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m torture.fuzz")
    parser.add_argument("target")
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    folder = asked.folder or Path(tempfile.mkdtemp())
    if asked.files:
        again(asked.target, asked.files, folder)
    else:
        guided(asked.target, asked.seconds, folder)


def again(name: str, files: list[Path], folder: Path) -> None:
    """Plays inputs as they are; raises for the first that fails."""
    from torture.fuzz.target import load, timed

    for file in files:
        timed(load(name), file.read_bytes(), folder)
        print(f"{file}: passed")


def guided(name: str, seconds: int, folder: Path) -> None:
    """Plays what atheris makes of the seeds; ends the process."""
    import atheris

    # What is to be seen from inside has to be imported here.
    with atheris.instrument_imports(include=["penstock", "jinja2"]):
        from torture.fuzz.target import MOST_SECONDS, load, timed

        target = load(name)
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(target.seeds()):
        (corpus / f"{number}").write_bytes(seed)
    options = {
        "max_total_time": seconds,
        "rss_limit_mb": MOST_MEGABYTES,
        "timeout": int(2 * MOST_SECONDS),
        "max_len": MOST_BYTES,
        "artifact_prefix": f"{folder}/",
        "print_final_stats": 1,
        "seed": 1,
    }
    flags = [f"-{option}={value}" for option, value in options.items()]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], lambda data: timed(target, data, folder))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
