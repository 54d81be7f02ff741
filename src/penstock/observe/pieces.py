"""The pieces of text that the bar and the lines are made of, in order of importance."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.observe.snapshot import Snapshot
from penstock.observe.words import count, counted, duration, money, percent, rate, seconds, short

SEPARATOR = " · "


def done_words(snapshot: Snapshot) -> str:
    """`612/1,000 61 %`, or `612 rows` while the total is not known."""
    if snapshot.total is None:
        return f"{count(snapshot.done)} rows"
    return f"{count(snapshot.done)}/{count(snapshot.total)} {percent(done_share(snapshot))}"


def done_share(snapshot: Snapshot) -> float:
    """The part of all rows that is done, 0..1; 0 while the total is not known."""
    if snapshot.total is None:
        return 0.0
    return min(1.0, snapshot.done / snapshot.total) if snapshot.total else 1.0


def eta_words(snapshot: Snapshot) -> str:
    """`ETA 0:42`, or how long it has taken while there is none."""
    if snapshot.phase == "done":
        return f"in {duration(snapshot.elapsed_seconds)}"
    if snapshot.eta_seconds is None or snapshot.phase == "exporting":
        return f"{duration(snapshot.elapsed_seconds)} so far"
    return f"ETA {duration(snapshot.eta_seconds)}"


def traffic(snapshot: Snapshot) -> Iterator[str]:
    """How fast it goes, and what is under way."""
    yield f"{rate(snapshot.rate_now)} now"
    yield f"{rate(snapshot.rate_mean)} mean"
    yield f"{count(snapshot.in_flight)} in flight"
    yield counted(snapshot.retries, "retry", "retries")
    yield counted(snapshot.throttles, "throttle")
    if snapshot.reused:
        yield f"{count(snapshot.reused)} reused"
    if snapshot.deduplicated:
        yield counted(snapshot.deduplicated, "duplicate")


def usage(snapshot: Snapshot) -> Iterator[str]:
    """What it uses, and how long an answer takes."""
    tokens = snapshot.tokens
    cached = tokens.get("cached_input", 0)
    read = tokens.get("uncached_input", 0) + cached
    written = tokens.get("visible_output", 0) + tokens.get("reasoning", 0)
    yield f"tokens {short(read)} in" + (f" ({short(cached)} cached)" if cached else "")
    yield f"{short(written)} out"
    if snapshot.cost_usd is not None:
        of = "" if snapshot.budget_usd is None else f" of {money(snapshot.budget_usd)}"
        yield money(snapshot.cost_usd) + of
    yield f"p50 {seconds(snapshot.p50_seconds)}"
    yield f"p99 {seconds(snapshot.p99_seconds)}"


def failures(snapshot: Snapshot) -> Iterator[str]:
    """The dead letters by class, most frequent first; nothing where there are none."""
    by_class = sorted(snapshot.failed_by_class.items(), key=lambda pair: (-pair[1], pair[0]))
    if by_class:
        yield f"{count(snapshot.failed)} failed"
    for error_class, number in by_class:
        yield f"{error_class} {count(number)}"


def flow(pieces: Iterator[str] | list[str], width: int) -> list[str]:
    """The pieces on as few lines as `width` columns allow; only one that is too wide is cut."""
    lines: list[str] = []
    for piece in pieces:
        fitted = piece if len(piece) <= width else piece[: max(0, width - 1)] + "…"
        if lines and len(lines[-1]) + len(SEPARATOR) + len(fitted) <= width:
            lines[-1] += SEPARATOR + fitted
        else:
            lines.append(fitted)
    return lines
