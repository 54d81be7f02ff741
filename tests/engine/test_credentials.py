"""Where the key comes from, and that it does not show."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from penstock.engine import credentials
from penstock.engine.credentials import extra_headers, find_key, secrets_of
from penstock.engine.secret import Secret
from penstock.errors import JobError
from penstock.job import Job

CANARY = "sk-canary-0123456789"
ELSEWHERE = "http://127.0.0.1:1/v1"


def test_a_secret_shows_itself_in_no_form_but_when_revealed() -> None:
    secret = Secret(CANARY)
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", str([secret])):
        assert CANARY not in shown
    assert secret.reveal() == CANARY
    assert not hasattr(secret, "__dict__")  # which dumps of objects show
    try:
        raise ValueError(secret)
    except ValueError:
        assert CANARY not in traceback.format_exc()


def test_secrets_are_equal_by_what_they_hold() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1


def test_openais_key_is_taken_for_openais_host_alone() -> None:
    environment = {"OPENAI_API_KEY": CANARY}
    assert find_key(Job(), environment) == Secret(CANARY)
    assert find_key(Job(base_url=ELSEWHERE), environment) is None
    named = Job(base_url=ELSEWHERE, api_key_env="OPENAI_API_KEY")
    assert find_key(named, environment) == Secret(CANARY)


PLACES = {
    "ANTHROPIC_API_KEY": "https://api.anthropic.com/v1",
    "GEMINI_API_KEY": "https://generativelanguage.googleapis.com/v1beta",
    "GOOGLE_API_KEY": "https://generativelanguage.googleapis.com/v1beta",
    "AZURE_OPENAI_API_KEY": "https://name.openai.azure.com/openai/v1",
    "GROQ_API_KEY": "https://api.groq.com/openai/v1",
    "OPENAI_API_KEY": "https://api.openai.com/v1",
}


@pytest.mark.parametrize(("variable", "base_url"), PLACES.items())
def test_each_provider_s_key_is_taken_for_its_own_hosts_alone(variable: str, base_url: str) -> None:
    environment = {variable: CANARY}
    assert find_key(Job(base_url=base_url), environment) == Secret(CANARY)
    assert find_key(Job(base_url=ELSEWHERE), environment) is None
    for other in set(PLACES.values()) - {base_url}:
        with pytest.raises(JobError, match="there is no key"):
            find_key(Job(base_url=other), environment)


def test_the_first_variable_that_is_set_holds_the_key() -> None:
    job = Job(base_url=PLACES["GEMINI_API_KEY"])
    both = {"GEMINI_API_KEY": " ", "GOOGLE_API_KEY": CANARY}
    assert find_key(job, both) == Secret(CANARY)
    with pytest.raises(JobError, match="GEMINI_API_KEY or GOOGLE_API_KEY is not set"):
        find_key(job, {})


def test_who_brings_a_token_in_a_header_needs_no_key() -> None:
    job = Job(base_url=PLACES["AZURE_OPENAI_API_KEY"], header={"Authorization": "env:TOKEN"})
    assert find_key(job, {}) is None
    named = Job(base_url=ELSEWHERE, api_key_env="KEY", header={"Authorization": "env:TOKEN"})
    with pytest.raises(JobError, match="KEY is not set"):
        find_key(named, {})


@pytest.mark.parametrize(
    "url", ["https://api.openai.com.evil.example/v1", "https://evil.example/api.openai.com"]
)
def test_a_host_that_only_looks_like_openais_gets_no_key(url: str) -> None:
    assert find_key(Job(base_url=url), {"OPENAI_API_KEY": CANARY}) is None


@pytest.mark.parametrize("environment", [{}, {"OPENAI_API_KEY": ""}, {"OPENAI_API_KEY": " \n"}])
def test_a_missing_key_is_refused_by_the_name_of_its_variable(environment: dict[str, str]) -> None:
    with pytest.raises(JobError, match="OPENAI_API_KEY"):
        find_key(Job(), environment)


def test_a_key_is_stripped_of_the_line_break_that_files_end_with(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{CANARY}\n")
    job = Job(base_url=ELSEWHERE, api_key_file=str(tmp_path / "key"))
    assert find_key(job, {}) == Secret(CANARY)


@pytest.mark.parametrize("content", [b"", b" \n\n", b"\xff\xfe", b"sk-\nsk-", "sk-ключ".encode()])
def test_a_key_file_that_holds_no_key_is_refused_without_showing_it(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(JobError, match="--api-key-file") as caught:
        credentials.read_key_file(path)
    assert "sk-" not in str(caught.value)


def test_a_missing_key_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="--api-key-file"):
        credentials.read_key_file(tmp_path / "nowhere")


def test_a_variable_whose_value_no_header_can_hold_is_refused_without_showing_it() -> None:
    job = Job(api_key_env="KEY")
    with pytest.raises(JobError, match="environment variable KEY") as caught:
        find_key(job, {"KEY": f"{CANARY}\r\nX-Evil: 1"})
    assert CANARY not in str(caught.value)


def test_headers_take_values_from_the_environment_and_those_are_secrets() -> None:
    job = Job(header={"X-Team": "blue", "X-Token": "env:TOKEN"})
    headers = extra_headers(job, {"TOKEN": CANARY})
    assert headers == {"X-Team": "blue", "X-Token": CANARY}
    assert secrets_of(Secret("the-key"), job, headers) == ["the-key", CANARY]
    assert secrets_of(None, Job(), {}) == []


def test_a_header_whose_variable_is_not_set_is_refused() -> None:
    with pytest.raises(JobError, match=r"X-Token.*TOKEN"):
        extra_headers(Job(header={"X-Token": "env:TOKEN"}), {})


@pytest.mark.parametrize(
    "header",
    [
        *({"X": "a\r\nY: b"}, {"X\n": "a"}, {"": "a"}, {"X": "a\0"}, {"X": "env:SPLIT"}),
        # Sent as it stood, this one made servers read the body as chunks, and what was left of it
        # as the next request.
        {"Transfer-Encoding": "chunked"},
        *({"content-length": "5"}, {"Connection": "close"}, {"Bad Name": "a"}, {"Bad:Name": "a"}),
    ],
)
def test_a_header_that_would_split_the_request_is_refused(header: dict[str, str]) -> None:
    with pytest.raises(JobError):
        extra_headers(Job(header=header), {"SPLIT": "a\r\nb"})
