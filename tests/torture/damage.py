"""Files of a run, damaged one at a time: each is read right or refused, whatever bit flips.

Runs as a process of its own, `python damage.py KIND TEMPLATE SCRATCH FIRST COUNT`, so that a crash
of native code is seen, and within bounded memory. It prints what it did; if something is read
wrong, it says what damage that was and exits with 1.
"""

from __future__ import annotations

import json
import random
import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from penstock.disk import Disk
from penstock.errors import PenstockError, RowMissing
from penstock.ledger.checkpoint import read_checkpoint, void_checkpoint
from penstock.ledger.epoch import highest_named, recorded_epoch
from penstock.ledger.generation import read_generations
from penstock.ledger.lock import read_crew
from penstock.ledger.published import read_published
from penstock.ledger.recovery import survey
from penstock.ledger.results import results
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.segment_reader import SegmentReader
from penstock.ledger.summary import read_summary
from penstock.ledger.verify import verify
from penstock.sources import spool
from penstock.sources.spool_file import SpoolFile
from torture.faulty_disk import FaultySystem
from torture.life import Life, Promises

RUN: Final = "out.jsonl.run"
MEMORY_BYTES: Final = 4 << 30  # of address space; Arrow and its threads take much of it
MOST_RESIDENT_KIB: Final = 600 << 10


class Damage(NamedTuple):
    """What was done to which file."""

    path: Path  # below the template
    what: str
    data: bytes


def flips(template: Path, first: int, count: int) -> Iterator[Damage]:
    """Flips of one bit, or a few, spread over the files that are read again."""
    paths = readable(template)
    for seed in range(first, first + count):
        chance = random.Random(seed)
        path = chance.choice(paths)
        data = bytearray((template / path).read_bytes())
        places = [chance.randrange(len(data) * 8) for _ in range(chance.choice((1, 1, 1, 2, 8)))]
        for place in places:
            data[place // 8] ^= 1 << place % 8
        yield Damage(path, f"seed {seed}: bits {places} flipped", bytes(data))


def prefixes(template: Path, first: int, stride: int) -> Iterator[Damage]:
    """Every prefix of every file; with a stride, one in so many of the long ones."""
    for path in readable(template):
        data = (template / path).read_bytes()
        for size in range(first % stride, len(data), stride if len(data) > 1000 else 1):
            yield Damage(path, f"cut after {size} of {len(data)} bytes", data[:size])


def readable(template: Path) -> list[Path]:
    """The files of the run that are read again."""
    found = sorted(path for path in (template / RUN).rglob("*") if path.stat().st_size)
    return [
        path.relative_to(template)
        for path in found
        if path.is_file() and path.suffix != ".torn" and path.name != "table.arrow"
    ]


# --- reading one file -----------------------------------------------------------------------------


def content_of(path: Path, run_dir: RunDirectory, run_id: str) -> Any:
    """What is read of a file. A list may end early; anything else is whole or refused."""
    if path.parent == run_dir.segments:
        return [(one.mark, one.batch) for one in SegmentReader(path, run_id)]
    if path.parent == run_dir.spool:
        return blocks(SpoolFile(path, writable=False))
    if path.parent == run_dir.generations:
        return {one.number: (one.job, list(one.rows)) for one in read_generations(run_dir, run_id)}
    if path in (run_dir.checkpoint_path, run_dir.previous_checkpoint_path):
        return read_checkpoint(run_dir, run_id)
    readers: dict[Path, Callable[[], Any]] = {
        run_dir.manifest_path: run_dir.manifest,
        run_dir.summary_path: lambda: read_summary(run_dir.path),
        run_dir.epoch_path: lambda: recorded_epoch(run_dir),
        run_dir.workers_path: lambda: read_crew(run_dir),
        run_dir.exports_path: lambda: read_published(run_dir.path),
    }
    return readers[path]()


def blocks(file: SpoolFile) -> list[bytes]:
    found, position = [], 0
    while position < file.end:
        data, position = file.block(position)
        found.append(data)
    return found


def check_read(folder: Path, damage: Damage, truth: dict[Path, list[Any]]) -> None:
    """Raises AssertionError where a damaged file is read wrong."""
    run_dir = RunDirectory(folder / RUN)
    path = folder / damage.path
    path.write_bytes(damage.data)
    run_id, *right = truth[damage.path]
    try:
        read = content_of(path, run_dir, run_id)
    except PenstockError:
        return
    if path in (run_dir.workers_path, run_dir.exports_path):
        return  # of no consequence but a refusal: no process, and no file, is known by them
    if path == run_dir.epoch_path:
        assert max(read, highest_named(run_dir)) >= highest_named(run_dir)
        return
    if isinstance(read, list):
        assert read == right[0][: len(read)], "wrong data"
    else:
        assert any(read == one for one in right), f"wrong data: {read}"


def truth_of(template: Path) -> dict[Path, list[Any]]:
    """What each file may be read as."""
    run_dir = RunDirectory(template / RUN)
    run_id = run_dir.manifest().run_id
    truth = {
        path: [run_id, content_of(template / path, run_dir, run_id)] for path in readable(template)
    }
    newest = Path(RUN) / run_dir.checkpoint_path.name
    before = Path(RUN) / run_dir.previous_checkpoint_path.name
    truth[newest].append(None)
    if before in truth:
        aside = run_dir.checkpoint_path.rename(run_dir.checkpoint_path.with_suffix(".aside"))
        truth[newest].append(read_checkpoint(run_dir, run_id))
        aside.rename(run_dir.checkpoint_path)
    return truth


# --- the whole command ----------------------------------------------------------------------------


def check_command(folder: Path, damage: Damage, template: Path, known: dict[str, Any]) -> str:
    """Raises AssertionError unless the command ends right, or refuses in words."""
    shutil.rmtree(folder)
    shutil.copytree(template, folder)
    (folder / damage.path).write_bytes(damage.data)
    life = Life(folder)
    for generation, row, said in known["bought"]:
        life.bought[generation, row].add(said)
    if damage.path.parent.name != "segments":  # else rows are lost, and asked for again
        life.promises = Promises()
        life.promises.told = {(generation, row) for generation, row in known["told"]}
    life.purchased(10_000)
    check_readers(life)
    try:
        life.complete()
    except RowMissing:
        void_checkpoint(Disk(), RunDirectory(life.run_dir))
        life.complete()
    except PenstockError:
        return "refused"
    life.check_output()
    return "right"


def check_readers(life: Life) -> None:
    """What the commands that only look tell is right, or they refuse."""
    try:
        run_dir = RunDirectory(life.run_dir)
        run_id = run_dir.manifest().run_id
        counted = survey(run_dir, run_id).account.ended
        there = 0
        for batch in results(life.run_dir, partial=True):
            there += batch.num_rows
            for row in batch.to_pylist():
                said = row["output"] or row["error_message"]
                assert said in life.bought[row["generation"], row["row"]], f"wrong data: {row}"
        if counted != there:
            assert verify(life.run_dir).problems, "rows are counted that are not there"
    except PenstockError:
        pass


def main(kind: str, template: Path, scratch: Path, first: int, count: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    Disk.system = FaultySystem()
    spool.BLOCK_BYTES = 700
    known = json.loads((template / "known.json").read_bytes())
    damages = (prefixes if kind == "prefixes" else flips)(template, first, count)
    folder = scratch / "damaged"
    shutil.copytree(template, folder)
    truth = truth_of(template)
    done = refused = 0
    for damage in damages:
        done += 1
        try:
            if kind == "commands":
                refused += check_command(folder, damage, template, known) == "refused"
            else:
                check_read(folder, damage, truth)
                shutil.copyfile(template / damage.path, folder / damage.path)
        except Exception:
            print(f"{damage.path}: {damage.what}", file=sys.stderr)
            raise
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert resident < MOST_RESIDENT_KIB, f"{resident} KiB were used"
    print(json.dumps({"done": done, "refused": refused}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
