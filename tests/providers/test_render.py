from __future__ import annotations

import pytest

from penstock.providers.provider import Request
from penstock.providers.render import describe

REQUEST = Request("/chat/completions", b'{"model":"m","x":"\xc3\xa9"}', "hash", 1, 0)


def test_a_request_is_shown_as_it_would_be_sent() -> None:
    headers = {"Content-Type": "application/json", "OpenAI-Organization": "org-1"}
    assert describe(REQUEST, "https://h/v1/", headers) == (
        "POST https://h/v1/chat/completions\n"
        "Content-Type: application/json\n"
        "OpenAI-Organization: org-1\n"
        "\n"
        '{"model":"m","x":"é"}'
    )


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Authorization", "Bearer canary", "Bearer <redacted>"),
        ("authorization", "canary", "<redacted>"),
        ("api-key", "canary", "<redacted>"),
        ("X-Api-Key", "canary", "<redacted>"),
        ("Proxy-Authorization", "Basic canary", "<redacted>"),
        ("x-auth-token", "canary", "<redacted>"),
        ("Cookie", "canary=1", "<redacted>"),
    ],
)
def test_what_may_be_a_secret_is_not_shown(name: str, value: str, shown: str) -> None:
    text = describe(REQUEST, "https://h/v1", {name: value})
    assert f"{name}: {shown}\n" in text
    assert "canary" not in text
