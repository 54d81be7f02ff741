"""The verdict table of Anthropic's API: https://docs.claude.com/en/api/errors."""

from __future__ import annotations

from typing import Final

from penstock.providers.verdicts import (
    ANY_STATUS,
    COMMON_RULES,
    ERROR_IN_200,
    FATAL,
    REJECTED,
    RETRY,
    THROTTLED,
    Rule,
    with_error_in_200,
)

RULES: Final[tuple[Rule, ...]] = with_error_in_200(
    (
        *COMMON_RULES,
        (504, None, RETRY, "server_timeout"),
        (529, None, THROTTLED, "overloaded"),
        # The type counts wherever it is said: a gateway may answer 200, or 500 for all of them.
        (ERROR_IN_200, "invalid_request_error", REJECTED, "invalid_request"),
        (ANY_STATUS, "request_too_large", REJECTED, "request_too_large"),
        (ANY_STATUS, "authentication_error", FATAL, "auth"),
        (ANY_STATUS, "permission_error", FATAL, "permission"),
        (ANY_STATUS, "billing_error", FATAL, "quota"),
        (ANY_STATUS, "not_found_error", REJECTED, "not_found"),
        (ANY_STATUS, "rate_limit_error", THROTTLED, "rate_limit"),
        (ANY_STATUS, "overloaded_error", THROTTLED, "overloaded"),
        (ANY_STATUS, "timeout_error", RETRY, "server_timeout"),
        (ANY_STATUS, "api_error", RETRY, "server_error"),
        # In `details.error_code`, beside the type of a plain rate limit.
        (ANY_STATUS, "enforced_spend_limit_reached", FATAL, "quota"),
    )
)
