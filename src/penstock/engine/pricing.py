"""What is known of a job's prices before its first request, and what must be.

Without a budget nothing need be known: the price list is loaded while the first requests are under
way. With one, the price of what is asked for is known first, or the job is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from penstock.endpoints import endpoints_of
from penstock.engine import price_list
from penstock.engine.messages import Prices
from penstock.engine.rates import Rates, changed, dearest, rate_words
from penstock.errors import JobError
from penstock.job import Job
from penstock.providers.provider import Provider, UnrenderableRecord
from penstock.record import Record

NAME_IT = "Give it by --price input=USD,output=USD (dollars per million tokens)"


class Named(msgspec.Struct):
    """The model that a written-out body names."""

    model: str | None = None


def prices_of(job: Job, provider: Provider, sample: Iterable[Record]) -> Prices | None:
    """The prices of a job; None where nothing of it has one.

    Raises JobError for a budget and a model without a price: it could not be kept.
    """
    budgeted = job.budget_usd is not None
    models = asked_models(job) or sampled_models(provider, sample)
    if budgeted:
        known = {model: rates(job, model) for model in models}
        usual = dearest(priced_all(job, known))
        return Prices(dict(known), usual, budgeted=True)
    at_once = changed(None, job.given_price)
    if not any(
        price_list.may_know(one.job.base_url, model)
        for one in endpoints_of(job)
        for model in models or [""]
    ):
        if job.price and at_once is None:
            raise JobError(
                f"--price {', '.join(job.price)}: no price is known that it would change",
                NAME_IT + ".",
            )
        if at_once is None:
            return None
        return Prices(dict.fromkeys(models, at_once), at_once, budgeted=False)
    return Prices({}, None, budgeted=False)


def priced_all(job: Job, known: dict[str, Rates | None]) -> Sequence[Rates]:
    """The rates of all models. Raises JobError where one is missing."""
    found = [one for one in (*known.values(), changed(None, job.given_price)) if one is not None]
    missing = [model for model, one in known.items() if one is None]
    if missing or not found:
        which = f" of {missing[0]}" if missing else ""
        raise JobError(
            f"--budget-usd {job.budget_usd:g}: the price{which} is not known",
            f"{NAME_IT}, or leave the budget out.",
        )
    return found


def rates(job: Job, model: str) -> Rates | None:
    """What a model costs by the price list with --price over it. It blocks.

    Of several endpoints that are asked for it, the dearest counts.
    """
    jobs = [one.job for one in endpoints_of(job)]
    asked = [one for one in jobs if one.model == model] or jobs
    listed = [price_list.look_up(one.base_url, model, one.param) for one in asked]
    known = [one for found in listed if (one := changed(found, job.given_price)) is not None]
    return dearest(known) if known else None


def asked_models(job: Job) -> list[str]:
    """The models that the endpoints of a job are asked for."""
    return list(dict.fromkeys(one.job.model for one in endpoints_of(job) if one.job.model))


def sampled_models(provider: Provider, sample: Iterable[Record]) -> list[str]:
    """The models that sampled records name by themselves."""
    found: dict[str, None] = {}
    for record in sample:
        if record.batch is None:
            continue
        try:
            named = msgspec.json.decode(provider.request(record).body, type=Named).model
        except (UnrenderableRecord, msgspec.MsgspecError, ValueError, RecursionError):
            continue
        if named:
            found[named] = None
    return list(found)


def price_words(model: str, found: Rates) -> str:
    """What is said of a price before it is paid."""
    return f"{model} costs, for a million tokens: {rate_words(found)}"


def notes_of(prices: Prices | None) -> list[str]:
    """What is said of the prices that are known before the first request."""
    known = prices.rates if prices else {}
    return [price_words(model, found) for model, found in known.items() if found is not None]
