"""Bodies of a 200, of each endpoint: an answer that can be kept, a refusal, or a bad response.

The first byte chooses the endpoint.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from penstock.job import Job
from penstock.ledger.schema import batch_of
from penstock.providers.mending import MAX_COUNT
from penstock.providers.openai import OpenAI
from penstock.providers.provider import Answer, BadResponse, Refusal
from penstock.record import SUCCEEDED, Result

PATHS: Final = ("/chat/completions", "/completions", "/responses", "/embeddings")
DIALECT: Final = OpenAI(Job(model="m", prompt="{{ text }}"))

USAGE: Final = {
    "prompt_tokens": 7,
    "completion_tokens": 5,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
CALL: Final = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def chat(message: dict[str, Any], **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    return {"id": "x", "model": "m", "choices": [choice], "usage": USAGE, **more}


def bodies() -> list[tuple[int, dict[str, Any]]]:
    """A good body of each kind, with the number of its endpoint."""
    message = {"type": "message", "content": [{"type": "output_text", "text": "said"}]}
    call = {"type": "function_call", "name": "f", "arguments": "{}"}
    usage = {"input_tokens": 7, "output_tokens": 5}
    return [
        (0, chat({"content": "said \N{GRINNING FACE}"})),
        (0, chat({"content": None, "tool_calls": [CALL]})),
        (0, chat({"content": None, "refusal": "no"})),
        (0, chat({"content": [{"type": "text", "text": "said"}]})),
        (0, chat({"content": None, "function_call": CALL["function"]})),
        (0, {"choices": [], "error": {"code": 502, "message": "upstream", "type": "x"}}),
        (1, {"model": "m", "choices": [{"text": "said", "finish_reason": "stop"}]}),
        (2, {"model": "m", "status": "completed", "output": [message, call], "usage": usage}),
        (2, {"status": "incomplete", "output": [], "incomplete_details": {"reason": "length"}}),
        (3, {"model": "m", "data": [{"index": 0, "embedding": [0.5, -1e-3]}], "usage": usage}),
        (3, {"data": [{"index": 1, "embedding": "AAAA"}, {"index": 0, "embedding": "BBBB"}]}),
    ]


def seeds() -> Sequence[bytes]:
    good = [bytes([number]) + json.dumps(body).encode() for number, body in bodies()]
    content = b'\0{"choices": [{"message": {"content": %s}, "finish_reason": "stop"}]}'
    odd = [content % value for value in (b'"\\ud83d"', b'"\xed\xa0\x80"', b'"\\ud83d\\ude00"')]
    return [*good, *odd]


def once(data: bytes, folder: Path) -> None:
    path = PATHS[data[0] % len(PATHS) if data else 0]
    try:
        said = DIALECT.answer(path, data[1:])
    except BadResponse as error:
        assert str(error).isprintable()
        return
    if isinstance(said, Answer):
        check_answer(said)
    else:
        check_refusal(said)


def check_answer(answer: Answer) -> None:
    """It can be kept as it is: as text of a result, and as counts of a slab."""
    result = Result(row=0, outcome=SUCCEEDED, output=answer.output, model=answer.model)
    result.finish_reason = answer.finish_reason
    result.tool_calls, result.reasoning = answer.tool_calls, answer.reasoning
    assert batch_of([result])["output"].to_pylist() == [answer.output]
    counts = (
        answer.input_tokens,
        answer.cached_input_tokens,
        answer.output_tokens,
        answer.reasoning_tokens,
    )
    assert all(one is None or (type(one) is int and 0 <= one <= MAX_COUNT) for one in counts)


def check_refusal(refusal: Refusal) -> None:
    """Its words are one line, and bounded; its wait is a time."""
    assert refusal.message
    for text, most in ((refusal.message, 500), (refusal.code, 100), (refusal.type, 100)):
        if text is not None:
            assert len(text) <= most
            assert text.isprintable()
            text.encode()
    assert refusal.wait_seconds is None or 0 <= refusal.wait_seconds <= 86_400
