"""The verdict table of OpenAI's API and of the servers compatible with it.

From https://platform.openai.com/docs/guides/error-codes, and from what the compatible servers send.
"""

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
        # An error object that names no code of its own speaks of the record, and makes a dead
        # letter. Any other 404 says that the API, the deployment or the model is not at this URL:
        # no record can do better, so none is blamed, and a million rows are not burnt one by one.
        (404, None, REJECTED, "not_found"),
        (404, UNREADABLE, FATAL, "not_found"),
        (404, "404", FATAL, "not_found"),  # Azure: no such resource; vLLM: no such model
        (404, "not_found_error", FATAL, "model"),  # Ollama
        (405, None, FATAL, "not_found"),
        (407, None, FATAL, "auth"),
        (408, None, RETRY, "server_timeout"),
        (409, None, RETRY, "conflict"),
        (413, None, REJECTED, "request_too_large"),
        (413, "rate_limit_exceeded", REJECTED, "request_too_large"),  # Groq: above TPM by itself
        (425, None, RETRY, "conflict"),
        (429, None, THROTTLED, "rate_limit"),
        (429, "credit_limit", THROTTLED, "rate_limit"),  # Together's type for a plain rate limit
        (500, None, RETRY, "server_error"),
        # vLLM, Ollama and llama.cpp say 503 when their queue is full or the model is loading. A
        # proxy's page and OpenAI's own server_error are failures, and count towards endpoint-down.
        (503, None, THROTTLED, "overloaded"),
        (503, UNREADABLE, RETRY, "server_error"),
        (503, "server_error", RETRY, "server_error"),
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
        (ANY_STATUS, "model_not_found", FATAL, "model"),
        (ANY_STATUS, "DeploymentNotFound", FATAL, "model"),  # Azure
        (ANY_STATUS, "context_length_exceeded", REJECTED, "context_length"),
        (ANY_STATUS, "exceed_context_size_error", REJECTED, "context_length"),  # llama.cpp
        (ANY_STATUS, "content_filter", REJECTED, "content_filter"),  # Azure
        (ANY_STATUS, "content_policy_violation", REJECTED, "content_filter"),
        (ERROR_IN_200, "invalid_request_error", REJECTED, "invalid_request"),
        *GOOGLE_RULES,  # its servers are compatible too, and say in details what they mean
    )
)
