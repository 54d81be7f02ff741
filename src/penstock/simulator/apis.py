"""The provider's paths: which there are, and how the bodies of each are read and answered."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import unquote

from penstock.simulator import refusals
from penstock.simulator.answers import Reply, chat_body, completion_body, response_body
from penstock.simulator.anthropic import message_body, message_question
from penstock.simulator.embeddings import embedding_body
from penstock.simulator.events import chat_events, completion_events, response_events
from penstock.simulator.gemini import (
    embed_batch_body,
    embed_batch_question,
    embed_body,
    embed_question,
    generate_body,
    generate_question,
)
from penstock.simulator.questions import (
    Question,
    chat_question,
    completion_question,
    embedding_question,
    response_question,
)
from penstock.simulator.refusals import Refusal
from penstock.simulator.voices import ANTHROPIC, AZURE, GEMINI, OPENAI, Voice
from penstock.simulator.wire import Request


class Api(NamedTuple):
    """How one path's bodies are read and answered: with a reply, whole or in events, or vectors.

    `most_texts` is how many vectors one request may ask for.
    """

    read: Callable[[bytes], Question]
    body: Callable[[Reply], bytes] | None = None
    events: Callable[[Reply, bool], list[bytes]] | None = None
    vectors: Callable[[Question, int], bytes] = embedding_body
    most_texts: int = 2048


class Found(NamedTuple):
    """What there is at a path: its line in the statistics, and the model where the path has it."""

    route: str
    api: Api
    voice: Voice
    model: str | None = None


APIS = {
    "/v1/chat/completions": Api(chat_question, chat_body, chat_events),
    "/v1/completions": Api(completion_question, completion_body, completion_events),
    "/v1/responses": Api(response_question, response_body, response_events),
    "/v1/embeddings": Api(embedding_question),
}
MESSAGES_PATH = "/v1/messages"
MESSAGES = Api(message_question, message_body)
GEMINI_APIS = {
    "generateContent": Api(generate_question, generate_body),
    "embedContent": Api(embed_question, vectors=embed_body),
    "batchEmbedContents": Api(embed_batch_question, vectors=embed_batch_body, most_texts=100),
}
MODELS_PATH = "/v1/models"

GEMINI_PATH = re.compile(r"/v1(?:beta)?/models/([^/:]+):(\w+)")
AZURE_PATH = re.compile(r"/openai/deployments/([^/]+)(/[a-z/]+)")
AZURE_ROOT = "/openai"


def find(request: Request) -> Found | None:
    """The API at a request's path, if there is one."""
    path = request.path
    if path in APIS:
        return Found(path, APIS[path], OPENAI)
    if path == MESSAGES_PATH:
        return Found(path, MESSAGES, ANTHROPIC)
    if path.startswith(AZURE_ROOT):
        return find_azure(request)
    named = GEMINI_PATH.fullmatch(path)
    if named and named[2] in GEMINI_APIS:
        return Found(without_name(named), GEMINI_APIS[named[2]], GEMINI, unquote(named[1]))
    return None


def find_azure(request: Request) -> Found | None:
    """One of Azure's: of its v1 API, or of a deployment in a version that the query names."""
    path = request.path.removeprefix(AZURE_ROOT)
    if path in APIS:
        return Found(request.path, APIS[path], AZURE)
    named = AZURE_PATH.fullmatch(request.path)
    if named is None or f"/v1{named[2]}" not in APIS or "api-version=" not in request.query:
        return None
    return Found(without_name(named), APIS[f"/v1{named[2]}"], AZURE, unquote(named[1]))


def without_name(path: re.Match[str]) -> str:
    """A path with MODEL in place of the model's name, of which there may be many."""
    return f"{path.string[: path.start(1)]}MODEL{path.string[path.end(1) :]}"


def voice_at(path: str) -> Voice:
    """Who speaks at a path, be there an API or not."""
    if path.startswith(AZURE_ROOT):
        return AZURE
    if path.startswith("/v1beta/") or GEMINI_PATH.fullmatch(path):
        return GEMINI
    return ANTHROPIC if path.startswith(MESSAGES_PATH) else OPENAI


def misplaced(request: Request, found: Found | None) -> Refusal | None:
    """Why the path or the method is wrong, if it is."""
    method, path = request.method, request.path
    if found is None and path != MODELS_PATH:
        return refusals.unknown_path(method, path)
    if method != ("GET" if path == MODELS_PATH else "POST"):
        return refusals.wrong_method(method, path)
    return None


def route(request: Request, found: Found | None) -> str:
    """A request's line in the statistics; paths that don't exist share one."""
    if found is not None:
        return f"{request.method} {found.route}"
    return f"{request.method} {MODELS_PATH}" if request.path == MODELS_PATH else "other"
