"""Anthropic's messages API, https://docs.claude.com/en/api/messages.

System messages stand beside the conversation there, tools' results in the user's turn, and
`max_tokens` is wanted with every request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from penstock.job import Job
from penstock.providers import chat
from penstock.providers.allowance import RenderError
from penstock.providers.anthropic_answers import MESSAGES
from penstock.providers.anthropic_verdicts import RULES
from penstock.providers.batch import path_below
from penstock.providers.dialect import JSON_HEADERS, Dialect, Fields, params_of
from penstock.providers.provider import Answer, Refusal
from penstock.providers.refusals import one_line, read_refusal

PATH: Final = "/v1/messages"
VERSION: Final = "2023-06-01"
DEFAULT_MAX_TOKENS: Final = 4096  # what every model of theirs allows

# Parameters as OpenAI names them.
NAMES: Final = {"max_completion_tokens": "max_tokens", "stop": "stop_sequences"}
CHOICES: Final = {"auto": "auto", "required": "any", "none": "none"}


class Anthropic(Dialect):
    """The dialect, for one job."""

    name = "anthropic"
    rules = RULES

    def __init__(self, job: Job) -> None:
        """Compiles the job's templates; raises TemplateError, JobError."""
        params = native(params_of(job))
        said = "max_tokens" in params
        params.setdefault("max_tokens", default_max_tokens(params))
        path = path_below(urlsplit(job.base_url).path, PATH)
        most = params["max_tokens"]
        super().__init__(
            job, path, {"model": job.model}, params, most if isinstance(most, int) else 0
        )
        if not said:
            self.notes = (
                f"Anthropic wants max_tokens: {most} is sent; --param max_tokens=N is another.",
            )

    def fields_of(self, messages: list[Fields]) -> Fields:
        """See Dialect."""
        system, rest = chat.split_system(messages)
        turns: list[Fields] = []
        for message in rest:
            add(turns, turn_of(message))
        fields: Fields = {"messages": turns}
        if len(system) == 1 and system[0].keys() == {"type", "text"}:
            fields["system"] = system[0]["text"]
        elif system:
            fields["system"] = system
        return fields

    def headers(self, key: str | None) -> dict[str, str]:
        """See Provider."""
        headers = {**JSON_HEADERS, "anthropic-version": VERSION}
        return headers if key is None else {**headers, "x-api-key": key}

    def answer(self, path: str, body: bytes) -> Answer | Refusal:
        """See Provider."""
        return MESSAGES.answer(body)

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
        """See Provider."""
        return read_refusal(status, headers, body)

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        """See Provider."""
        found = headers.get("request-id")
        return one_line(found, 200) if found else super().request_id(headers)


def create(job: Job) -> Anthropic:
    """The dialect for `job`; raises JobError, TemplateError."""
    return Anthropic(job)


# --- messages -----------------------------------------------------------------------------------


def turn_of(message: Fields) -> Fields:
    """A message as Anthropic has it. Raises RenderError."""
    if message.get("role") == "tool":
        return {"role": "user", "content": [result_of(message)]}
    content = message.get("content")
    calls = [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}
        for call in chat.calls_in(message)
    ]
    if isinstance(content, str) and not calls:
        return {"role": message.get("role"), "content": content}
    blocks = [block_of(part) for part in chat.parts_of(content)]
    return {"role": message.get("role"), "content": blocks + calls}


def add(turns: list[Fields], turn: Fields) -> None:
    """Add a turn; results of tools called together belong into one."""
    last = turns[-1] if turns else None
    if last is not None and last["role"] == turn["role"] and has_results(last, turn):
        last["content"].extend(turn["content"])
    else:
        turns.append(turn)


def has_results(*turns: Fields) -> bool:
    """Whether all of the turns are lists that begin with a tool's result."""
    return all(
        isinstance(content := turn["content"], list)
        and content
        and content[0].get("type") == "tool_result"
        for turn in turns
    )


def result_of(message: Fields) -> Fields:
    """A tool's result. Raises RenderError."""
    content = message.get("content")
    if not isinstance(content, str):
        content = [block_of(part) for part in chat.parts_of(content)]
    return {"type": "tool_result", "tool_use_id": message.get("tool_call_id"), "content": content}


def block_of(part: Fields) -> Fields:
    """A part of a message as Anthropic has it; its own kinds stay as they are."""
    media = chat.media_of(part)
    if media is None:
        if part.get("type") == "input_audio":
            raise RenderError("Anthropic takes no audio")
        return part
    is_image = part.get("type") == "image_url"
    block: Fields = {"type": "image" if is_image else "document", "source": source_of(media)}
    if media.name and not is_image:
        block["title"] = media.name
    return block


def source_of(media: chat.Media) -> Fields:
    """Where an image or a document is, or what it holds."""
    if media.id:
        return {"type": "file", "file_id": media.id}
    if media.url:
        return {"type": "url", "url": media.url}
    if media.media_type == chat.PLAIN:
        return {"type": "text", "media_type": chat.PLAIN, "data": chat.decoded(media)}
    return {"type": "base64", "media_type": media.media_type or chat.PDF, "data": media.data}


# --- parameters ---------------------------------------------------------------------------------


def native(params: Mapping[str, Any]) -> Fields:
    """Parameters as Anthropic has them; what is in its own shape stays as it is."""
    found = chat.renamed(params, NAMES)
    if isinstance(found.get("stop_sequences"), str):
        found["stop_sequences"] = [found["stop_sequences"]]
    if isinstance(found.get("tools"), list):
        found["tools"] = [tool_of(tool) for tool in found["tools"]]
    choice = found.get("tool_choice")
    if isinstance(choice, str):
        found["tool_choice"] = {"type": CHOICES.get(choice, choice)}
    elif name := chat.forced(choice):
        found["tool_choice"] = {"type": "tool", "name": name}
    wanted = chat.schema_of(found.get("response_format"))
    if wanted is not None:
        del found["response_format"]
        config = found.get("output_config") or {}
        shape = {"type": "json_schema", "schema": wanted["schema"]}
        found["output_config"] = {**config, "format": shape}
    return found


def tool_of(tool: Any) -> Any:
    """A tool in Anthropic's shape."""
    function = chat.function_of(tool)
    if function is None:
        return tool
    schema = function.pop("parameters", None) or {"type": "object", "properties": {}}
    return {**function, "input_schema": schema}


def default_max_tokens(params: Mapping[str, Any]) -> int:
    """`max_tokens` where the job names none: thinking counts towards it, so it comes on top."""
    thinking = params.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    return DEFAULT_MAX_TOKENS + (budget if isinstance(budget, int) else 0)
