"""The price list: what a provider asks for a model, by genai-prices.

That package takes 0.2 s of CPU to import, so it is loaded where a price may be known, and never in
a worker. Whether one may be is told by the API's host, or by a model's name that belongs to one
provider alone: what answers to it, be it a gateway or a simulator, is priced as that provider's.
Open models under other hosts have no price: nobody knows what one's own server costs.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from penstock.engine.rates import PER_USD, PER_USD_A_MILLION, Rates

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice

# Hosts of providers that are on the list; a cheap look before it is loaded.
HOSTS: Final = re.compile(
    r"(^|\.)("
    r"openai\.com|anthropic\.com|googleapis\.com|azure\.com|azure-api\.net|amazonaws\.com"
    r"|mistral\.ai|groq\.com|deepseek\.com|together\.(xyz|ai)|openrouter\.ai|fireworks\.ai|x\.ai"
    r"|cohere\.(ai|com)|perplexity\.ai|cerebras\.ai|novita\.ai|moonshot\.(ai|cn)|z\.ai|minimaxi?\.(io|com)"
    r"|voyageai\.com|cloudflare\.com|databricks\.com|azuredatabricks\.net|huggingface\.co"
    r"|avian\.io|baseten\.co|arcee\.ai|bigmodel\.cn|ovh\.net"
    r")$"
)
# Models that only their maker sells; gpt-oss is one that anybody may run.
MODELS: Final = re.compile(r"(gpt-(?!oss)|o[134](-|$)|text-embedding-|claude-|gemini-)")
# Of those, the ones whose provider the list does not tell by the name.
OPENAI_MODELS: Final = "text-embedding-"
SERVICE_TIER: Final = "service_tier"

_loading = threading.Lock()  # two threads that import one package at once wait for each other


def may_know(base_url: str, model: str | None) -> bool:
    """Whether the list may have a price, at a glance."""
    host = urlsplit(base_url).hostname or ""
    return HOSTS.search(host) is not None or bool(model and MODELS.match(model))


def look_up(base_url: str, model: str, params: Mapping[str, Any]) -> Rates | None:
    """The rates of a model as of today; None where the list has none. It blocks."""
    if not may_know(base_url, model):
        return None
    with _loading:
        from genai_prices.data_snapshot import get_snapshot
    snapshot = get_snapshot()
    is_listed = HOSTS.search(urlsplit(base_url).hostname or "") is not None
    provider = "openai" if model.startswith(OPENAI_MODELS) and not is_listed else None
    url = base_url if is_listed else None
    tier = params.get(SERVICE_TIER)
    context = {SERVICE_TIER: tier} if isinstance(tier, str) else None
    try:
        _, found = snapshot.find_provider_model(model, None, provider, url)
        prices = found.get_prices(datetime.now(UTC), context)
    except (LookupError, ValueError):
        return None
    return rates_of(prices)


def rates_of(prices: ModelPrice) -> Rates | None:
    """Prices of the list as rates; None where they are not by the token."""
    if prices.input_mtok is None and prices.output_mtok is None:
        return None
    names = ("input", "cache_read", "cache_write", "output", "output_reasoning")
    listed = [getattr(prices, f"{name}_mtok") for name in names]
    starts = {tier.start for price in listed for tier in getattr(price, "tiers", ())}
    request = getattr(prices, "requests_kcount", None)
    per_request = round(at_length(request, 0) * PER_USD / 1000) if request is not None else 0
    longer = tuple(
        at_rates(listed, start + 1, per_request, above_tokens=start)
        for start in sorted(starts, reverse=True)
    )
    return at_rates(listed, 0, per_request, longer=longer)


def at_rates(listed: list[Any], input_tokens: int, request: int, **more: Any) -> Rates:
    """The rates of a request with so long an input; what has no price is priced as its whole."""
    read, cached, stored, written, reasoned = (
        None if price is None else round(at_length(price, input_tokens) * PER_USD_A_MILLION)
        for price in listed
    )
    read, written = read or 0, written or 0
    return Rates(
        read,
        read if cached is None else cached,
        read if stored is None else stored,
        written,
        written if reasoned is None else reasoned,
        request,
        **more,
    )


def at_length(price: Any, input_tokens: int) -> Any:
    """A price, or the one of its tiers that inputs of this length pay."""
    if not hasattr(price, "tiers"):
        return price
    applying = [tier.price for tier in price.tiers if input_tokens > tier.start]
    return applying[-1] if applying else price.base
