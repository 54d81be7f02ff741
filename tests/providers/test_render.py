from __future__ import annotations

from typing import Any

import msgspec
import pytest

from penstock.providers.provider import Request
from penstock.providers.render import asked, describe

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


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "system", "content": "Be brief."}, {"content": "Why?"}]},
        {"instructions": "Be brief.", "input": [{"content": [{"text": "Why?"}]}]},
        {"contents": [{"parts": [{"text": "Be brief."}, {"text": "Why?"}]}], "model": "m"},
        {"input": ["Be brief.", "Why?"], "model": "m"},
        {"system": "Be brief.", "messages": [{"content": [{"image_url": {}}, {"text": "Why?"}]}]},
    ],
)
def test_the_words_of_a_request_are_found_in_every_dialect(body: dict[str, Any]) -> None:
    assert asked(msgspec.json.encode(body)) == "Be brief.\n\nWhy?"


def test_a_body_without_words_is_shown_as_it_is() -> None:
    assert asked(b'{"n":1}') == '{"n":1}'
    assert asked(b"\xff") == "\N{REPLACEMENT CHARACTER}"
