"""Azure's paths and its key; all else is OpenAI's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.errors import JobError
from penstock.job import Job
from penstock.providers.azure import Azure
from penstock.record import BatchLine, Record

HOST = "https://name.openai.azure.com"
VERSION = "?api-version=2024-10-21"


def dialect(base_url: str, **options: Any) -> Azure:
    return Azure(Job(**{"model": "my d", "prompt": "x", "base_url": base_url, **options}))


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        (HOST, "/openai/v1/chat/completions"),
        (f"{HOST}/", "/openai/v1/chat/completions"),
        (f"{HOST}/openai", "/v1/chat/completions"),
        (f"{HOST}/openai/v1/", "/chat/completions"),
        (f"{HOST}/openai/v1?api-version=preview", "/chat/completions"),
        (f"{HOST}{VERSION}", "/openai/deployments/my%20d/chat/completions"),
        (f"{HOST}/openai{VERSION}", "/deployments/my%20d/chat/completions"),
        (f"{HOST}/openai/deployments/d{VERSION}", "/chat/completions"),
    ],
)
def test_the_path_is_what_the_base_url_lacks_of_it(base_url: str, path: str) -> None:
    assert dialect(base_url).path == path


def test_a_deployment_in_the_path_is_the_model_where_none_is_given() -> None:
    asked = dialect(f"{HOST}/openai/deployments/my%20d{VERSION}", model=None)
    asked.check_columns([])
    assert json.loads(asked.request(Record(0, "f", fields={})).body)["model"] == "my d"
    with pytest.raises(JobError, match="no version of the API"):
        dialect(f"{HOST}/openai/deployments/d")


def test_a_url_that_was_copied_with_its_endpoint_is_refused() -> None:
    with pytest.raises(JobError, match="names one endpoint"):
        dialect(f"{HOST}/openai/deployments/d/chat/completions{VERSION}")


def test_the_key_is_a_header_of_its_own() -> None:
    headers = dialect(HOST).headers("k")
    assert headers["api-key"] == "k" and "Authorization" not in headers


@pytest.mark.parametrize("url", ["/v1/chat/completions", "/chat/completions"])
def test_batch_lines_go_below_the_same_path(url: str) -> None:
    line = Record(0, "f:1", batch=BatchLine(url, b"{}"))
    for base_url in (HOST, f"{HOST}/openai/v1"):
        path = dialect(base_url, prompt=None).request(line).path
        where = base_url.removeprefix(HOST) + path
        assert where == "/openai/v1/chat/completions"
