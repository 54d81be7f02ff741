"""What must be known of prices before the first request, and what is refused."""

from __future__ import annotations

import pytest

from penstock.engine.pricing import notes_of, prices_of, rates
from penstock.engine.rates import Rates, changed
from penstock.errors import JobError
from penstock.job import Job
from penstock.providers.provider import provider_for
from penstock.record import BatchLine, Record

LOCAL = "http://127.0.0.1:8000/v1"
GIVEN = {"input": 1.0, "output": 2.0}


def a_job(**options: object) -> Job:
    return Job(**{"model": "m", "prompt": "{{ text }}", "base_url": LOCAL, **options})  # type: ignore[arg-type]


def asked_for(*models: str) -> list[Record]:
    bodies = [b'{"model": "%s", "messages": []}' % model.encode() for model in models]
    lines = [BatchLine("/v1/chat/completions", body) for body in bodies]
    return [Record(row, f"in:{row}", batch=line) for row, line in enumerate(lines)]


def prices(job: Job, sample: list[Record] | None = None):  # type: ignore[no-untyped-def]
    return prices_of(job, provider_for(job), sample or [])


def test_a_job_that_nothing_is_known_of_has_no_prices() -> None:
    assert prices(a_job()) is None
    assert notes_of(None) == []


def test_what_the_list_may_know_is_looked_up_later() -> None:
    found = prices(a_job(model="gpt-4o-mini"))
    assert (found.rates, found.usual, found.budgeted) == ({}, None, False)


def test_a_price_that_is_given_is_known_at_once_and_said() -> None:
    found = prices(a_job(price=GIVEN))
    assert found.usual == changed(None, GIVEN)
    assert notes_of(found) == ["m costs, for a million tokens: $1 in, $2 out"]


def test_a_vector_needs_no_price_of_output() -> None:
    found = prices(a_job(task="embed", price={"input": 1.0}, budget_usd=1))
    assert found.usual == changed(None, {"input": 1.0, "output": 0.0})


def test_half_a_price_of_what_nobody_knows_is_refused() -> None:
    with pytest.raises(JobError, match="--price input: no price is known"):
        prices(a_job(price={"input": 1.0}))


def test_a_budget_needs_the_price_first() -> None:
    found = prices(a_job(model="gpt-4o-mini", budget_usd=1.0))
    assert found.budgeted and found.usual == found.rates["gpt-4o-mini"]
    with pytest.raises(JobError, match="the price of m is not known") as caught:
        prices(a_job(budget_usd=1.0))
    assert "--price" in caught.value.next_step


def test_batch_lines_name_their_models_and_the_dearest_is_what_is_predicted() -> None:
    job = Job(base_url=LOCAL, budget_usd=1.0)
    found = prices(job, asked_for("gpt-4o-mini", "gpt-4o", "gpt-4o"))
    assert list(found.rates) == ["gpt-4o-mini", "gpt-4o"]
    assert found.usual == found.rates["gpt-4o"]
    with pytest.raises(JobError, match="of llama is not known"):
        prices(job, asked_for("gpt-4o", "llama"))
    with pytest.raises(JobError, match="the price is not known"):
        prices(job)


def test_each_endpoints_model_has_its_price_and_the_dearest_is_predicted() -> None:
    endpoints = ({"base_url": LOCAL}, {"base_url": "https://api.openai.com/v1", "model": "gpt-4o"})
    job = a_job(model="gpt-4o-mini", endpoints=endpoints, budget_usd=1.0)
    found = prices(job)
    assert set(found.rates) == {"gpt-4o-mini", "gpt-4o"}
    assert found.usual == rates(job, "gpt-4o")
    assert isinstance(found.usual, Rates)
