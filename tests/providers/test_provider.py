from __future__ import annotations

import typing

from penstock.job import Job
from penstock.providers.openai import OpenAI
from penstock.providers.provider import DIALECTS, provider_for


def test_a_job_s_dialect_is_made_by_its_name() -> None:
    provider = provider_for(Job(provider="openai", model="m", prompt="x"))
    assert isinstance(provider, OpenAI)
    assert provider.name == "openai"


def test_every_provider_that_a_job_may_name_has_a_dialect() -> None:
    named = typing.get_args(typing.get_type_hints(Job)["provider"])
    assert set(named) == set(DIALECTS)
