"""Why a run took as long as it did, and cost what it cost: read from its directory alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow.compute as pc

from penstock.ledger.account import Account
from penstock.ledger.copies import Copies
from penstock.ledger.recovery import survey
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.segment_reader import VerifiedBatch
from penstock.ledger.summary import read_summary
from penstock.ledger.written import SUMMED, Spent
from penstock.observe.limiting import limit_words
from penstock.observe.report import Report
from penstock.observe.snapshot import LimitUse
from penstock.observe.use import BUSY, Use, together

# Reasons for a retry of which the provider may have done its work, and may bill it.
ANSWERED: Final = frozenset(
    {"timeout", "disconnected", "bad_response", "malformed_response", "response_too_large"}
)
LEAST_SHARE: Final = 0.05  # of slot time; raising what takes less gives nothing to speak of


class Raise(msgspec.Struct, frozen=True):
    """What would be gained by raising a limit: an estimate."""

    reason: str
    words: str  # which limit, and what to do
    factor: float  # by which the run could be faster, at most
    then: str  # what limits after that


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """What a run made of its time, its tokens and its money."""

    run_dir: str
    epochs: int  # those that the log tells of
    use: Use
    shares: dict[str, float]
    raising: list[Raise]
    answered: int
    tokens: Spent  # of the results that count
    cached_share: float | None  # of the input tokens; None where there are none
    retried_input_tokens: float  # sent again, at most: retries times a usual request
    retried_output_tokens: float  # and perhaps paid for: retries of what may have been answered
    duplicates: int  # results beyond the first of a row: bought again after a crash
    redone: int  # rows that a redo asked again
    uncounted: Spent  # of all results that do not count


def read_why(path: Path) -> Why:
    """Why the run in `path` went as it did. Raises RunDirectoryError, LedgerError."""
    directory = RunDirectory(path)
    manifest = directory.manifest()
    uses = list(uses_of(directory.log_path))
    use = together(uses)
    found = survey(directory, manifest.run_id)
    account, redone = found.account, sum(len(one.rows) for one in found.generations)
    spent, answered = account.spent, account.succeeded
    usual = Spent(
        input_tokens=spent.input_tokens // max(answered, 1),
        output_tokens=spent.output_tokens // max(answered, 1),
    )
    lost = {name: count for name, count in use.retries.items() if name in ANSWERED}
    return Why(
        run_dir=str(path),
        epochs=len(uses),
        use=use,
        shares=use.shares,
        raising=raises(use.shares, limits_of(read_summary(path))),
        answered=answered,
        tokens=spent,
        cached_share=(
            spent.cached_input_tokens / spent.input_tokens if spent.input_tokens else None
        ),
        retried_input_tokens=sum(use.retries.values()) * usual.input_tokens,
        retried_output_tokens=sum(lost.values()) * usual.output_tokens,
        duplicates=account.duplicates,
        redone=redone,
        uncounted=uncounted(directory, manifest.run_id, account, redone),
    )


def limits_of(summary: Report | None) -> dict[str, LimitUse]:
    return summary.limits if summary is not None else {}


def uses_of(log: Path) -> Iterator[Use]:
    """What each epoch made of its time, as the log has it last."""
    newest: Use | None = None
    for event in events(log):
        if event.get("event") == "run_started" and newest is not None:
            yield newest
            newest = None
        elif event.get("event") == "checkpoint_written" and "use" in event:
            newest = msgspec.convert(event["use"], Use)
    if newest is not None:
        yield newest


def events(log: Path) -> Iterator[Mapping[str, Any]]:
    """The lines of a log; one that is cut, or is being written, is left out."""
    if not log.exists():
        return
    with log.open("rb") as lines:
        for line in lines:
            # Most lines are of other kinds: a long run has millions of them in no case.
            if b'"run_started"' in line or b'"checkpoint_written"' in line:
                try:
                    yield msgspec.json.decode(line, type=dict[str, Any])
                except (msgspec.DecodeError, UnicodeDecodeError):
                    continue


def uncounted(directory: RunDirectory, run_id: str, account: Account, redone: int) -> Spent:
    """What the results were paid that do not count; all segments are read only if there are any."""
    sums = Spent()
    if not account.duplicates and not redone:
        return sums

    def add(found: VerifiedBatch) -> None:
        for name in SUMMED:
            more = pc.sum(found.batch[name]).as_py() or 0
            setattr(sums, name, getattr(sums, name) + more)

    Copies(directory, run_id, add)
    sums.add(account.spent, -1)
    return sums


def raises(shares: Mapping[str, float], limits: Mapping[str, LimitUse]) -> list[Raise]:
    """What raising would give, for each reason of a share worth it.

    Slots that wait for a limit are free: without the wait so many more requests would be out. How
    far that goes is for the other limits to say, by the part of them that is in use.
    """
    found = []
    for reason, share in shares.items():
        if reason == BUSY or share < LEAST_SHARE:
            continue
        factor, then = 1 / max(1 - share, 0.01), "--max-concurrency"
        for resource, use in limits.items():
            of_reason = resource == "concurrency" or is_of(reason, resource)
            if not of_reason and use.share > 0 and 1 / use.share < factor:
                factor, then = max(1.0, 1 / use.share), limit_words(resource, use)
        found.append(Raise(reason, what_to_raise(reason, limits), factor, then))
    return found


def is_of(reason: str, resource: str) -> bool:
    """Whether a limit is one that a reason is about."""
    counted = resource.partition("_per_")[0].split("_")
    return reason in counted


def what_to_raise(reason: str, limits: Mapping[str, LimitUse]) -> str:
    """What to do about a reason."""
    own = [
        (use.share, limit_words(resource, use))
        for resource, use in limits.items()
        if is_of(reason, resource)
    ]
    tightest = max(own, default=(0.0, ""))[1]
    match reason:
        case "requests" | "tokens":
            return f"a higher limit than {tightest or reason}, if the provider allows it"
        case "concurrency":
            slots = limits.get("concurrency")
            now = f" (now {slots.limit:,})" if slots else ""
            return f"a higher --max-concurrency{now}, if the provider answers as fast then"
        case "throttled":
            return "a higher allowance from the provider; a lower rate of yours saves the refusals"
        case "input":
            return "faster input: a file in place of a pipe, or one that is not compressed"
        case "budget":
            return "a higher --budget-usd, or fewer requests in flight"
        case "cpu":
            return "more --workers, if the machine has idle cores"
        case _:
            return "a faster disk for the run directory: --run-dir"
