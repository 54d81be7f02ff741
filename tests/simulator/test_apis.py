from __future__ import annotations

import pytest

from penstock.simulator.apis import APIS, misplaced, route
from penstock.simulator.wire import Request


def asked(method: str, path: str) -> Request:
    return Request(method, path, {}, b"", True)


@pytest.mark.parametrize("path", sorted(APIS))
def test_every_api_takes_post_and_nothing_else(path: str) -> None:
    assert misplaced(asked("POST", path)) is None
    refusal = misplaced(asked("GET", path))
    assert refusal is not None and refusal.status == 405


def test_models_are_got_and_unknown_paths_are_not_there() -> None:
    assert misplaced(asked("GET", "/v1/models")) is None
    refusal = misplaced(asked("POST", "/v1/chat/completions/"))
    assert refusal is not None and refusal.status == 404


def test_a_flood_of_unknown_paths_is_one_line_of_statistics() -> None:
    assert route(asked("GET", "/v1/a")) == route(asked("PUT", "/b")) == "other"
    assert route(asked("POST", "/v1/embeddings")) == "POST /v1/embeddings"
