"""What tokens cost: the rates of a model, and the arithmetic of an answer.

Everything is in picodollars, as whole numbers: a dollar per million tokens is a million of them a
token, so that prices with six decimals are exact, and 64 bits hold nine million dollars.

The rules are the providers' own: cached tokens, and those written to a cache, are part of the input
and priced apart; reasoning is part of the output; a long input makes all tokens of its request
dearer, not those above the threshold alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

PER_USD: Final = 10**12
PER_USD_A_MILLION: Final = 10**6  # picodollars a token

# What one request costs at most: a usage that is nonsense must not overflow the counters.
MOST_PUSD: Final = 1000 * PER_USD

# What each kind of tokens that is priced apart is a part of.
WHOLE: Final = {"cached": "input", "cache_write": "input", "reasoning": "output"}

# The request by which the dearer of two models is found.
USUAL_TOKENS: Final = (1000, 0, 0, 300, 0)


class Rates(msgspec.Struct, frozen=True):
    """Picodollars per token of each kind, and per request."""

    input: int
    cached: int
    cache_write: int
    output: int
    reasoning: int
    request: int = 0
    above_tokens: int = 0  # in `longer`: the rates of inputs of more tokens than these
    longer: tuple[Rates, ...] = ()  # the longest first


def cost_pusd(
    rates: Rates, input: int, cached: int, cache_write: int, output: int, reasoning: int
) -> int:
    """What a request cost; `cached` and `cache_write` are part of `input`, `reasoning` of `output`.

    A part that is larger than its whole is paid for, and leaves nothing of the rest.
    """
    for dearer in rates.longer:
        if input > dearer.above_tokens:
            rates = dearer
            break
    plain, visible = input - cached - cache_write, output - reasoning
    cost = (
        rates.request
        + (plain * rates.input if plain > 0 else 0)
        + cached * rates.cached
        + cache_write * rates.cache_write
        + (visible * rates.output if visible > 0 else 0)
        + reasoning * rates.reasoning
    )
    return cost if cost < MOST_PUSD else MOST_PUSD


def changed(found: Rates | None, price: Mapping[str, float]) -> Rates | None:
    """`found` with the --price over it; None where the two together say too little.

    What is given holds for inputs of any length. What is neither given nor found is priced as what
    it is a part of.
    """
    given = {
        name: round(usd * (PER_USD if name == "request" else PER_USD_A_MILLION))
        for name, usd in price.items()
    }
    if found is None:
        if "input" not in given or "output" not in given:
            return None
        read, written = given["input"], given["output"]
        return msgspec.structs.replace(Rates(read, read, read, written, written), **given)
    longer = tuple(replaced(one, given) for one in found.longer)
    return msgspec.structs.replace(replaced(found, given), longer=longer)


def replaced(found: Rates, given: Mapping[str, int]) -> Rates:
    """`found` with other rates; a part that has no rate of its own has that of its whole."""
    parts = {
        part: given[whole]
        for part, whole in WHOLE.items()
        if whole in given and getattr(found, part) == getattr(found, whole)
    }
    return msgspec.structs.replace(found, **{**parts, **given})


def dearest(rates: Iterable[Rates]) -> Rates:
    """The one by which a usual request costs most."""
    return max(rates, key=lambda one: cost_pusd(one, *USUAL_TOKENS))


def pusd(usd: float) -> int:
    """Dollars as picodollars."""
    return round(usd * PER_USD)


def usd(pusd: int) -> float:
    """Picodollars as dollars."""
    return pusd / PER_USD


def rate_words(rates: Rates) -> str:
    """`$0.15 in, $0.075 cached, $0.6 out`: per million tokens."""
    parts = [(rates.input, "in"), (rates.output, "out")]
    if rates.cached != rates.input:
        parts.insert(1, (rates.cached, "cached"))
    if rates.cache_write != rates.input:
        parts.insert(-1, (rates.cache_write, "written to the cache"))
    if rates.reasoning != rates.output:
        parts.append((rates.reasoning, "reasoning"))
    words = ", ".join(f"${rate / PER_USD_A_MILLION:g} {kind}" for rate, kind in parts)
    if rates.request:
        words += f", ${rates.request / PER_USD:g} a request"
    if rates.longer:
        words += f", more above {rates.longer[-1].above_tokens:,} tokens of input"
    return words
