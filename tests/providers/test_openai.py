from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import JobError, TemplateError
from penstock.job import Job
from penstock.providers.openai import MAX_OUTPUT_TOKENS, OpenAI, asked_tokens
from penstock.providers.provider import Answer, Request, UnrenderableRecord, request_hash
from penstock.record import BatchLine, Record


def provider(**options: Any) -> OpenAI:
    return OpenAI(Job(**{"model": "m", **options}))


def record(**fields: Any) -> Record:
    return Record(0, "in.jsonl:1", fields=fields)


def body(request: Request) -> Any:
    return json.loads(request.body)


def test_a_prompt_becomes_a_chat_completion_byte_for_byte() -> None:
    asked = provider(prompt="Hi {{ name }}", system="Be {{ mood }}", param={"temperature": 0})
    request = asked.request(record(name="Zoë <3", mood="kind"))
    assert request.path == "/chat/completions"
    assert request.body.decode() == (
        '{"model":"m","messages":[{"role":"system","content":"Be kind"},'
        '{"role":"user","content":"Hi Zoë <3"}],"temperature":0}'
    )
    assert request.request_hash == request_hash(request.path, request.body)


def test_without_parameters_model_and_messages_are_all() -> None:
    assert provider(prompt="x").request(record()).body == (
        b'{"model":"m","messages":[{"role":"user","content":"x"}]}'
    )


def test_parameters_nest_and_keep_their_order_and_types() -> None:
    param = {"seed": 7, "response_format.type": "json_object", "stop": ["a"], "user": None}
    request = provider(prompt="x", param=param).request(record())
    assert list(body(request)) == ["model", "messages", "seed", "response_format", "stop", "user"]
    assert body(request)["response_format"] == {"type": "json_object"}
    assert body(request)["user"] is None


MESSAGES = [{"role": "user", "content": [{"type": "text", "text": "x"}]}, {"role": "assistant"}]


@pytest.mark.parametrize("value", [MESSAGES, json.dumps(MESSAGES)])
def test_a_column_of_messages_is_sent_as_it_is(value: Any) -> None:
    assert body(provider(messages="m").request(record(m=value)))["messages"] == MESSAGES


def test_a_system_message_goes_before_a_column_of_messages() -> None:
    sent = body(provider(messages="m", system="s").request(record(m=MESSAGES)))["messages"]
    assert sent == [{"role": "system", "content": "s"}, *MESSAGES]


@pytest.mark.parametrize("value", [None, [], "", "[", "{}", '"x"', ["x"], {"role": "user"}, 5])
def test_a_column_that_holds_no_messages_is_the_record_s_error(value: Any) -> None:
    with pytest.raises(UnrenderableRecord, match="column 'm' is not"):
        provider(messages="m").request(record(m=value))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "'name' is undefined"),
        ({"name": None}, "null"),
        ({"name": "\ud800"}, "surrogates not allowed"),
        ({"name": {"a": "\ud800"}}, "surrogates not allowed"),
    ],
)
def test_a_record_that_can_not_be_rendered_says_why_on_one_line(
    fields: dict[str, Any], why: str
) -> None:
    with pytest.raises(UnrenderableRecord, match=why) as caught:
        provider(prompt="Hi {{ name }}").request(record(**fields))
    assert str(caught.value).isprintable()


def test_a_row_that_could_not_be_read_keeps_its_problem() -> None:
    with pytest.raises(UnrenderableRecord, match="malformed JSON"):
        provider(prompt="x").request(Record(0, "f:1", problem="malformed JSON"))


def test_nan_in_messages_is_null() -> None:
    sent = body(provider(messages="m").request(record(m=[{"role": "user", "x": float("nan")}])))
    assert sent["messages"][0]["x"] is None


VALUES = st.none() | st.text() | st.integers() | st.floats() | st.lists(st.text())


@given(st.dictionaries(st.sampled_from(["a", "b"]), VALUES | st.characters(categories=["Cs"])))
def test_any_record_becomes_a_whole_request_or_an_error_of_its_own(fields: dict[str, Any]) -> None:
    asked = provider(prompt="{{ a }} {{ b | default('-') }}", system="{{ record | tojson }}")
    try:
        request = asked.request(record(**fields))
    except UnrenderableRecord:
        return
    assert [one["role"] for one in body(request)["messages"]] == ["system", "user"]


@given(st.text())
def test_a_text_arrives_as_it_was(text: str) -> None:
    sent = body(provider(prompt="{{ a }}").request(record(a=text)))
    assert sent["messages"][0]["content"] == text


def test_a_batch_line_is_sent_byte_for_byte_to_its_own_url() -> None:
    raw = b'{ "model" : "other",\t"max_tokens": 7, "x": "\xc3\xa9" }'
    line = Record(0, "f:1", batch=BatchLine("/v1/completions", raw))
    request = OpenAI(Job(base_url="https://h/openai/v1")).request(line)
    assert (request.path, request.body, request.output_tokens) == ("/completions", raw, 7)
    assert request.input_tokens == -(-len(raw) // 4)
    below_root = OpenAI(Job(base_url="https://h")).request(line)
    assert below_root.path == "/v1/completions"


def test_equal_requests_have_equal_hashes_and_others_have_not() -> None:
    one, same = provider(prompt="{{ a }}"), provider(prompt="{{ a }}", base_url="http://other/v1")
    assert one.request(record(a="x")).request_hash == same.request(record(a="x")).request_hash
    assert one.request(record(a="x")).request_hash != one.request(record(a="y")).request_hash
    assert request_hash("/a", b"b") != request_hash("/ab", b"")
    assert len(request_hash("/a", b"b")) == 32


def test_tokens_are_predicted_from_what_is_sent() -> None:
    request = provider(prompt="{{ a }}", param={"max_tokens": 50}).request(record(a="x" * 4000))
    assert 1000 <= request.input_tokens <= 1020
    assert request.output_tokens == 50
    assert provider(prompt="x").request(record()).output_tokens == 0


@pytest.mark.parametrize(
    ("raw", "tokens"),
    [
        (b'{"max_tokens":5}', 5),
        (b'{"max_tokens":5,"max_completion_tokens":9}', 9),
        (b'{"max_output_tokens":6}', 6),
        (b'{"max_tokens":5,"n":3}', 15),
        (b'{"max_tokens":-5}', 0),
        (b'{"max_tokens":"5"}', 0),
        (b'{"max_tokens":null}', 0),
        (b'{"max_tokens":99999999999999999999}', MAX_OUTPUT_TOKENS),
        (b"\xff", 0),
        (b"[" * 100_000, 0),
        (b"{}", 0),
    ],
)
def test_the_most_that_a_body_asks_for_is_read_and_bounded(raw: bytes, tokens: int) -> None:
    assert asked_tokens(raw) == tokens


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "neither --prompt nor --messages"),
        ({"system": "s"}, "neither --prompt nor --messages"),
        ({"prompt": "x", "model": None}, "--model is not given"),
        ({"messages": "msgs"}, "--messages msgs: there is no such column"),
    ],
)
def test_a_job_that_can_make_no_request_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(JobError, match=message):
        provider(**options).check_columns(["text", "messages"])


@pytest.mark.parametrize("option", ["prompt", "system"])
def test_a_template_that_needs_a_column_that_is_not_there_is_refused(option: str) -> None:
    asked = provider(**{"prompt": "x", option: "{{ txt }}"})
    with pytest.raises(TemplateError, match=f"--{option}: there is no column 'txt'"):
        asked.check_columns(["text"])
    asked.check_columns(["txt"])


def test_a_template_from_a_file_is_named_by_its_file() -> None:
    with pytest.raises(TemplateError, match=r"^--prompt-file p\.txt, line 2"):
        provider(prompt="\n{{", prompt_file="p.txt")


def test_a_base_url_that_names_an_endpoint_is_refused() -> None:
    with pytest.raises(JobError, match="names one endpoint") as caught:
        provider(prompt="x", base_url="https://h/v1/chat/completions/")
    assert "without /chat/completions" in caught.value.next_step


def test_the_key_is_in_one_header_and_without_a_key_there_is_none() -> None:
    assert provider(prompt="x").headers("k")["Authorization"] == "Bearer k"
    assert "Authorization" not in provider(prompt="x").headers(None)


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"x-request-id": "r", "apim-request-id": "a"}, "r"),
        ({"apim-request-id": "a"}, "a"),
        ({"x-litellm-call-id": "l"}, "l"),
        ({"x-request-id": "a\x00b" + "c" * 300}, "a b" + "c" * 196 + "…"),
        ({}, None),
    ],
)
def test_the_request_id_is_the_provider_s(headers: dict[str, str], found: str | None) -> None:
    assert provider(prompt="x").request_id(headers) == found


def test_answers_and_refusals_are_read() -> None:
    asked = provider(prompt="x")
    raw = b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}'
    assert asked.answer("/chat/completions", raw) == Answer("hi", "stop")
    assert asked.refusal(500, {}, b"").message == "HTTP 500 with an empty body"
