from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.simulator.answers import Reply, usage
from penstock.simulator.events import (
    DONE,
    TICK_SECONDS,
    chat_events,
    completion_events,
    paced,
    response_events,
    split,
)

REPLY = Reply("id1", 7, "m", ("echo: hello, how are you",), "stop", 10, 4, 6, 0)


def payloads(events: list[bytes]) -> list[dict[str, Any]]:
    assert all(event.endswith(b"\n\n") for event in events)
    lines = [event.decode().strip().split("data: ", 1)[1] for event in events]
    return [json.loads(line) for line in lines if line != "[DONE]"]


@given(st.text(), st.integers(0, 50))
def test_a_split_text_is_the_text_in_at_most_so_many_parts(text: str, count: int) -> None:
    parts = list(split(text, count))
    assert "".join(parts) == text and len(parts) <= max(1, count) and "" not in parts


def test_a_chat_stream_carries_role_text_finish_and_ends_with_done() -> None:
    events = chat_events(REPLY, include_usage=False)
    chunks = payloads(events)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0]["role"] == "assistant"
    assert "".join(delta.get("content", "") for delta in deltas) == REPLY.texts[0]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks][-1] == "stop"
    assert len(chunks) == 6 + 2 and not any("usage" in chunk for chunk in chunks)
    assert events[-1] == DONE


def test_usage_comes_in_a_last_chunk_for_who_asks() -> None:
    *chunks, last = payloads(chat_events(REPLY, include_usage=True))
    assert all(chunk["usage"] is None for chunk in chunks)
    assert (last["choices"], last["usage"]) == ([], usage(REPLY))


def test_a_completion_stream_has_every_prompt_s_text() -> None:
    reply = REPLY._replace(texts=("echo: one", "echo: two"))
    events = completion_events(reply, include_usage=True)
    *chunks, last = payloads(events)
    for index, text in enumerate(reply.texts):
        own = [one["choices"][0] for one in chunks if one["choices"][0]["index"] == index]
        assert "".join(one["text"] for one in own) == text
        assert [one["finish_reason"] for one in own][-1] == "stop"
    assert last["usage"] == usage(reply) and events[-1] == DONE


@pytest.mark.parametrize(("finish", "name"), [("stop", "completed"), ("length", "incomplete")])
def test_a_response_stream_names_its_events_and_ends_with_the_whole(finish: str, name: str) -> None:
    events = response_events(REPLY._replace(finish_reason=finish), include_usage=False)
    chunks = payloads(events)
    for event, chunk in zip(events, chunks, strict=True):
        assert event.startswith(f"event: {chunk['type']}\n".encode())
    text = "".join(one["delta"] for one in chunks if one["type"] == "response.output_text.delta")
    assert text == REPLY.texts[0]
    assert chunks[-1]["type"] == f"response.{name}"
    assert chunks[-1]["response"]["usage"]["output_tokens"] == 6


@given(st.lists(st.binary(min_size=1), min_size=1), st.floats(0, 5), st.floats(0, 5))
def test_pacing_keeps_every_byte_and_the_whole_time(
    events: list[bytes], ttft_seconds: float, generation_seconds: float
) -> None:
    pieces = paced(events, ttft_seconds, generation_seconds)
    assert b"".join(data for _, data in pieces) == b"".join(events)
    assert pieces[0][0] == ttft_seconds
    total = sum(delay for delay, _ in pieces)
    expected = ttft_seconds + (generation_seconds if len(events) > 1 else 0)
    assert expected - TICK_SECONDS - 1e-6 <= total <= expected + 1e-6


def test_without_time_between_tokens_a_stream_is_one_write() -> None:
    assert paced([b"a", b"b", b"c"], 0.2, 0.0) == ((0.2, b"abc"),)
