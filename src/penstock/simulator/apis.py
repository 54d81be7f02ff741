"""The provider's paths: which there are, and how the bodies of each are read and answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from penstock.simulator import refusals
from penstock.simulator.answers import Reply, chat_body, completion_body, response_body
from penstock.simulator.events import chat_events, completion_events, response_events
from penstock.simulator.questions import (
    Question,
    chat_question,
    completion_question,
    embedding_question,
    response_question,
)
from penstock.simulator.refusals import Refusal
from penstock.simulator.wire import Request


class Api(NamedTuple):
    """How one path's bodies are read and answered; embeddings have neither reply nor stream."""

    read: Callable[[bytes], Question]
    body: Callable[[Reply], bytes] | None = None
    events: Callable[[Reply, bool], list[bytes]] | None = None


APIS = {
    "/v1/chat/completions": Api(chat_question, chat_body, chat_events),
    "/v1/completions": Api(completion_question, completion_body, completion_events),
    "/v1/responses": Api(response_question, response_body, response_events),
    "/v1/embeddings": Api(embedding_question),
}
MODELS_PATH = "/v1/models"


def misplaced(request: Request) -> Refusal | None:
    """Why the path or the method is wrong, if it is."""
    method, path = request.method, request.path
    if path not in APIS and path != MODELS_PATH:
        return refusals.unknown_path(method, path)
    if method != ("GET" if path == MODELS_PATH else "POST"):
        return refusals.wrong_method(method, path)
    return None


def route(request: Request) -> str:
    """A request's line in the statistics; paths that don't exist share one."""
    known = request.path in APIS or request.path == MODELS_PATH
    return f"{request.method} {request.path}" if known else "other"
