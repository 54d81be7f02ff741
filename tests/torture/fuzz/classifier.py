"""Verdict tables and attempts: the compiled classifier answers as its twin in Python.

Four bytes are a rule (status, key, kind, error class), up to a rule that begins with 255; what
follows are attempts, three bytes each.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from core import twins
from penstock import _core
from penstock.providers.openai_verdicts import RULES

STATUSES: Final = (0, -1, -10, -11, 200, 201, 400, 401, 404, 429, 500, 503, 529, 599, 999)
KEYS: Final = (None, "a", "404", "é", "rate_limit_exceeded", "", "\ud800", "b" * 100)
KINDS: Final = ("succeeded", "retry", "throttled", "rejected", "fatal")
END: Final = 255


def seeds() -> Sequence[bytes]:
    rules = bytes(value % 15 for one in range(20) for value in (one, one * 3, one, one * 7))
    attempts = bytes(value % 15 for one in range(30) for value in (one, one * 2, one * 5))
    return [rules + bytes([END]) + attempts, bytes([END]) + attempts]


def once(data: bytes, folder: Path) -> None:
    end = next((at for at in range(0, len(data), 4) if data[at] == END), len(data))
    rules = [rule(data[at : at + 4]) for at in range(0, end - 3, 4)]
    attempts = [attempt(data[at : at + 3]) for at in range(end + 1, len(data) - 2, 3)]
    for table in (rules, RULES):
        assert verdicts(_core, table, attempts) == verdicts(twins, table, attempts)


def rule(data: bytes) -> tuple[int, str | None, str, str]:
    status, key, kind, name = data
    return pick(STATUSES, status), pick(KEYS, key), pick(KINDS, kind), f"c{name % 3}"


def attempt(data: bytes) -> tuple[int, str | None, str | None]:
    status, code, kind = data
    return pick(STATUSES, status), pick(KEYS, code), pick(KEYS, kind)


def pick(values: Sequence[Any], number: int) -> Any:
    return values[number % len(values)]


def verdicts(core: Any, rules: Any, attempts: Any) -> list[tuple[str, str]] | str:
    """What a classifier says of each attempt, or that it refuses its table."""
    try:
        made = core.Classifier(rules)
    except ValueError:
        return "refused"
    found = [made.classify(*one) for one in attempts]
    return [(one.kind, one.error_class) for one in found]
