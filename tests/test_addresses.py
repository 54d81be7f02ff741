"""Which dialect is spoken where, and what of it is told by a base URL or a model's name."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.addresses import (
    BASE_URLS,
    PLACES,
    place_of,
    simulated_url,
    told,
    url_of,
)
from penstock.endpoints import at_one_place, endpoints_of
from penstock.errors import JobError
from penstock.job import OPENAI_BASE_URL, Job
from penstock.origins import load_job


def job(**options: Any) -> Job:
    return load_job(options, environment={})


@pytest.mark.parametrize(
    ("base_url", "provider"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://eu.api.openai.com/v1", "openai"),
        ("https://api.anthropic.com", "anthropic"),
        ("https://api.anthropic.com/v1", "anthropic"),
        ("https://api.deepseek.com/v1", "openai"),
        ("https://name.openai.azure.com", "azure"),
        ("https://name.openai.azure.com/openai/v1", "azure"),
        ("https://name.services.ai.azure.com/anthropic", "anthropic"),
        ("https://generativelanguage.googleapis.com", "gemini"),
        ("https://generativelanguage.googleapis.com/v1beta/openai", "openai"),
        ("https://api.deepseek.com/anthropic", "anthropic"),
        ("https://api.groq.com/openai/v1", "openai"),
        ("http://127.0.0.1:8000/v1", "openai"),
        ("https://api.anthropic.com.evil.example/v1", "openai"),
        ("https://gateway.example/anthropic", "openai"),
    ],
)
def test_a_base_url_tells_the_dialect_where_that_is_certain(base_url: str, provider: str) -> None:
    found = job(base_url=base_url, model="claude-sonnet-4-5")
    assert (found.provider, found.base_url) == (provider, base_url)


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("claude-sonnet-4-5", "anthropic"),
        ("gemini-2.5-flash", "gemini"),
        ("gpt-5-mini", "openai"),
        ("llama", "openai"),
    ],
)
def test_a_model_s_name_tells_the_dialect_where_no_url_does(model: str, provider: str) -> None:
    found = job(model=model)
    assert (found.provider, found.base_url) == (provider, BASE_URLS[provider])


def test_without_either_it_is_openai() -> None:
    assert (job().provider, job().base_url) == ("openai", OPENAI_BASE_URL)


def test_what_is_told_stands_whatever_url_and_model_say() -> None:
    found = job(provider="anthropic", base_url="http://h/v1", model="gpt-5")
    assert (found.provider, found.base_url) == ("anthropic", "http://h/v1")
    assert job(provider="openai", model="claude-x").base_url == OPENAI_BASE_URL
    assert job(provider="openai", base_url="https://api.anthropic.com/v1").provider == "openai"


def test_another_dialect_than_the_usual_one_is_said() -> None:
    assert told(job(model="gpt-5")) is None
    assert told(job(model="claude-x")) == (
        "The provider is anthropic, at api.anthropic.com; --provider names another."
    )
    assert "a simulator" in (told(job(model="claude-x", simulate=True)) or "")
    named = job(provider="anthropic", base_url="http://h/v1", model="claude-x")
    assert told(named) is None, "who named it need not be told how"


@pytest.mark.parametrize("provider", ["azure", "http"])
def test_a_provider_without_a_place_of_its_own_needs_a_base_url(provider: str) -> None:
    with pytest.raises(JobError, match="without --base-url"):
        job(provider=provider)


def test_a_host_is_known_by_its_whole_name() -> None:
    for place in PLACES:
        host = f"name{place.host}" if place.host.startswith(".") else place.host
        assert place_of(f"https://{host}/v1") == place
        assert place_of(f"https://{host.upper()}/v1") == place
        assert place_of(f"https://{host}.evil.example/v1") is None
        assert place_of(f"https://evil.example/{host}") is None
    assert place_of("https://openai.azure.com.evil.example") is None
    assert place_of("https://evilapi.openai.com") is None


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({}, "/v1"),
        ({"base_url": "https://api.groq.com/openai/v1"}, "/v1"),
        ({"provider": "anthropic"}, "/v1"),
        ({"provider": "gemini"}, "/v1beta"),
        ({"provider": "openai-responses"}, "/v1"),
        ({"provider": "azure"}, ""),
        (
            {"base_url": "https://n.openai.azure.com/openai/deployments/d?api-version=1"},
            "/openai/deployments/d?api-version=1",
        ),
        ({"provider": "http"}, "/v1/chat/completions"),
        ({"provider": "http", "base_url": "https://h/v1/completions"}, "/v1/completions"),
    ],
)
def test_a_simulator_is_asked_where_it_has_the_dialect(options: dict[str, Any], path: str) -> None:
    assert simulated_url(job(simulate=True, **options), "http://s:1") == f"http://s:1{path}"


def test_a_base_url_s_query_is_that_of_each_request() -> None:
    assert url_of("https://h/v1/", "/chat") == "https://h/v1/chat"
    assert url_of("https://h/generate/", "") == "https://h/generate/"
    assert url_of("https://h/a?api-version=1", "/b") == "https://h/a/b?api-version=1"


def test_a_query_is_part_of_a_base_url_if_it_names_azure_s_version_and_nothing_else() -> None:
    job(base_url="https://h/a?api-version=2024-10-21-preview")
    for query in ("key=sk-x", "api-version=1&key=sk-x", "api-version="):
        with pytest.raises(JobError, match="a query or a fragment"):
            job(base_url=f"https://h/a?{query}")


def test_each_endpoint_has_the_dialect_that_its_url_or_its_model_tells() -> None:
    tables = [
        {"base_url": "https://api.anthropic.com/v1"},
        {"model": "gemini-2.5-flash"},
        {"provider": "anthropic"},
        {"base_url": "http://127.0.0.1:8000/v1"},
    ]
    found = job(model="gpt-5", endpoints=tables)
    assert [(one.job.provider, one.job.base_url) for one in endpoints_of(found)] == [
        ("anthropic", "https://api.anthropic.com/v1"),
        ("gemini", BASE_URLS["gemini"]),
        ("anthropic", BASE_URLS["anthropic"]),
        ("openai", "http://127.0.0.1:8000/v1"),
    ]
    simulated = endpoints_of(at_one_place(found, "http://s:1"))
    assert [one.job.base_url for one in simulated] == [
        "http://s:1/v1",
        "http://s:1/v1beta",
        "http://s:1/v1",
        "http://s:1/v1",
    ]


def test_what_the_job_is_told_holds_for_each_endpoint_that_says_nothing_else() -> None:
    tables = [{"base_url": "https://api.anthropic.com/v1"}, {"provider": "gemini"}]
    found = job(model="m", provider="openai", base_url="http://h/v1", endpoints=tables)
    assert [(one.job.provider, one.job.base_url) for one in endpoints_of(found)] == [
        ("openai", "https://api.anthropic.com/v1"),
        ("gemini", "http://h/v1"),
    ]
