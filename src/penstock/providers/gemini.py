"""Google's Gemini API, generateContent: https://ai.google.dev/api/generate-content.

The model is part of the path, an assistant is called a model, and nearly all parameters are fields
of `generationConfig`. Also what Vertex AI has below `.../publishers/google`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlsplit

from penstock.job import Job
from penstock.providers import chat
from penstock.providers.allowance import RenderError
from penstock.providers.dialect import JSON_HEADERS, Dialect, Fields, params_of
from penstock.providers.gemini_answers import CANDIDATES
from penstock.providers.gemini_verdicts import RULES
from penstock.providers.provider import Answer, Refusal
from penstock.providers.refusals import read_refusal
from penstock.providers.verdicts import Rule

VERSION: Final = "/v1beta"  # of the API, where the base URL names none
VERSIONED: Final = re.compile(r"/v[0-9]+(alpha|beta)?[0-9]*(/|$)")

# Parameters of generationConfig, as OpenAI and as Google name them, where they stand by themselves.
CONFIG: Final = {
    "max_tokens": "maxOutputTokens",
    "max_completion_tokens": "maxOutputTokens",
    "max_output_tokens": "maxOutputTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "n": "candidateCount",
    "seed": "seed",
    "stop": "stopSequences",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    **{
        name: name
        for name in (
            *("maxOutputTokens", "topP", "topK", "candidateCount", "stopSequences"),
            *("presencePenalty", "frequencyPenalty", "thinkingConfig", "responseMimeType"),
            *("responseSchema", "responseJsonSchema", "responseModalities", "mediaResolution"),
        )
    },
}
MODES: Final = {"auto": "AUTO", "required": "ANY", "none": "NONE"}
ROLES: Final = {"assistant": "model"}


class Gemini(Dialect):
    """The dialect, for one job."""

    name = "gemini"
    rules: Sequence[Rule] = RULES

    def __init__(self, job: Job) -> None:
        """Compiles the job's templates; raises TemplateError, JobError."""
        path = urlsplit(job.base_url).path
        version = "" if VERSIONED.search(path) else VERSION
        params = native(params_of(job))
        super().__init__(
            job,
            f"{version}/{model_path(job.model or '')}:generateContent",
            {},
            params,
            asked_tokens(params),
        )

    def fields_of(self, messages: list[Fields]) -> Fields:
        """See Dialect."""
        system, rest = chat.split_system(messages)
        contents: list[Fields] = []
        called: dict[str, str] = {}  # names by id: a result names its function, not its call alone
        for message in rest:
            add(contents, content_of(message, called))
        fields: Fields = {"contents": contents}
        if system:
            fields["systemInstruction"] = {"parts": list(map(part_of, system))}
        return fields

    def headers(self, key: str | None) -> dict[str, str]:
        """See Provider."""
        return JSON_HEADERS if key is None else {**JSON_HEADERS, "x-goog-api-key": key}

    def answer(self, path: str, body: bytes) -> Answer | Refusal:
        """See Provider."""
        return CANDIDATES.answer(body)

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
        """See Provider."""
        return read_refusal(status, headers, body)


def create(job: Job) -> Gemini:
    """The dialect for `job`; raises JobError, TemplateError."""
    return Gemini(job)


def model_path(model: str) -> str:
    """A model's name as the path has it: `models/NAME`, or a longer one that was given."""
    return quote(model if "/" in model else f"models/{model}", safe="/@")


# --- messages -----------------------------------------------------------------------------------


def content_of(message: Fields, called: dict[str, str]) -> Fields:
    """A message as Gemini has it; notes in `called` the calls it makes. Raises RenderError."""
    role = message.get("role")
    if role == "tool":
        return {"role": "user", "parts": [result_of(message, called)]}
    if "parts" in message and "content" not in message:  # its own shape
        return message
    parts = list(map(part_of, chat.parts_of(message.get("content"))))
    for call in chat.calls_in(message):
        called[call.id] = call.name
        parts.append({"functionCall": {"name": call.name, "args": call.arguments}})
    return {"role": ROLES.get(str(role), role), "parts": parts}


def add(contents: list[Fields], content: Fields) -> None:
    """Add a content; results of functions called together belong into one."""
    last = contents[-1]["parts"] if contents else []
    if all(parts and "functionResponse" in parts[0] for parts in (last, content["parts"])):
        last.extend(content["parts"])
    else:
        contents.append(content)


def result_of(message: Fields, called: Mapping[str, str]) -> Fields:
    """A tool's result. Raises RenderError where its call is not among the messages."""
    id = str(message.get("tool_call_id") or "")
    name = message.get("name") or called.get(id)
    if not name:
        raise RenderError(f"a tool's result is of a call {id!r} that no message before it makes")
    content = message.get("content")
    if not isinstance(content, str):
        content = "".join(str(part.get("text") or "") for part in chat.parts_of(content))
    return {"functionResponse": {"name": name, "response": {"result": content}}}


def part_of(part: Fields) -> Fields:
    """A part of a message as Gemini has it; its own kinds stay as they are."""
    media = chat.media_of(part)
    if media is not None:
        return data_of(media)
    kind = part.get("type")
    if kind == "text":
        return {"text": part.get("text")}
    if kind == "input_audio" and isinstance(audio := part.get("input_audio"), dict):
        media_type = f"audio/{audio.get('format') or 'wav'}"
        return {"inlineData": {"mimeType": media_type, "data": audio.get("data")}}
    return part


def data_of(media: chat.Media) -> Fields:
    """An image or a file: what it holds, or where it is."""
    if media.data:
        return {"inlineData": {"mimeType": media.media_type or chat.PDF, "data": media.data}}
    where = {"fileUri": media.url or media.id}
    return {"fileData": {**where, "mimeType": media.media_type} if media.media_type else where}


# --- parameters ---------------------------------------------------------------------------------


def native(params: Mapping[str, Any]) -> Fields:
    """Parameters as Gemini has them; what is in its own shape stays as it is."""
    found = {name: value for name, value in params.items() if name not in CONFIG}
    config = dict(found.pop("generationConfig", None) or {})
    for name, value in params.items():
        if name in CONFIG:
            config.setdefault(CONFIG[name], value)
    if isinstance(config.get("stopSequences"), str):
        config["stopSequences"] = [config["stopSequences"]]
    wanted = found.get("response_format")
    if isinstance(wanted, dict) and str(wanted.get("type")).startswith("json"):
        del found["response_format"]
        config["responseMimeType"] = "application/json"
        schema = chat.schema_of(wanted)
        if schema is not None:
            config["responseJsonSchema"] = schema["schema"]
    if config:
        found["generationConfig"] = config
    if isinstance(found.get("tools"), list):
        found["tools"] = tools_of(found["tools"])
    choice = found.get("tool_choice")
    if choice is not None:
        del found["tool_choice"]
        found.setdefault("toolConfig", {"functionCallingConfig": calling_of(choice)})
    return found


def calling_of(choice: Any) -> Fields:
    """When functions are called, from a `tool_choice` in OpenAI's shape."""
    name = chat.forced(choice)
    if name is not None:
        return {"mode": "ANY", "allowedFunctionNames": [name]}
    return {"mode": MODES.get(choice, choice) if isinstance(choice, str) else choice}


def tools_of(tools: list[Any]) -> list[Any]:
    """Tools in Gemini's shape: the functions together, its own kinds behind them."""
    functions = [function for tool in tools if (function := chat.function_of(tool)) is not None]
    others = [tool for tool in tools if chat.function_of(tool) is None]
    declared = [declaration_of(function) for function in functions]
    return [*([{"functionDeclarations": declared}] if declared else []), *others]


def declaration_of(function: Fields) -> Fields:
    """A function's declaration. Its parameters are JSON Schema, which has a field of its own."""
    known: Fields = {name: function[name] for name in ("name", "description") if name in function}
    schema = function.get("parameters")
    return {**known, "parametersJsonSchema": schema} if schema else known


def asked_tokens(params: Mapping[str, Any]) -> int:
    """The most output tokens that the parameters ask for; 0 where they don't say."""
    config = params.get("generationConfig") or {}
    most, count = config.get("maxOutputTokens"), config.get("candidateCount") or 1
    return most * max(count, 1) if isinstance(most, int) and isinstance(count, int) else 0
