"""What is asked and answered: distinct payloads of about 0.5 KB, and one answer of that size.

Nothing but the standard library: peers in other environments, and scripts, import it too.
"""

from __future__ import annotations

FILLER = "All work and no play makes for a dull benchmark. " * 9
MODEL = "bench"
ANSWER = {
    "id": "chatcmpl-0123456789",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "bench",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "The answer is forty-two. " * 10},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 120, "completion_tokens": 48, "total_tokens": 168},
}


def text(row: int) -> str:
    """What the request of one row asks; `peers/loop.go` says the same."""
    return f"{row}: {FILLER}"
