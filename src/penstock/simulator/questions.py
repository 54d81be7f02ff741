"""Reading what a request asks: the same few facts from each API's body, or a refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec

from penstock.simulator.refusals import Refusal

Amount = Annotated[int, msgspec.Meta(ge=1)]
Dimensions = Annotated[int, msgspec.Meta(ge=1, le=4096)]


class Question(msgspec.Struct, frozen=True):
    """What decides an answer. `texts` are what it must carry: one, or one for each input."""

    model: str
    texts: tuple[str, ...]
    prompt_tokens: int
    max_tokens: int | None = None
    stream: bool = False
    include_usage: bool = False
    wants_json: bool = False
    schema: dict[str, Any] | None = None
    base64: bool = False
    dimensions: int | None = None


class Part(msgspec.Struct):
    """A part of a message; only text parts have `text`."""

    text: str | None = None


class Message(msgspec.Struct):
    """A chat message, or an input item of the Responses API."""

    role: str = ""
    content: str | list[Part] | None = None


class JsonSchema(msgspec.Struct, frozen=True):
    schema: dict[str, Any] | None = None


class Format(msgspec.Struct, frozen=True):
    """What an answer has to be; chat nests the schema, the Responses API does not."""

    type: str = "text"
    json_schema: JsonSchema | None = None
    schema: dict[str, Any] | None = None


class StreamOptions(msgspec.Struct):
    include_usage: bool = False


class TextOptions(msgspec.Struct):
    format: Format = Format()


class ChatBody(msgspec.Struct):
    model: str
    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]
    max_tokens: Amount | None = None
    max_completion_tokens: Amount | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    response_format: Format | None = None


class CompletionBody(msgspec.Struct):
    model: str
    prompt: str | list[str | int | list[int]]
    max_tokens: Amount | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None


class EmbeddingBody(msgspec.Struct):
    model: str
    input: str | list[str | int | list[int]]
    encoding_format: str = "float"
    dimensions: Dimensions | None = None


class ResponseBody(msgspec.Struct):
    model: str
    input: str | list[Message]
    instructions: str | None = None
    max_output_tokens: Amount | None = None
    stream: bool | None = None
    text: TextOptions | None = None


def message_text(message: Message) -> str:
    """A message's text parts, joined."""
    return part_texts(message.content)


def part_texts(content: str | list[Part] | None) -> str:
    """The texts of a content, joined."""
    if isinstance(content, str):
        return content
    return "".join(part.text or "" for part in content or ())


def record_text(messages: list[Message]) -> str:
    """The last user message's text; without one, the last message's."""
    users = [one for one in messages if one.role == "user"]
    last = (users or messages)[-1:]
    return message_text(last[0]) if last else ""


def schema_of(wanted: Format | None) -> dict[str, Any] | None:
    """The JSON Schema that an answer has to match, where there is one."""
    if wanted is None or wanted.type != "json_schema":
        return None
    return wanted.json_schema.schema if wanted.json_schema is not None else wanted.schema


def input_texts(given: str | list[str | int | list[int]]) -> tuple[str, ...]:
    """The inputs as texts: a string, several, a list of token ids (one input), or several such."""
    if isinstance(given, str):
        return (given,)
    if given and all(isinstance(one, int) for one in given):
        return (" ".join(map(str, given)),)
    return tuple(
        one if isinstance(one, str) else " ".join(map(str, one if isinstance(one, list) else [one]))
        for one in given
    )


def count_tokens(*texts: str) -> int:
    """Tokens as one for every four bytes, rounded up; at least 1."""
    return max(1, (sum(len(text.encode()) for text in texts) + 3) // 4)


def chat_question(body: bytes) -> Question:
    asked = _chat_decoder.decode(body)
    return Question(
        asked.model,
        (record_text(asked.messages),),
        count_tokens(*map(message_text, asked.messages)),
        asked.max_completion_tokens or asked.max_tokens,
        stream=bool(asked.stream),
        include_usage=bool(asked.stream_options and asked.stream_options.include_usage),
        wants_json=bool(asked.response_format and asked.response_format.type != "text"),
        schema=schema_of(asked.response_format),
    )


def completion_question(body: bytes) -> Question:
    asked = _completion_decoder.decode(body)
    texts = input_texts(asked.prompt)
    return Question(
        asked.model,
        texts,
        count_tokens(*texts),
        asked.max_tokens,
        stream=bool(asked.stream),
        include_usage=bool(asked.stream_options and asked.stream_options.include_usage),
    )


def embedding_question(body: bytes) -> Question:
    asked = _embedding_decoder.decode(body)
    texts = input_texts(asked.input)
    return Question(
        asked.model,
        texts,
        count_tokens(*texts),
        base64=asked.encoding_format == "base64",
        dimensions=asked.dimensions,
    )


def response_question(body: bytes) -> Question:
    asked = _response_decoder.decode(body)
    messages = [Message("user", asked.input)] if isinstance(asked.input, str) else list(asked.input)
    return Question(
        asked.model,
        (record_text(messages),),
        count_tokens(asked.instructions or "", *map(message_text, messages)),
        asked.max_output_tokens,
        stream=bool(asked.stream),
        wants_json=bool(asked.text and asked.text.format.type != "text"),
        schema=schema_of(asked.text.format if asked.text else None),
    )


def read_question(reader: Callable[[bytes], Question], body: bytes) -> Question | Refusal:
    """What `reader` finds in the body, or the 400 that says what is wrong with it."""
    try:
        question = reader(body)
    except msgspec.ValidationError as error:
        return Refusal(400, f"The request's body is not valid: {error}")
    except (msgspec.DecodeError, UnicodeError):
        return Refusal(400, "The body of your request could not be parsed as JSON")
    if not question.texts:
        return Refusal(400, "The input has no items")
    return question


_chat_decoder = msgspec.json.Decoder(ChatBody)
_completion_decoder = msgspec.json.Decoder(CompletionBody)
_embedding_decoder = msgspec.json.Decoder(EmbeddingBody)
_response_decoder = msgspec.json.Decoder(ResponseBody)
