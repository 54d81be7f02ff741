"""The verdict table of Gemini's API: https://ai.google.dev/gemini-api/docs/troubleshooting."""

from __future__ import annotations

from typing import Final

from penstock.providers.verdicts import (
    ANY_STATUS,
    ERROR_IN_200,
    FATAL,
    GOOGLE_RULES,
    REJECTED,
    RETRY,
    SUCCEEDED,
    THROTTLED,
    TRANSPORT_RULES,
    UNREADABLE,
    Rule,
    with_error_in_200,
)

RULES: Final[tuple[Rule, ...]] = with_error_in_200(
    (
        *TRANSPORT_RULES,
        (200, None, SUCCEEDED, ""),
        (400, None, REJECTED, "invalid_request"),  # 413, 422 and the rest of 4xx follow it
        (401, None, FATAL, "auth"),
        (402, None, FATAL, "quota"),
        (403, None, FATAL, "permission"),
        # The model is in the path, which is the job's: what is not there is there for no record.
        (404, None, FATAL, "model"),
        (404, UNREADABLE, FATAL, "not_found"),
        (405, None, FATAL, "not_found"),
        (407, None, FATAL, "auth"),
        (408, None, RETRY, "server_timeout"),
        (409, None, RETRY, "conflict"),
        (413, None, REJECTED, "request_too_large"),
        (425, None, RETRY, "conflict"),
        # By the minute. A daily quota is the same status and type, and known by its id alone.
        (429, None, THROTTLED, "rate_limit"),
        (499, None, RETRY, "server_timeout"),  # CANCELLED
        (500, None, RETRY, "server_error"),
        (503, None, RETRY, "overloaded"),
        (503, UNREADABLE, RETRY, "server_error"),
        (504, None, RETRY, "server_timeout"),
        (ERROR_IN_200, "INVALID_ARGUMENT", REJECTED, "invalid_request"),
        (ANY_STATUS, "UNAUTHENTICATED", FATAL, "auth"),
        (ANY_STATUS, "PERMISSION_DENIED", FATAL, "permission"),
        *GOOGLE_RULES,
    )
)
