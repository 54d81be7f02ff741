"""`penstock why`: what limited a run for which share of its time, and what was lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli.options import GroupedCommand

if TYPE_CHECKING:
    from penstock.cli.reasons import Why
    from penstock.cli.text import Section

HELP = """Say what limited a run, for which share of its time, and what raising it would give.

It speaks of the whole run, over all calls that resumed it, also while it goes on. What raising a
limit would give is an estimate: it takes the provider to answer as it did. Also: the share of input
that came from the provider's cache, and what was spent on retries, on answers that were bought
again after a crash, and on those that a redo replaced.

\b
    penstock why answers.parquet.run
"""

BAR = 24  # columns of a share's bar
NAMES = {
    "busy": "asking: time well spent",
    "requests": "waiting for a limit of requests",
    "tokens": "waiting for a limit of tokens",
    "concurrency": "all slots taken, more to send",
    "throttled": "throttled by the provider, or it was down",
    "input": "waiting for input",
    "cpu": "waiting for the CPU",
    "disk": "waiting for the disk",
    "budget": "waiting for what --budget-usd has left",
}


def why(run_dir: str, as_json: bool) -> int:
    """Read the run, and print what it tells."""
    import msgspec

    from penstock.cli.reasons import read_why
    from penstock.cli.text import print_json, print_sections

    found = read_why(Path(run_dir))
    if as_json:
        print_json(msgspec.to_builtins(found))
    else:
        print_sections(f"{run_dir}: {headline(found)}", sections(found))
    return 0


def headline(found: Why) -> str:
    """What limited most."""
    from penstock.observe.words import percent

    reasons = [(share, name) for name, share in found.shares.items() if name != "busy"]
    if not found.shares:
        return "its log tells nothing yet of where its time went"
    share, name = max(reasons, default=(0.0, ""))
    if share < 0.01:
        return "nothing limited it but the provider's own time"
    return f"{percent(share)} of its time went by {NAMES[name]}"


def sections(found: Why) -> Iterator[Section]:
    """The parts of what is known."""
    from penstock.observe.words import count, duration, percent

    use = found.use
    if found.shares:
        calls = "1 call" if found.epochs == 1 else f"{count(found.epochs)} calls"
        yield "time", [f"{duration(use.running_seconds)} running, in {calls}"]
        yield "slots", [share_line(name, share) for name, share in found.shares.items()]
    if found.raising:
        yield "raising", list(raise_lines(found))
    if found.cached_share is not None:
        yield "cache", [f"{percent(found.cached_share)} of the input tokens came from the cache"]
    yield "retries", list(retry_lines(found))
    yield "twice", list(uncounted_lines(found))


def share_line(name: str, share: float) -> str:
    """`##########    42 %  asking: time well spent`."""
    from penstock.observe.words import percent

    return f"{'█' * round(share * BAR):{BAR}}  {percent(share):>5}  {NAMES.get(name, name)}"


def raise_lines(found: Why) -> Iterator[str]:
    """What raising would give, as estimates."""
    from penstock.observe.words import duration

    seconds = found.use.running_seconds
    for one in found.raising:
        faster = duration(seconds / one.factor)
        yield (
            f"{one.words}: about {faster} in place of {duration(seconds)} at best (estimate); "
            f"then {one.then} limits"
        )


def retry_lines(found: Why) -> Iterator[str]:
    """What was asked again, and what that may have cost."""
    from penstock.observe.words import count, counted, short

    use = found.use
    retries = sum(use.retries.values())
    again = counted(retries, "retry", "retries")
    yield f"{again} and {counted(use.throttles, 'throttle')} of {count(use.requests)}"
    if not retries:
        return
    by_class = sorted(use.retries.items(), key=lambda one: -one[1])
    yield " · ".join(f"{name} {count(number)}" for name, number in by_class)
    read, written = found.retried_input_tokens, found.retried_output_tokens
    yield (
        f"lost by them, at most: {short(read)} tokens in and {short(written)} out, if the provider "
        "bills what it did not deliver"
    )


def uncounted_lines(found: Why) -> Iterator[str]:
    """What was paid for answers that do not count."""
    from penstock.observe.words import count, money, short

    if not found.duplicates and not found.redone:
        yield "no answer was bought twice"
        return
    if found.duplicates:
        yield f"{count(found.duplicates)} answers were bought again after a crash"
    if found.redone:
        yield f"{count(found.redone)} rows were asked again by a redo"
    lost = found.uncounted
    cost = f", {money(lost.cost_usd)}" if lost.cost_usd else ""
    tokens = f"{short(lost.input_tokens)} tokens in, {short(lost.output_tokens)} out"
    yield f"paid for answers that do not count: {tokens}{cost}"


command = GroupedCommand(
    "why",
    callback=why,
    params=[
        click.Argument(["run_dir"], metavar="RUN_DIR"),
        click.Option(["--json", "as_json"], is_flag=True, help="Print one line of JSON."),
    ],
    help=HELP,
)
