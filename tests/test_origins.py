"""Reading a job from flags, variables and files: what comes out, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_origin

import msgspec
import pytest

from penstock.errors import JobError
from penstock.job import Job, Message, Option, options
from penstock.origins import (
    EXPECTED,
    OF_OPTION,
    PATH_KEYS,
    QUANTITIES,
    convert,
    expected,
    load_job,
    parse_pair,
    parse_text,
    plain_types,
)

BY_NAME = {one.name: one for one in options()}


def refusal(values: dict[str, Any], **environment: str) -> JobError:
    with pytest.raises(JobError) as caught:
        load_job(values, environment)
    return caught.value


def test_the_default_of_an_option_is_the_jobs() -> None:
    job = Job()
    assert {one.name: one.default for one in options()} == {
        name: getattr(job, name) for name in Job.__struct_fields__
    }
    load_job({}, {})


def test_every_type_has_words_for_what_is_expected() -> None:
    for one in BY_NAME.values():
        for kind in plain_types(one.type):
            is_word = get_origin(kind) is Literal
            assert is_word or kind is type(None) or (get_origin(kind) or kind) in EXPECTED


@pytest.mark.parametrize("one", BY_NAME.values(), ids=lambda one: one.name)
def test_the_words_for_a_number_tell_its_true_bounds(one: Option) -> None:
    if int in plain_types(one.type) and one.name not in OF_OPTION:
        assert getattr(convert({one.name: 1}), one.name) == 1
        with pytest.raises(JobError):
            convert({one.name: 0})
    if float in plain_types(one.type):
        assert getattr(convert({one.name: 1e-9}), one.name) == 1e-9
        with pytest.raises(JobError):
            convert({one.name: 0.0})


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"rpm": 0}, "--rpm 0: expected a whole number of at least 1"),
        ({"rpm": "5"}, "--rpm '5': expected a whole number of at least 1"),
        ({"rps": 10**21}, f"--rps {10**21}: expected at most 1,000,000,000,000,000"),
        ({"timeout": float("nan")}, "--timeout nan: expected a number above 0"),
        ({"timeout": float("inf")}, "--timeout inf: expected a number of seconds"),
        ({"workers": "many"}, "--workers 'many': expected a whole number of at least 1 or auto"),
        ({"progress": "x"}, "--progress 'x': expected auto, bar, lines, json or off"),
        ({"provider": "x"}, "--provider 'x': expected openai"),
        ({"inputs": "a"}, "--inputs 'a': expected a list of paths"),
        ({"header": {"a": 1}}, "--header {'a': 1}: expected a table"),
        ({"fresh": 1}, "--fresh 1: expected true or false"),
        ({"model": 4}, "--model 4: expected text"),
        ({"stop_failed": "200%"}, "--stop-failed '200%': expected a share such as 5%"),
        ({"allow_failed": "few"}, "--allow-failed 'few': expected a share"),
        ({"grace": "soon"}, "--grace 'soon': expected a duration such as 25s"),
        ({"metrics_port": 70000}, "--metrics-port '70000': expected 0 to 65535, or off"),
        ({"output": "out.xlsx"}, "the format can't be told from its suffix"),
        ({"prompt": "a", "messages": "b"}, "both --prompt and --messages are given"),
        ({"prompt": "a", "prompt_file": "b"}, "both --prompt and --prompt-file are given"),
        ({"api_key_env": "A", "api_key_file": "b"}, "both --api-key-env and --api-key-file"),
        ({"base_url": "api.openai.com"}, "expected an http:// or https:// URL"),
        ({"base_url": "ftp://a/v1"}, "expected an http:// or https:// URL"),
        ({"base_url": "http://a:x/v1"}, "expected an http:// or https:// URL"),
        ({"base_url": "http://me:secret@a/v1"}, "the URL carries credentials"),
        ({"base_url": "http://a/v1?x=1"}, "has a query or a fragment"),
        ({"proxy": "localhost"}, "--proxy 'localhost': expected an http"),
        ({"param": {"model": "x"}}, "--param model is not a parameter"),
        ({"param": {"stream": True}}, "--param stream is not a parameter"),
        ({"param": {"a": 1, "a.b": 2}}, "--param a.b: a has a value already"),
        ({"param": {"a.b": 1, "a": 2}}, "--param a: given twice"),
        ({"param": {"a..b": 1}}, "--param a..b: a name between dots is empty"),
        ({"prompt": " "}, "--prompt is empty"),
        ({"limiter": ""}, "--limiter is empty"),
        ({"price": {"input": -1.0}}, "expected KIND = USD, each of 0 to 1,000,000"),
        ({"max_concurrency": 10**6}, "--max-concurrency 1000000: expected at most 65,536"),
        ({"promt": "x"}, "there is no option 'promt'"),
    ],
)
def test_a_value_that_can_not_be_is_refused_with_what_is_expected(
    values: dict[str, Any], says: str
) -> None:
    assert says in refusal(values).what


def test_a_refusal_says_what_next_and_never_shows_credentials_of_a_url() -> None:
    assert refusal({"promt": "x"}).next_step == "Did you mean 'prompt'?"
    assert refusal({"xyzzy": "x"}).next_step == "See `penstock run --help`."
    assert refusal({"rpm": 0}).next_step == "--rpm: Requests per minute, over all workers."
    assert "secret" not in str(refusal({"base_url": "http://me:secret@a/v1"}))


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("RPM", "600", 600),
        ("WORKERS", "auto", "auto"),
        ("WORKERS", "4", 4),
        ("TIMEOUT", "1.5", 1.5),
        ("FRESH", "yes", True),
        ("JSON", "0", False),
        ("METRICS_PORT", "off", "off"),
        ("PROMPT", "7", "7"),
        ("INPUTS", "a:b", ("a", "b")),
        ("PARAM", "a=1\nb.c=x", {"a": 1, "b.c": "x"}),
        ("HEADER", "A=1", {"A": "1"}),
    ],
)
def test_a_variable_is_read_by_the_type_of_its_option(variable: str, text: str, value: Any) -> None:
    job = load_job({}, {f"PENSTOCK_{variable}": text})
    assert getattr(job, variable.lower()) == value


@pytest.mark.parametrize(
    ("variable", "text"),
    [("RPM", "x"), ("RPM", "1.5"), ("FRESH", "maybe"), ("TIMEOUT", ""), ("WORKERS", "some")],
)
def test_a_variable_that_does_not_parse_is_named(variable: str, text: str) -> None:
    error = refusal({}, **{f"PENSTOCK_{variable}": text})
    assert error.what.startswith(f"PENSTOCK_{variable} {text!r}: expected ")


def test_variables_of_others_are_none_of_ours() -> None:
    assert load_job({}, {"PENSTOCK_REQUIRE_SERVERS": "1", "RPM": "x"}) == Job()


def test_quantities_may_be_numbers() -> None:
    values = {"stop_failed": 0.05, "allow_failed": 1, "grace": 2.5, "metrics_port": 0}
    assert values.keys() == QUANTITIES
    job = load_job(values, {})
    assert (job.stop_failed_share, job.allow_failed_share, job.grace_seconds) == (0.05, 1, 2.5)
    assert job.metrics_port == "0"
    assert "expected text" in refusal({"grace": True}).what


# --- the job file ---------------------------------------------------------------------------------


def job_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "jobs" / "job.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_paths_in_a_job_file_are_relative_to_it(tmp_path: Path) -> None:
    file = job_file(
        tmp_path,
        'inputs = ["in.jsonl", "-", "/abs/*.csv"]\noutput = "out.csv"\nrun-dir = "../run"\n'
        'ca_file = "ca.pem"\napi_key_file = "key"\n',
    )
    job = load_job({}, {}, file)
    here = file.parent
    assert job.inputs == (str(here / "in.jsonl"), "-", "/abs/*.csv")
    assert (job.output, job.run_dir) == (str(here / "out.csv"), str(here / "../run"))
    assert (job.ca_file, job.api_key_file) == (str(here / "ca.pem"), str(here / "key"))
    assert BY_NAME.keys() >= PATH_KEYS


def test_one_input_needs_no_list(tmp_path: Path) -> None:
    file = job_file(tmp_path, 'inputs = "in.jsonl"\n')
    assert load_job({}, {}, file).inputs == (str(file.parent / "in.jsonl"),)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rmp = 1", "there is no option 'rmp'"),
        ("rpm = 'x'", "--rpm 'x': expected a whole number"),
        ("output = 3", "--output 3: expected text"),
        ("inputs = [1]", "--inputs [1]: expected a list of paths"),
        ("rpm = ", "Invalid value"),
    ],
)
def test_what_is_wrong_in_a_job_file_names_the_file(tmp_path: Path, text: str, says: str) -> None:
    file = job_file(tmp_path, text)
    with pytest.raises(JobError) as caught:
        load_job({}, {}, file)
    assert caught.value.what.startswith(f"job file {file}: ") and says in caught.value.what


def test_a_job_file_that_is_not_there_is_named_once(tmp_path: Path) -> None:
    with pytest.raises(JobError) as caught:
        load_job({}, {}, tmp_path / "none.toml")
    assert caught.value.what == f"job file {tmp_path}/none.toml: No such file or directory"


# --- the prompt -----------------------------------------------------------------------------------


def test_a_prompt_is_read_from_its_file_beside_the_job_file(tmp_path: Path) -> None:
    file = job_file(tmp_path, 'prompt_file = "prompt.txt"\n')
    (file.parent / "prompt.txt").write_text("Say: {{ text }}")
    assert load_job({}, {}, file).prompt == "Say: {{ text }}"


def test_a_prompt_wins_over_a_prompt_file_of_a_lower_place_and_the_other_way_round(
    tmp_path: Path,
) -> None:
    file = job_file(tmp_path, 'prompt_file = "prompt.txt"\n')
    (file.parent / "prompt.txt").write_text("of the file")
    other = tmp_path / "other.txt"
    other.write_text("of another file")
    variable = {"PENSTOCK_PROMPT": "of the variable"}
    assert load_job({"prompt": "of the flag"}, variable, file).prompt == "of the flag"
    found = load_job({}, variable, file)
    assert (found.prompt, found.prompt_file) == ("of the variable", None)
    assert load_job({"prompt_file": str(other)}, variable, file).prompt == "of another file"


def test_a_prompt_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    error = refusal({"prompt_file": str(tmp_path / "none")})
    assert error.what == f"--prompt-file {tmp_path}/none: No such file or directory"
    (tmp_path / "latin").write_bytes(b"\xff")
    assert "utf-8" in refusal({"prompt_file": str(tmp_path / "latin")}).what


# --- messages -------------------------------------------------------------------------------------

USER, OTHER = {"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}
SYSTEM = {"role": "system", "content": "s"}


def test_messages_are_tables_of_a_job_file_with_contents_beside_it(tmp_path: Path) -> None:
    file = job_file(
        tmp_path,
        '[[messages]]\nrole = "system"\ncontent_file = "system.txt"\n'
        '[[messages]]\nrole = "user"\ncontent = "{{ text }}"\n',
    )
    (file.parent / "system.txt").write_text("Be brief.")
    expected = (
        Message(role="system", content="Be brief."),
        Message(role="user", content="{{ text }}"),
    )
    assert load_job({}, {}, file).messages == expected


def test_messages_are_json_in_flags_and_variables_and_a_column_s_name_stays_one() -> None:
    assert parse_text(BY_NAME["messages"], ' [{"role":"user"}]', "--messages") == [{"role": "user"}]
    assert parse_text(BY_NAME["messages"], "talk", "--messages") == "talk"
    variable = {"PENSTOCK_MESSAGES": '[{"role":"user","content":"x"}]'}
    assert load_job({}, variable).messages == (Message(role="user", content="x"),)
    with pytest.raises(JobError, match="--messages: not JSON"):
        parse_text(BY_NAME["messages"], "[talk", "--messages")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"messages": []}, "no message of --messages is the user's"),
        ({"messages": [OTHER]}, "no message of --messages is the user's"),
        ({"messages": [{"role": "user"}]}, "messages[0] has no content"),
        ({"messages": [USER, SYSTEM]}, "messages[1] is a second system message"),
        ({"messages": [SYSTEM, USER], "system": "x"}, "messages[0] is a second system message"),
        ({"messages": [USER], "prompt": "x"}, "--prompt would follow a message of the user's"),
        ({"messages": [{"role": "usr", "content": "x"}]}, "--messages: Invalid enum value 'usr'"),
        ({"messages": [{"role": "user", "text": "x"}]}, "unknown field `text`"),
        ({"messages": 5}, "--messages: Expected"),
        (
            {"messages": [{"role": "user", "content": "x", "content_file": "f"}]},
            "messages[0] has both a content and a content_file",
        ),
        ({"messages": [{"role": "user", "content_file": "/none"}]}, "messages[0].content_file"),
    ],
)
def test_messages_that_are_no_conversation_are_refused(values: dict[str, Any], says: str) -> None:
    assert says in refusal(values).what


def test_a_prompt_may_follow_examples() -> None:
    load_job({"messages": [SYSTEM, USER, OTHER], "prompt": "x"}, {})
    load_job({"messages": [OTHER], "prompt": "x", "system": "s"}, {})


def test_expected_is_a_list_of_alternatives() -> None:
    assert expected(BY_NAME["progress"]) == "auto, bar, lines, json or off"
    assert expected(BY_NAME["workers"]) == "a whole number of at least 1 or auto"
    assert expected(BY_NAME["model"]) == "text"


@pytest.mark.parametrize(
    ("variable", "meant"),
    [("PENSTOCK_RMP", "PENSTOCK_RP"), ("PENSTOCK_BUDGET_US", "PENSTOCK_BUDGET_USD")],
)
def test_a_variable_that_is_nearly_an_option_is_refused(variable: str, meant: str) -> None:
    error = refusal({}, **{variable: "5"})
    assert error.what == f"there is no option {variable}"
    assert f"Did you mean {meant}" in error.next_step


def test_variables_of_others_are_let_be() -> None:
    assert load_job({}, {"PENSTOCK_HOME": "/opt", "PENSTOCK_REQUIRE_SERVERS": "1"}).rpm is None


def test_a_job_survives_json() -> None:
    job = convert({"inputs": ["a"], "param": {"x": 1}, "rpm": 5, "header": {"A": "env:B"}})
    assert convert(msgspec.json.decode(msgspec.json.encode(job))) == job


@pytest.mark.parametrize(
    "text",
    ["rpm = " + "9" * 5000, "param = " + "[" * 5000, 'prompt_file = "a\\u0000"'],
)
def test_a_job_file_that_is_too_much_for_a_parser_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "job.toml"
    path.write_text(text)
    with pytest.raises(JobError):
        load_job({}, {}, path)


@pytest.mark.parametrize("name", ["model", "response", "header", "inputs"])
def test_what_is_no_utf_8_on_a_command_line_is_refused(name: str) -> None:
    odd = {"header": {"X": "\udc84"}, "inputs": ("\udc84",)}.get(name, "\udc84")
    with pytest.raises(JobError, match=r"--header|--inputs|--model|not UTF-8"):
        load_job({name: odd}, {})


@pytest.mark.parametrize("text", ["\udc84", "[" * 5000, "9" * 5000])
def test_a_parameter_that_is_no_json_is_text(text: str) -> None:
    one = next(one for one in options() if one.name == "param")
    assert parse_pair(one, f"x={text}") == ("x", text)
