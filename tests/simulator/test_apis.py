from __future__ import annotations

import pytest

from penstock.simulator.apis import APIS, find, misplaced, route, voice_at
from penstock.simulator.refusals import Refusal
from penstock.simulator.voices import ANTHROPIC, AZURE, GEMINI, OPENAI, Voice
from penstock.simulator.wire import Request

PLACES = [
    *((path, "", OPENAI, None) for path in sorted(APIS)),
    ("/v1/messages", "", ANTHROPIC, None),
    ("/v1beta/models/gemini-x:generateContent", "", GEMINI, "gemini-x"),
    ("/v1/models/gemini-x:generateContent", "", GEMINI, "gemini-x"),
    ("/v1beta/models/e:embedContent", "", GEMINI, "e"),
    ("/v1beta/models/e:batchEmbedContents", "", GEMINI, "e"),
    ("/openai/v1/chat/completions", "", AZURE, None),
    ("/openai/v1/responses", "", AZURE, None),
    ("/openai/deployments/my%20d/chat/completions", "api-version=2024-10-21", AZURE, "my d"),
    ("/openai/deployments/d/embeddings", "api-version=2024-10-21", AZURE, "d"),
]


def asked(method: str, path: str, query: str = "") -> Request:
    return Request(method, path, {}, b"", True, query)


def refused(request: Request) -> Refusal | None:
    return misplaced(request, find(request))


@pytest.mark.parametrize(("path", "query", "voice", "model"), PLACES)
def test_every_api_takes_post_and_nothing_else(
    path: str, query: str, voice: Voice, model: str | None
) -> None:
    found = find(asked("POST", path, query))
    assert found is not None and (found.voice, found.model) == (voice, model)
    assert refused(asked("POST", path, query)) is None
    refusal = refused(asked("GET", path, query))
    assert refusal is not None and refusal.status == 405


def test_models_are_got_and_unknown_paths_are_not_there() -> None:
    assert refused(asked("GET", "/v1/models")) is None
    for path in (
        "/v1/chat/completions/",
        "/v1beta/models/m:streamGenerateContent",
        "/openai/v2/chat/completions",
        "/openai/deployments/d/chat/completions",  # without a version
        "/openai/deployments/d/what",
    ):
        refusal = refused(asked("POST", path))
        assert refusal is not None and refusal.status == 404


@pytest.mark.parametrize(
    ("path", "voice"),
    [
        ("/v1/what", OPENAI),
        ("/v1/messages/what", ANTHROPIC),
        ("/v1beta/what", GEMINI),
        ("/openai/what", AZURE),
    ],
)
def test_a_path_that_is_not_there_is_refused_in_its_provider_s_words(
    path: str, voice: Voice
) -> None:
    assert voice_at(path) is voice


def test_a_flood_of_unknown_paths_is_one_line_of_statistics() -> None:
    def line(method: str, path: str) -> str:
        request = asked(method, path)
        return route(request, find(request))

    assert line("GET", "/v1/a") == line("PUT", "/b") == "other"
    assert line("POST", "/v1/embeddings") == "POST /v1/embeddings"
    assert line("POST", "/v1beta/models/a:generateContent") == (
        "POST /v1beta/models/MODEL:generateContent"
    )
    assert line("GET", "/v1/models") == "GET /v1/models"
