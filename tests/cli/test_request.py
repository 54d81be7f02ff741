"""A request as people see it: nothing secret in it, and a command that really repeats it."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.cli.request import Shown, place_of_key, quoted, shown
from penstock.job import Job
from penstock.providers.provider import provider_for
from penstock.record import Record

FAKE_CURL = """
import json, sys
print(json.dumps({"words": sys.argv[1:], "body": sys.stdin.read()}))
"""


def shown_for(text: str = "hello", **job: Any) -> Shown:
    made = Job(model="m", prompt="{{ text }}", **job)
    provider = provider_for(made)
    request = provider.request(Record(0, "in.jsonl:1", fields={"text": text}))
    return shown(request, provider, made)


def called(command: str, tmp_path: Path, **environment: str) -> dict[str, Any]:
    """What a program called curl is given by a command, in a shell."""
    import json
    import sys

    program = tmp_path / "curl"
    program.write_text(f"#!{sys.executable}{FAKE_CURL}")
    program.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh"],
        input=command,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))


def test_the_key_is_shown_as_the_place_it_comes_from() -> None:
    assert place_of_key(Job()) == "$OPENAI_API_KEY"
    assert place_of_key(Job(api_key_env="OTHER")) == "$OTHER"
    assert place_of_key(Job(api_key_file="my key.txt")) == "$(cat 'my key.txt')"
    assert place_of_key(Job(base_url="http://127.0.0.1:8000/v1")) is None
    assert place_of_key(Job(simulate=True)) is None


def test_text_and_json_hold_no_secret() -> None:
    header = {"X-Api-Key": "sk-canary", "Authorization": "Bearer sk-canary", "X-Team": "env:TEAM"}
    found = shown_for(header=header)
    told = f"{found.text} {found.as_json()} {found.as_curl()}"
    assert "canary" not in told
    assert found.headers["X-Team"] == "$TEAM"
    assert "Authorization: Bearer <redacted>" in shown_for().text


def test_the_url_of_a_simulator_is_not_made_up() -> None:
    assert shown_for(simulate=True).url == "http://simulator/v1/chat/completions"
    assert "POST http://simulator/v1/chat/completions\n" in shown_for(simulate=True).text


def test_curl_sends_the_same_body_and_headers_with_the_key_from_the_environment(
    tmp_path: Path,
) -> None:
    text = 'it\'s "$HOME" `id`\nEND\n\\ ü'
    found = shown_for(text, header={"X-Team": "env:TEAM", "X-Price": "$1 'net'"})
    command = found.as_curl()
    assert "sk-canary" not in command
    told = called(command, tmp_path, OPENAI_API_KEY="sk-canary", TEAM="blue team")
    assert told["body"] == found.body + "\n"
    assert told["words"][:2] == ["-sS", "https://api.openai.com/v1/chat/completions"]
    headers = told["words"][3:-2:2]
    assert "Authorization: Bearer sk-canary" in headers
    assert "X-Team: blue team" in headers and "X-Price: $1 'net'" in headers
    assert told["words"][-2:] == ["--data-binary", "@-"]


def test_curl_takes_the_key_from_its_file_and_the_way_from_the_job(tmp_path: Path) -> None:
    key = tmp_path / "my key"
    key.write_text("sk-canary\n")
    found = shown_for(api_key_file=str(key), ca_file="ca's.pem", proxy="http://proxy:3128")
    words = called(found.as_curl(), tmp_path)["words"]
    assert "Authorization: Bearer sk-canary" in words
    assert words[-6:-2] == ["--cacert", "ca's.pem", "--proxy", "http://proxy:3128"]


@settings(max_examples=200)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)), st.booleans())
def test_a_quoted_word_expands_nothing_but_the_secret(text: str, has_secret: bool) -> None:
    word = f"{text}$KEY{text}" if has_secret else text
    written = quoted(word, frozenset({"$KEY"}))
    if "$KEY" in word:
        assert unquoted(written) == word.replace("$KEY", "\0")
    else:
        assert shlex.split(written) == [word]


def unquoted(word: str) -> str:
    r"""What a shell makes of a double-quoted word, `\0` for each expansion of $KEY."""
    assert word[0] == word[-1] == '"'
    out, rest = "", word[1:-1]
    while rest:
        if rest[0] == "\\" and rest[1] in '\\"$`':
            out, rest = out + rest[1], rest[2:]
        elif rest.startswith("$KEY"):
            out, rest = out + "\0", rest[4:]
        else:
            assert rest[0] not in '"$`', word
            out, rest = out + rest[0], rest[1:]
    return out


@pytest.mark.parametrize("names", [("$KEY", "$KEY_2"), ("$KEY_2", "$KEY")])
def test_of_two_names_that_begin_alike_each_is_itself(names: tuple[str, str]) -> None:
    assert quoted("$KEY_2", frozenset(names)) == '"$KEY_2"'
