"""The verdict table of OpenAI's API and of the servers compatible with it.

From https://platform.openai.com/docs/guides/error-codes, and from what the compatible servers send.
"""

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
    THROTTLED,
    UNREADABLE,
    Rule,
    with_error_in_200,
)

RULES: Final[tuple[Rule, ...]] = with_error_in_200(
    (
        *COMMON_RULES,
        (404, "404", FATAL, "not_found"),  # Azure: no such resource; vLLM: no such model
        (404, "not_found_error", FATAL, "model"),  # Ollama
        (413, "rate_limit_exceeded", REJECTED, "request_too_large"),  # Groq: above TPM by itself
        (429, "credit_limit", THROTTLED, "rate_limit"),  # Together's type for a plain rate limit
        # vLLM, Ollama and llama.cpp say 503 when their queue is full or the model is loading. A
        # proxy's page and OpenAI's own server_error are failures, and count towards endpoint-down.
        (503, None, THROTTLED, "overloaded"),
        (503, UNREADABLE, RETRY, "server_error"),
        (503, "server_error", RETRY, "server_error"),
        (501, "not_supported_error", REJECTED, "invalid_request"),  # llama.cpp
        (529, None, THROTTLED, "overloaded"),
        (ANY_STATUS, "rate_limit_exceeded", THROTTLED, "rate_limit"),
        (ANY_STATUS, "slow_down", THROTTLED, "rate_limit"),
        (ANY_STATUS, "insufficient_quota", FATAL, "quota"),
        (ANY_STATUS, "credit_balance_exhausted", FATAL, "quota"),
        (ANY_STATUS, "organization_spend_limit_exceeded", FATAL, "quota"),
        (ANY_STATUS, "project_spend_limit_exceeded", FATAL, "quota"),
        (ANY_STATUS, "organization_usage_limit_exceeded", FATAL, "quota"),
        (ANY_STATUS, "billing_hard_limit_reached", FATAL, "quota"),
        (ANY_STATUS, "billing_not_active", FATAL, "quota"),
        (ANY_STATUS, "invalid_api_key", FATAL, "auth"),
        # LiteLLM without a database, where keys would be: a key that is not its master key.
        (ANY_STATUS, "no_db_connection", FATAL, "auth"),
        (ANY_STATUS, "DeploymentNotFound", FATAL, "model"),  # Azure
        (ANY_STATUS, "context_length_exceeded", REJECTED, "context_length"),
        (ANY_STATUS, "exceed_context_size_error", REJECTED, "context_length"),  # llama.cpp
        (ANY_STATUS, "content_filter", REJECTED, "content_filter"),  # Azure
        (ANY_STATUS, "content_policy_violation", REJECTED, "content_filter"),
        (ERROR_IN_200, "invalid_request_error", REJECTED, "invalid_request"),
        *GOOGLE_RULES,  # its servers are compatible too, and say in details what they mean
    )
)
