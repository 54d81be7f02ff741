"""What the loops in Python share: their arguments, the question, and whether it was answered.

Nothing but the standard library, since each peer lives in an environment of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from harness.payload import MODEL, text

ANSWER = "The answer is forty-two."


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--requests", type=int, required=True)
    parser.add_argument("--connections", type=int, default=128)
    parser.add_argument("--ca-file")
    return parser.parse_args()


def messages(row: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": text(row)}]


def body(row: int) -> dict[str, Any]:
    return {"model": MODEL, "messages": messages(row)}


def check(content: str | None) -> None:
    """Raises ValueError where that is not what the server answers."""
    if not content or not content.startswith(ANSWER):
        raise ValueError(f"not the answer: {content!r}")


def check_count(answered: int, requests: int) -> None:
    """Exits where an answer is missing."""
    if answered != requests:
        sys.exit(f"{answered} answers to {requests} requests")


async def ask_all(
    ask: Callable[[int], Awaitable[str | None]], rows: Iterable[int], at_once: int
) -> int:
    """Ask for every row, so many at once, and check each answer; returns how many there were."""
    waiting, answered = iter(rows), 0

    async def lane() -> None:
        nonlocal answered
        for row in waiting:
            check(await ask(row))
            answered += 1

    await asyncio.gather(*(lane() for _ in range(at_once)))
    return answered
