"""The verdict table of Gemini's API: https://ai.google.dev/gemini-api/docs/troubleshooting."""

from __future__ import annotations

from typing import Final

from penstock.providers.verdicts import (
    ANY_STATUS,
    COMMON_RULES,
    ERROR_IN_200,
    FATAL,
    GOOGLE_RULES,
    REJECTED,
    RETRY,
    UNREADABLE,
    Rule,
    with_error_in_200,
)

RULES: Final[tuple[Rule, ...]] = with_error_in_200(
    (
        *COMMON_RULES,
        (499, None, RETRY, "server_timeout"),  # CANCELLED
        (503, None, RETRY, "overloaded"),
        (503, UNREADABLE, RETRY, "server_error"),
        (504, None, RETRY, "server_timeout"),
        (ERROR_IN_200, "INVALID_ARGUMENT", REJECTED, "invalid_request"),
        (ANY_STATUS, "UNAUTHENTICATED", FATAL, "auth"),
        (ANY_STATUS, "PERMISSION_DENIED", FATAL, "permission"),
        *GOOGLE_RULES,
    )
)
