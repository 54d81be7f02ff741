"""Finding out what a run has, after whatever happened to it.

`survey` looks and changes nothing, so that it works beside a live run. `recover` is for the new
supervisor, with the lock held: it also makes durable what it trusts before it counts it, since a
worker that was killed may have written what no one fsynced, and it seals torn segments.

The plan, which segments are read from where, is a pure decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa

from penstock.disk import Disk
from penstock.errors import LedgerError
from penstock.ledger.account import Account
from penstock.ledger.checkpoint import Checkpoint, VerifiedLength, read_checkpoint
from penstock.ledger.generation import Generation, asked_again, read_generations
from penstock.ledger.mark import SegmentName
from penstock.ledger.rows import RowSet
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.sealing import is_abandoned, remove_leftovers, seal
from penstock.ledger.segment_reader import SegmentReader, VerifiedBatch, read_batch
from penstock.ledger.written import Written, written
from penstock.sources.shard import Cursor

FROM_START: Final = VerifiedLength(0, 0)


class Plan(NamedTuple):
    """Which segments are read, each from where; the checkpoint, if it holds, covers the rest."""

    checkpoint: Checkpoint | None
    reads: dict[SegmentName, VerifiedLength]
    voided: str  # why a checkpoint that there was doesn't hold


class Recovered(NamedTuple):
    """What a run has."""

    account: Account
    cursor: Cursor | None  # where to read the input on; None: from its start
    generations: list[Generation]
    torn: list[SegmentName]  # without an end, or with what does not verify; `recover` sealed them
    voided: str  # why the checkpoint was not used; empty if it was, or there was none


class Voided(LedgerError):
    """Raised when reading shows that the checkpoint does not hold after all."""


def plan(checkpoint: Checkpoint | None, sizes: Mapping[SegmentName, int], again: RowSet) -> Plan:
    """What to read, given what a directory listing and the checkpoint say."""
    voided = why_void(checkpoint, sizes, again) if checkpoint is not None else ""
    if checkpoint is None or voided:
        return Plan(None, dict.fromkeys(sorted(sizes), FROM_START), voided)
    known = checkpoint.segments
    return Plan(checkpoint, {name: known.get(name, FROM_START) for name in sorted(sizes)}, "")


def why_void(checkpoint: Checkpoint, sizes: Mapping[SegmentName, int], again: RowSet) -> str:
    """Why a checkpoint can't stand for the segments it lists; empty if it can."""
    for name, length in checkpoint.segments.items():
        if name not in sizes:
            return f"segment {name} is missing"
        if sizes[name] < length.end_bytes:
            return f"segment {name} has {sizes[name]} bytes of {length.end_bytes} verified ones"
    if again:
        return "rows were asked again, so that copies have to be compared"
    if checkpoint.duplicates:
        return "rows were bought twice, so that copies have to be compared"
    return ""


def recover(disk: Disk, run_dir: RunDirectory, run_id: str) -> Recovered:
    """What the run has, made durable and whole; to be called with the lock held.

    Raises LedgerError if the disk fails: then nothing was counted that may not be there.
    """
    remove_leftovers(disk, run_dir.segments)
    disk.fsync_dir(run_dir.segments)
    return look(run_dir, run_id, disk)


def survey(run_dir: RunDirectory, run_id: str) -> Recovered:
    """What the run has, at this instant; nothing is changed, and no lock is needed."""
    return look(run_dir, run_id, None)


def absorb(
    disk: Disk,
    run_dir: RunDirectory,
    run_id: str,
    epoch: int,
    worker: int,
    told: Mapping[SegmentName, VerifiedLength],
) -> list[Written]:
    """What a dead worker wrote and did not tell, made durable.

    `told` is how far its segments are known already: `Account.segments`. Raises LedgerError.
    """
    found: list[Written] = []
    for name in run_dir.segment_sizes():
        if (name.epoch, name.worker) != (epoch, worker):
            continue
        path = run_dir.segment_path(name)
        if is_abandoned(path):
            seal(disk, path, run_id)
        disk.fsync_file(path)
        start = told.get(name, FROM_START)
        found += map(told_of, reader(path, run_id, start))
    disk.fsync_dir(run_dir.segments)
    return found


def look(run_dir: RunDirectory, run_id: str, disk: Disk | None) -> Recovered:
    """`recover` with a disk, `survey` without one."""
    generations = read_generations(run_dir, run_id)
    again = asked_again(generations)
    made = plan(read_checkpoint(run_dir, run_id), run_dir.segment_sizes(), again)
    torn: list[SegmentName] = []
    try:
        account = follow(made, again, torn, run_dir, run_id, disk)
    except Voided as reason:
        made = plan(None, run_dir.segment_sizes(), again)._replace(voided=reason.what)
        account = follow(made, again, torn, run_dir, run_id, disk)
    return Recovered(
        account,
        cursor=made.checkpoint.cursor if made.checkpoint else None,
        generations=generations,
        torn=torn,
        voided=made.voided,
    )


def follow(
    made: Plan,
    again: RowSet,
    torn: list[SegmentName],
    run_dir: RunDirectory,
    run_id: str,
    disk: Disk | None,
) -> Account:
    """Read as planned, and seal what is torn. Raises Voided if that contradicts the checkpoint."""
    account = Account.of(made.checkpoint) if made.checkpoint else Account(again)
    for name, start in made.reads.items():
        path = run_dir.segment_path(name)
        if disk is not None and not is_abandoned(path):  # that one's copy is synced instead
            disk.fsync_file(path)
        segment = reader(path, run_id, start)
        for found in segment:
            account.add(told_of(found), lambda one: reread(run_dir, run_id, one))
        if segment.is_torn or is_abandoned(path):
            if name not in torn:
                torn.append(name)
            if disk is not None and seal(disk, path, run_id) < segment.batches:
                raise Voided(f"segment {name} has lost batches that had verified")
    if made.checkpoint and account.duplicates:
        raise Voided("rows were bought twice, so that copies have to be compared")
    return account


def reader(path: Path, run_id: str, start: VerifiedLength) -> SegmentReader:
    return SegmentReader(path, run_id, start_bytes=start.end_bytes, from_batch=start.batches)


def told_of(found: VerifiedBatch) -> Written:
    return written(found.batch, found.mark, found.start_bytes, found.end_bytes)


def reread(run_dir: RunDirectory, run_id: str, told: Written) -> pa.RecordBatch:
    """A batch that was told of, from the disk."""
    return read_batch(run_dir.segments / told.segment, run_id, told.start_bytes, told.batch)
