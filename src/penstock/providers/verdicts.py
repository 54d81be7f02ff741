"""The verdict table's words, and the rules that hold for every dialect.

A rule is (status, key, kind, error class), read by the compiled classifier: see `_core.Classifier`
for which of several rules wins. Attempts without an HTTP status of their own have negative
numbers. A key is a provider's error code or type; message text never decides, as it is part of no
contract, but for the few that `spoken` knows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from penstock.providers.spoken import CREDIT, MODEL

# status, key, kind, error class
Rule = tuple[int, str | None, str, str]

SUCCEEDED: Final = "succeeded"
RETRY: Final = "retry"
THROTTLED: Final = "throttled"
REJECTED: Final = "rejected"
FATAL: Final = "fatal"

ANY_STATUS: Final = 0

# How a request may fail without an answer: the transport's kinds.
TRANSPORT: Final = {
    "connect": -1,
    "dns": -2,
    "tls": -3,
    "timeout": -4,
    "connect_timeout": -5,
    "disconnected": -6,
    "too_large": -7,
    "malformed": -8,
    "redirect": -9,
    "no_memory": -12,
}
BAD_RESPONSE: Final = -10  # a 200 that is not what the API promises
ERROR_IN_200: Final = -11  # a 200 that holds an error object

# The type of a refusal whose body is no error object of the API: a proxy's HTML page, nothing at
# all, a web framework's own "not found". It tells who answered, and so what a status means.
UNREADABLE: Final = "unreadable"

# The code of a refusal by a quota that only the next day brings back.
DAILY_QUOTA: Final = "daily_quota"

TRANSPORT_RULES: Final[tuple[Rule, ...]] = (
    (TRANSPORT["connect"], None, RETRY, "connect"),
    (TRANSPORT["dns"], None, RETRY, "dns"),
    # Verification fails alike for every request until someone mends the certificate or --ca-file:
    # retrying only hides that, and dead letters would blame the records.
    (TRANSPORT["tls"], None, FATAL, "tls"),
    (TRANSPORT["connect_timeout"], None, RETRY, "connect_timeout"),
    (TRANSPORT["timeout"], None, RETRY, "timeout"),
    (TRANSPORT["disconnected"], None, RETRY, "disconnected"),
    # Asking again would buy an answer that is too large once more.
    (TRANSPORT["too_large"], None, REJECTED, "response_too_large"),
    (TRANSPORT["malformed"], None, RETRY, "malformed_response"),
    # Redirects are never followed, and an API does not redirect single records: the base URL is
    # wrong (http for https, a missing path) or a login page is in the way.
    (TRANSPORT["redirect"], None, FATAL, "redirect"),
    # Ours, for an answer that could not be held: with fewer of them at a time there may be room.
    (TRANSPORT["no_memory"], None, RETRY, "no_memory"),
    (BAD_RESPONSE, None, RETRY, "bad_response"),
    (ERROR_IN_200, None, RETRY, "error_in_200"),
)

# What a status means whoever answers, unless a dialect's own code or type says more. A number that
# is not here follows its hundred: 422 is judged as 400 is, 502 as 500.
STATUS_RULES: Final[tuple[Rule, ...]] = (
    (200, None, SUCCEEDED, ""),
    (400, None, REJECTED, "invalid_request"),
    (401, None, FATAL, "auth"),
    (402, None, FATAL, "quota"),
    (403, None, FATAL, "permission"),
    # An error object that names no code of its own speaks of the record (a file that is not there),
    # and makes a dead letter. Any other 404 says that the API, the deployment or the model is not
    # at this URL: no record can do better, so none is blamed, and a million rows are not burnt.
    (404, None, REJECTED, "not_found"),
    (404, UNREADABLE, FATAL, "not_found"),
    (405, None, FATAL, "not_found"),
    (407, None, FATAL, "auth"),
    (408, None, RETRY, "server_timeout"),
    (409, None, RETRY, "conflict"),
    (413, None, REJECTED, "request_too_large"),
    (425, None, RETRY, "conflict"),
    (429, None, THROTTLED, "rate_limit"),
    (500, None, RETRY, "server_error"),
    # By code: OpenAI's, and what some servers say in words alone (see `spoken`).
    (ANY_STATUS, MODEL, FATAL, "model"),
    (ANY_STATUS, CREDIT, FATAL, "quota"),
)

# What all dialects have in common.
COMMON_RULES: Final[tuple[Rule, ...]] = (*TRANSPORT_RULES, *STATUS_RULES)

# What Google's APIs say in an error's details (google.rpc.ErrorInfo): a bad key is a 400 there.
GOOGLE_RULES: Final[tuple[Rule, ...]] = (
    (ANY_STATUS, DAILY_QUOTA, FATAL, "quota"),
    (ANY_STATUS, "API_KEY_INVALID", FATAL, "auth"),
    (ANY_STATUS, "API_KEY_SERVICE_BLOCKED", FATAL, "permission"),
    (ANY_STATUS, "API_KEY_HTTP_REFERRER_BLOCKED", FATAL, "permission"),
    (ANY_STATUS, "API_KEY_IP_ADDRESS_BLOCKED", FATAL, "permission"),
    (ANY_STATUS, "SERVICE_DISABLED", FATAL, "permission"),
    (ANY_STATUS, "CONSUMER_INVALID", FATAL, "permission"),
    (ANY_STATUS, "CONSUMER_SUSPENDED", FATAL, "permission"),
    (ANY_STATUS, "BILLING_DISABLED", FATAL, "quota"),
)


def with_error_in_200(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """`rules`, and for each status's default the same for an error object that names it in a 200.

    Gateways answer 200 once they have begun, and put the status that they meant in `code`.
    """
    listed = tuple(rules)
    meant = tuple(
        (ERROR_IN_200, str(status), kind, error_class)
        for status, key, kind, error_class in listed
        if key is None and status >= 400
    )
    return listed + meant
