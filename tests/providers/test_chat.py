"""The shape of OpenAI's chat, taken apart."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from penstock.providers import chat
from penstock.providers.allowance import RenderError
from penstock.providers.chat import Call, Media


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("part", "media"),
    [
        (
            {"type": "image_url", "image_url": {"url": "https://h/a.png?x=1"}},
            Media(url="https://h/a.png?x=1", media_type="image/png"),
        ),
        ({"type": "image_url", "image_url": "https://h/a"}, Media(url="https://h/a")),
        (
            {"type": "image_url", "image_url": {"url": "data:image/webp;base64,AAAA"}},
            Media(data="AAAA", media_type="image/webp"),
        ),
        (
            {"type": "file", "file": {"file_data": "data:text/plain,a%20b", "filename": "a.txt"}},
            Media(data=encoded(b"a b"), media_type="text/plain", name="a.txt"),
        ),
        (
            {"type": "file", "file": {"file_data": "data:;base64,AAAA", "filename": "a.pdf"}},
            Media(data="AAAA", media_type="application/pdf", name="a.pdf"),
        ),
        (
            {"type": "file", "file": {"file_url": "https://h/x", "filename": "a.pdf"}},
            Media(url="https://h/x", name="a.pdf"),
        ),
        ({"type": "file", "file": {"file_id": "file-1"}}, Media(id="file-1")),
        ({"type": "text", "text": "a"}, None),
        ({"type": "image", "source": {}}, None),
    ],
)
def test_images_and_files_are_a_url_or_data_or_an_id(
    part: dict[str, Any], media: Media | None
) -> None:
    assert chat.media_of(part) == media


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url"},
        {"type": "image_url", "image_url": {}},
        {"type": "image_url", "image_url": {"url": "data:image/png"}},
        {"type": "file", "file": {"filename": "a"}},
    ],
)
def test_a_part_without_what_it_promises_is_the_record_s_error(part: dict[str, Any]) -> None:
    with pytest.raises(RenderError):
        chat.media_of(part)


def test_calls_have_their_arguments_decoded() -> None:
    call = {"id": "c", "function": {"name": "f", "arguments": '{"a": 1}'}}
    empty = {"id": "d", "function": {"name": "g", "arguments": ""}}
    found = list(chat.calls_in({"tool_calls": [call, empty]}))
    assert found == [Call("c", "f", {"a": 1}), Call("d", "g", {})]
    assert list(chat.calls_in({"tool_calls": None})) == []


@pytest.mark.parametrize("arguments", ["{", "[]", "1", 5, None])
def test_arguments_that_are_no_object_are_the_record_s_error(arguments: Any) -> None:
    with pytest.raises(RenderError, match="arguments"):
        list(chat.calls_in({"tool_calls": [{"function": {"arguments": arguments}}]}))


@pytest.mark.parametrize("content", [5, {"a": 1}, ["a"]])
def test_a_content_that_is_none_is_the_record_s_error(content: Any) -> None:
    with pytest.raises(RenderError, match="neither text nor a list"):
        chat.parts_of(content)


def test_a_file_that_is_no_text_is_the_record_s_error() -> None:
    assert chat.decoded(Media(data=encoded("é".encode()))) == "é"
    for data in (encoded(b"\xff"), "%%%"):
        with pytest.raises(RenderError, match="no text"):
            chat.decoded(Media(data=data))


def test_a_parameter_under_the_dialect_s_own_name_wins() -> None:
    assert chat.renamed({"a": 1, "c": 3}, {"a": "b"}) == {"c": 3, "b": 1}
    assert chat.renamed({"a": 1, "b": 2}, {"a": "b"}) == {"b": 2}
