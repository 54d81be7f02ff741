"""What is asked: distinct payloads of about 0.5 KB. Peers in other environments import it too."""

from __future__ import annotations

FILLER = "All work and no play makes for a dull benchmark. " * 9
MODEL = "bench"


def text(row: int) -> str:
    """What the request of one row asks; `peers/loop.go` says the same."""
    return f"{row}: {FILLER}"
