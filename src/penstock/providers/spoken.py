"""What some servers say in words alone, though it stops the run.

Words are part of no contract, and records may be quoted in them: nothing else is judged by them,
and of these only the beginning counts. They stop a run with its rows pending, so that words which
came to mean something else would cost no row and no money. Where one of them changes, its records
are rejected one by one, as by any 400 or 404.
"""

from __future__ import annotations

import re
from typing import Final

CREDIT: Final = "credit_balance_too_low"
MODEL: Final = "model_not_found"

# By status: how the message begins, and the code that it stands for.
SPOKEN: Final[dict[int, tuple[tuple[re.Pattern[str], str], ...]]] = {
    400: (
        # Anthropic: "Your credit balance is too low to access the Anthropic API."
        (re.compile(r"Your credit balance is too low"), CREDIT),
        # LiteLLM, in front of any API: "/chat/completions: Invalid model name passed in model=x."
        (re.compile(r"(?:[\w/]{1,60}: )?Invalid model name passed in model="), MODEL),
    ),
    404: (
        # Anthropic, where a file that a record names may be what is not there: "model: claude-x"
        (re.compile(r"model: "), MODEL),
        # Gemini: "models/x is not found for API version v1beta, or is not supported for ..."
        (re.compile(r"models/\S{1,200} is not (?:found|supported)"), MODEL),
    ),
}


def spoken_code(status: int, message: str) -> str | None:
    """The code that a message stands for; None where it has to be judged by its codes."""
    return next((code for words, code in SPOKEN.get(status, ()) if words.match(message)), None)
