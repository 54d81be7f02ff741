from __future__ import annotations

import pytest

from penstock.errors import JobError
from penstock.job import Job
from penstock.providers.batch import check_batch, path_below

CHAT = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("base_path", "url", "path"),
    [
        ("/v1", CHAT, "/chat/completions"),
        ("/v1/", CHAT, "/chat/completions"),
        ("", CHAT, CHAT),
        ("/", CHAT, CHAT),
        ("/openai/v1", CHAT, "/chat/completions"),
        ("/openai", CHAT, CHAT),
        ("/v10", CHAT, CHAT),
        ("/1", CHAT, CHAT),
        ("/v1/v1", CHAT, "/chat/completions"),
        ("/v1/chat", CHAT, "/completions"),
        ("/v1/gateway", CHAT, CHAT),
    ],
)
def test_what_base_url_and_url_share_is_there_once(base_path: str, url: str, path: str) -> None:
    assert path_below(base_path, url) == path


@pytest.mark.parametrize("url", [CHAT, "/v1/responses", "/v1/embeddings"])
def test_a_url_stands_whole_below_a_base_url_that_ends_with_v1(url: str) -> None:
    assert "/v1" + path_below("/v1", url) == url


@pytest.mark.parametrize(
    "given",
    [
        {"prompt": "{{ x }}"},
        {"system": "be"},
        {"messages": "m"},
        {"model": "m"},
        {"param": {"temperature": 0}},
    ],
)
def test_an_option_that_would_change_a_written_out_request_is_refused(given: dict) -> None:  # type: ignore[type-arg]
    with pytest.raises(JobError, match=f"--{next(iter(given))} is given"):
        check_batch(Job(**given))


def test_batch_lines_need_no_option() -> None:
    check_batch(Job(rpm=5, base_url="http://h/v1"))
