"""What is left to chance, decided by hashes: the same seed and requests give the same run.

A random generator would give each request what its turn in the queue gave it. Here every draw is a
function of the seed, the request's body and how many times that body was seen, so a run repeats
itself whatever the order and timing in which requests arrive.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from statistics import NormalDist
from typing import Literal, NamedTuple

from xxhash import xxh3_64_intdigest, xxh3_128_intdigest

from penstock.simulator.settings import FAULTS, Settings

_pack = struct.Struct("<QQ").pack
_standard_normal = NormalDist().inv_cdf
_STEPS = 2**32


class Length(NamedTuple):
    """How long an answer is, and whether the request's maximum cut it."""

    tokens: int
    finish_reason: Literal["stop", "length"]


class Attempt(NamedTuple):
    """How one attempt goes: what strikes it (None: nothing), which kind of that, and when."""

    fault: str | None
    variant: float
    ttft_seconds: float


def fingerprint(seed: int, body: bytes) -> int:
    """A request body's 64-bit hash under a seed: the key of all its draws."""
    return xxh3_64_intdigest(body, seed)


def uniforms(key: int, turn: int) -> tuple[float, float, float]:
    """Three independent numbers in (0, 1); turn 0 is the record, turn n its n-th attempt."""
    bits = xxh3_128_intdigest(_pack(key, turn))
    return (
        ((bits & 0xFFFFFFFF) + 0.5) / _STEPS,
        ((bits >> 32 & 0xFFFFFFFF) + 0.5) / _STEPS,
        ((bits >> 64 & 0xFFFFFFFF) + 0.5) / _STEPS,
    )


def lognormal(mean: float, spread: float, uniform: float) -> float:
    """A lognormal number of that mean; `spread` is the sigma of its logarithm."""
    if not spread or not mean:
        return mean
    return mean * math.exp(spread * _standard_normal(uniform) - spread * spread / 2)


def is_invalid(settings: Settings, key: int) -> tuple[bool, float]:
    """Whether the answer to a schema does not match it, and a number in (0, 1) that says how."""
    _, how, chance = uniforms(key, 0)
    return chance < settings.invalid_output, how


def is_rejected(settings: Settings, key: int) -> bool:
    """Whether the record is one of those that are refused every time."""
    return settings.reject > 0 and uniforms(key, 0)[0] < settings.reject


def draw_length(settings: Settings, key: int, max_tokens: int | None) -> Length:
    """The answer's length: the same at every attempt, at least 1 token, at most `max_tokens`."""
    drawn = lognormal(settings.output_tokens, settings.output_tokens_spread, uniforms(key, 0)[1])
    tokens = max(1, round(drawn))
    if max_tokens is not None and max_tokens < tokens:
        return Length(max_tokens, "length")
    return Length(tokens, "stop")


def attempt_drawer(settings: Settings) -> Callable[[int, int], Attempt]:
    """A function of (key, times seen, from 1) that draws attempts under these settings."""
    total = 0.0
    bounds: list[tuple[float, str]] = []
    for name in FAULTS:
        rate: float = getattr(settings, name)
        total += rate
        if rate:
            bounds.append((total, name))

    def draw(key: int, times_seen: int) -> Attempt:
        chance, luck, variant = uniforms(key, times_seen)
        fault = next((name for bound, name in bounds if chance < bound), None)
        return Attempt(fault, variant, lognormal(settings.ttft_seconds, settings.ttft_spread, luck))

    return draw
