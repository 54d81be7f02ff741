"""OpenAI's responses API: https://platform.openai.com/docs/api-reference/responses.

Messages are items of the input there, beside items for the calls of tools and for their results.
"""

from __future__ import annotations

from typing import Any, Final

from penstock.job import Job
from penstock.providers import chat
from penstock.providers.dialect import Fields
from penstock.providers.openai import OpenAI

# Parameters as the chat names them.
NAMES: Final = {"max_tokens": "max_output_tokens", "max_completion_tokens": "max_output_tokens"}


class Responses(OpenAI):
    """The dialect, for one job."""

    name = "openai-responses"
    endpoint = "/responses"

    def native(self, params: Fields) -> Fields:
        """Parameters as this API has them; what is in its own shape stays as it is."""
        found = chat.renamed(params, NAMES)
        if isinstance(found.get("tools"), list):
            found["tools"] = [tool_of(tool) for tool in found["tools"]]
        if name := chat.forced(found.get("tool_choice")):
            found["tool_choice"] = {"type": "function", "name": name}
        if "reasoning_effort" in found:
            effort = {"effort": found.pop("reasoning_effort")}
            found["reasoning"] = {**effort, **(found.get("reasoning") or {})}
        wanted = found.pop("response_format", None)
        if wanted is not None:
            schema = chat.schema_of(wanted)
            shape = {"type": "json_schema", **schema} if schema else wanted
            found["text"] = {"format": shape, **(found.get("text") or {})}
        return found

    def fields_of(self, messages: list[Fields]) -> Fields:
        """See Dialect."""
        return {"input": [item for message in messages for item in items_of(message)]}


def create(job: Job) -> Responses:
    """The dialect for `job`; raises JobError, TemplateError."""
    return Responses(job)


def items_of(message: Fields) -> list[Fields]:
    """A message as items of the input. Raises RenderError."""
    role, content = message.get("role"), message.get("content")
    if role == "tool":
        if not isinstance(content, str):
            content = list(map(part_of, chat.parts_of(content)))
        call_id = message.get("tool_call_id")
        return [{"type": "function_call_output", "call_id": call_id, "output": content}]
    if role is None:  # its own shape: an item that is no message
        return [message]
    calls = [call_of(call) for call in message.get("tool_calls") or () if isinstance(call, dict)]
    if not content and calls:
        return calls
    if not isinstance(content, str):
        parts = chat.parts_of(content)
        said = "".join(str(part.get("text") or "") for part in parts)
        content = said if role == "assistant" else list(map(part_of, parts))
    return [{"role": role, "content": content}, *calls]


def call_of(call: Fields) -> Fields:
    """A tool call of the chat as an item."""
    function = call.get("function") or {}
    named = {"name": function.get("name"), "arguments": function.get("arguments")}
    return {"type": "function_call", "call_id": call.get("id"), **named}


def part_of(part: Fields) -> Fields:
    """A part of a message as this API has it; its own kinds stay as they are."""
    if part.get("type") == "text":
        return {"type": "input_text", "text": part.get("text")}
    media = chat.media_of(part)
    if media is None:
        return part
    if part["type"] == "image_url":
        image = part["image_url"]
        url = image["url"] if isinstance(image, dict) else image
        detail = (image.get("detail") if isinstance(image, dict) else None) or "auto"
        return {"type": "input_image", "image_url": url, "detail": detail}
    if media.id:
        return {"type": "input_file", "file_id": media.id}
    if media.url:
        return {"type": "input_file", "file_url": media.url}
    return {
        "type": "input_file",
        "filename": media.name or "file",
        "file_data": f"data:{media.media_type or chat.PDF};base64,{media.data}",
    }


def tool_of(tool: Any) -> Any:
    """A tool in this API's shape: a function's fields stand by themselves."""
    function = chat.function_of(tool)
    return tool if function is None else {"type": "function", **function}
