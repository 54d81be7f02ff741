from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock._wire import Headers
from penstock.observe.redactor import LEAST_CHARACTERS, RedactedHeaders, Redactor

SECRET = 'sk-canary/+"\\é'

secrets = st.text(min_size=LEAST_CHARACTERS, max_size=12).filter(
    lambda text: len(text.strip()) >= LEAST_CHARACTERS
)


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        json.dumps({"message": json.dumps({"echo": SECRET})}),
        json.dumps(SECRET).replace("/", "\\/"),
        f"https://h/v1?key={quote(SECRET, safe='')}",
    ],
    ids=["plain", "json", "json-utf8", "json-in-json", "json-of-php", "url"],
)
def test_a_secret_is_found_in_every_form(form: str) -> None:
    redacted = Redactor([SECRET]).text(f"before {form} after")
    assert "canary" not in redacted
    assert "***" in redacted
    assert redacted.startswith("before ")
    assert redacted.endswith(" after")


@pytest.mark.parametrize("before", [b"", b"x", b"xy"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_is_found_within_what_is_in_base64_of_either_alphabet(
    encode: Callable[[bytes], bytes], before: bytes
) -> None:
    secret = "sk-" + "~?>o" * 8
    shown = encode(before + secret.encode() + b" and more").decode()
    assert set(shown) & set("+/-_")
    assert encode(before + secret.encode()).decode()[8:-8] not in Redactor([secret]).text(shown)


def test_a_secret_is_found_in_either_case() -> None:
    redactor = Redactor(["Sk-Canary-0123456789"])
    assert redactor.text("SK-CANARY-0123456789, sk-canary-0123456789") == "***, ***"


def test_a_secret_is_found_in_a_body_that_escapes_its_letters() -> None:
    """JSON may write any of them by its number."""
    hidden = Redactor(["sk-canary-0123"])
    for body in (
        b'{"echo": "\\u0073k-canary-0123"}',
        b'{"echo": "\\u0073\\u006B\\u002dcanary\\u002d0123"}',
        b'{"echo": "{\\"key\\": \\"s\\\\u006b-canary-0123\\"}"}',
    ):
        assert json.loads(body)
        assert b"canary" not in hidden.body(body)


def test_headers_show_no_secret_whichever_way_they_are_read() -> None:
    headers = RedactedHeaders({"x-request-id": "for-sk-canary"}, Redactor(["sk-canary"]))
    assert headers["x-request-id"] == headers.get("x-request-id") == "for-***"
    assert dict(headers) == {"x-request-id": "for-***"}
    assert headers.get("retry-after", "7") == "7"


@pytest.mark.parametrize("key", ["sk-canary", "sk-canary-é", "sk-\udcff-canary"])
def test_headers_are_taken_as_they_came_only_where_no_secret_is_in_them(key: str) -> None:
    redactor = Redactor([key])
    plain = Headers(b"HTTP/1.1 200 OK\r\nX-Request-Id: abc\r\n\r\n")
    body = b'{"a": "caf\\u00e9\\n"}'
    assert redactor.response(body, plain) == (body, plain)
    assert redactor.response(body, plain)[1] is plain
    shown = key.encode("utf-8", "surrogateescape")
    echoed = Headers(b"HTTP/1.1 200 OK\r\nX-Request-Id: for-%b\r\n\r\n" % shown)
    assert redactor.response(body, echoed)[1]["x-request-id"] == "for-***"
    spelled = b'{"a": "%b"}' % json.dumps(key).encode()[1:-1].replace(b"s", b"\\u0073")
    assert b"canary" not in redactor.response(spelled, plain)[0]
    assert dict(redactor.response(body, {"a": key})[1]) == {"a": "***"}


@given(st.lists(secrets, min_size=1, max_size=3), st.lists(st.text("ab*/ ", max_size=5)), st.data())
def test_no_secret_is_left_wherever_it_stands(
    keys: list[str], around: list[str], data: st.DataObject
) -> None:
    parts = data.draw(st.permutations(keys + around))
    redacted = Redactor(keys).text("".join(parts))
    assert not any(key.strip() in redacted for key in keys)


@given(st.text("ab*", min_size=4, max_size=6), st.text("ab*", max_size=40))
def test_masking_one_occurrence_never_makes_another(key: str, text: str) -> None:
    assert key not in Redactor([key]).text(text)


@given(st.text(), st.lists(secrets, max_size=3))
def test_text_without_a_secret_is_left_as_it_is(text: str, keys: list[str]) -> None:
    redactor = Redactor(keys)
    if not any(form in text for form in redactor._forms):
        assert redactor.text(text) == text


@given(secrets, st.binary(max_size=20), st.binary(max_size=20))
def test_no_secret_is_left_in_bytes_that_are_no_text(key: str, left: bytes, right: bytes) -> None:
    secret = key.strip().encode()
    assert secret not in Redactor([key]).body(left + secret + right)


def test_strings_are_found_inside_lists_dicts_and_keys() -> None:
    value = {"a": ["x sk-canary", {"sk-canary": 1}], "b": 7, "c": None, "d": True}
    assert Redactor(["sk-canary"]).value(value) == {
        "a": ["x ***", {"***": 1}],
        "b": 7,
        "c": None,
        "d": True,
    }


def test_a_secret_read_from_a_file_is_known_without_its_line_end() -> None:
    assert Redactor(["sk-canary\n"]).text("got sk-canary.") == "got ***."


@pytest.mark.parametrize("word", ["", "x", "abc"])
def test_a_word_too_short_to_be_a_secret_does_not_mask_the_text(word: str) -> None:
    assert Redactor([word]).text("x abc") == "x abc"


def test_of_two_secrets_one_inside_the_other_both_go() -> None:
    assert Redactor(["abcd", "abcdefgh"]).text("abcdefgh abcd") == "*** ***"


def test_a_mask_makes_no_secret_of_what_stands_beside_it() -> None:
    redactor = Redactor(["ab***"])
    assert "ab***" not in redactor.text("abab***")
    assert b"ab***" not in redactor.body(b"abab***")
