"""What a run that is resumed takes of limits that were tuned: explicit options go before them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from penstock.job import Job
from penstock.ledger.tuned import Tuned


def with_tuned(job: Job, tuned: Tuned | None, explicit: Collection[str]) -> tuple[Job, list[str]]:
    """The job with what was tuned in it, and what is to be said of that.

    `explicit` are the options that a flag, the environment or a caller gave this time; those of a
    job file are not.
    """
    values = tuned.values() if tuned else {}
    taken = {name: value for name, value in values.items() if name not in explicit}
    left = {name: value for name, value in values.items() if name in explicit}
    notes = [f"tuned: {', '.join(map(flag_of, taken.items()))}"] if taken else []
    notes += [
        f"{flag_of((name, getattr(job, name)))} as given; the tuned {value:,.12g} is not used"
        for name, value in left.items()
        if value != getattr(job, name)
    ]
    return msgspec.structs.replace(job, **taken), notes


def flag_of(option: tuple[str, Any]) -> str:
    """An option with its value, as on a command line."""
    name, value = option
    return f"--{name.replace('_', '-')} {value:,.12g}"
