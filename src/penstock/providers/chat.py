"""The shape of OpenAI's chat, taken apart for the dialects that have another one.

What is not in that shape is in the dialect's own already, and is handed on as it is.
"""

from __future__ import annotations

import base64
import binascii
import mimetypes
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_to_bytes, urlsplit

import msgspec

from penstock.providers.allowance import RenderError

Fields = dict[str, Any]

SYSTEM: Final = ("system", "developer")
PDF: Final = "application/pdf"
PLAIN: Final = "text/plain"


class Media(NamedTuple):
    """An image or a file: where it is, or what it holds (base64), or its id at the provider."""

    url: str = ""
    data: str = ""
    id: str = ""
    media_type: str = ""
    name: str = ""


class Call(NamedTuple):
    """A tool call of an earlier answer."""

    id: str
    name: str
    arguments: Fields


def split_system(messages: list[Fields]) -> tuple[list[Fields], list[Fields]]:
    """The system messages' parts, and the messages that are none."""
    parts: list[Fields] = []
    rest = []
    for message in messages:
        if message.get("role") in SYSTEM:
            parts.extend(parts_of(message.get("content")))
        else:
            rest.append(message)
    return parts, rest


def parts_of(content: Any) -> list[Fields]:
    """A message's content as parts. Raises RenderError."""
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        return content
    raise RenderError("a message's content is neither text nor a list of parts")


def media_of(part: Fields) -> Media | None:
    """The image or the file of a part; None for a part of another kind. Raises RenderError."""
    kind = part.get("type")
    if kind == "image_url":
        image = part.get("image_url")
        url = image.get("url") if isinstance(image, dict) else image
        return media_at(url, "", "an image_url part has no URL")
    if kind != "file" or not isinstance(part.get("file"), dict):
        return None
    file = part["file"]
    name = str(file.get("filename") or "")
    if file.get("file_id"):
        return Media(id=str(file["file_id"]), name=name)
    url = file.get("file_data") or file.get("file_url")
    return media_at(url, name, "a file part has neither file_data nor file_id")


def media_at(url: Any, name: str, otherwise: str) -> Media:
    """What a URL names, be it `data:` or another. Raises RenderError: `otherwise` for none."""
    if not isinstance(url, str) or not url:
        raise RenderError(otherwise)
    if not url.startswith("data:"):
        return Media(url=url, media_type=guessed(urlsplit(url).path or name), name=name)
    head, comma, data = url[len("data:") :].partition(",")
    if not comma:
        raise RenderError("a data: URL has no comma")
    media_type, *options = head.split(";")
    if "base64" not in options:
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    return Media(data=data, media_type=media_type or guessed(name), name=name)


def guessed(path: str) -> str:
    """The media type that a name's ending stands for; empty for an unknown one."""
    return mimetypes.guess_type(path)[0] or ""


def decoded(media: Media) -> str:
    """The text of a file that is text. Raises RenderError."""
    try:
        return base64.b64decode(media.data, validate=True).decode()
    except (binascii.Error, ValueError):
        raise RenderError(f"the file {media.name!r} is no text in UTF-8") from None


def calls_in(message: Fields) -> Iterator[Call]:
    """The tool calls of an assistant's message. Raises RenderError."""
    listed = message.get("tool_calls")
    for call in listed if isinstance(listed, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            raise RenderError("a tool call has no function")
        yield Call(
            str(call.get("id") or ""),
            str(function.get("name") or ""),
            arguments_of(function.get("arguments")),
        )


def arguments_of(text: Any) -> Fields:
    """A call's arguments, which the chat has as JSON text. Raises RenderError."""
    if isinstance(text, str):
        try:
            text = msgspec.json.decode(text) if text.strip() else {}
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
            raise RenderError(f"a tool call's arguments are not JSON: {error}") from None
    if not isinstance(text, dict):
        raise RenderError("a tool call's arguments are no object")
    return text


def function_of(tool: Any) -> Fields | None:
    """The function of a tool in OpenAI's shape; None for a tool of another kind or shape."""
    if isinstance(tool, dict) and isinstance(tool.get("function"), dict):
        return dict(tool["function"])
    return None


def forced(choice: Any) -> str | None:
    """The function that a `tool_choice` in OpenAI's shape asks for."""
    name = (function_of(choice) or {}).get("name")
    return name if isinstance(name, str) else None


def schema_of(response_format: Any) -> Fields | None:
    """The `json_schema` of a `response_format` in OpenAI's shape: name, schema, strict."""
    found = response_format.get("json_schema") if isinstance(response_format, dict) else None
    return found if isinstance(found, dict) and isinstance(found.get("schema"), dict) else None


def renamed(params: Mapping[str, Any], names: Mapping[str, str]) -> Fields:
    """`params` with some under another name; a name that is taken keeps what it has."""
    found = {name: value for name, value in params.items() if name not in names}
    for name, value in params.items():
        if name in names:
            found.setdefault(names[name], value)
    return found
