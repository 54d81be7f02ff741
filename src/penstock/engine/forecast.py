"""What a job will take before it is run: tokens and time, and how sure that is. Pure arithmetic.

Input: what the sampled requests are predicted to take, times what earlier records took of what was
predicted for them. Output and latency: what earlier records had; before the first is done, a guess
that the interval shows as one. Time: every limit allows so much a second, and so many slots are
taken for so long; what needs longest is what limits.

An interval is where the sum over all rows lies with a confidence of 95 %, as far as the sample can
tell: normal approximation of the mean, with Student's t for small samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from penstock import _core
from penstock._core import FIRST_OUTPUT_TOKENS
from penstock.endpoints import Endpoint, endpoints_of
from penstock.engine import capacity, limits
from penstock.engine.grouping import most_of, rows_that_fit
from penstock.engine.rates import Rates, cost_pusd, usd
from penstock.job import MOST_SLOTS, Job
from penstock.providers.provider import Provider, Request, UnrenderableRecord
from penstock.record import Record

LEAST_MEASURED: Final = 5  # records; with fewer, nothing is called measured

# Before anything is measured. English prose has some 4 bytes a token in all tokenizers, other
# scripts have 1.5 to 3, JSON and code 2.5 to 4.
GUESSED_RATIO: Final = (1.0, 0.75, 2.0)
# Of the guessed output: answers of a word, and answers of a page.
OUTPUT_RANGE: Final = (0.1, 4.0)
FIRST_SECONDS: Final = 0.5  # to an answer's first token
SECONDS_PER_TOKEN: Final = 0.015
LATENCY_RANGE: Final = (0.3, 3.0)
# One record's CPU in a worker, with what the supervisor has to do for it.
CPU_SECONDS: Final = 60e-6

Z95: Final = 1.96


class Interval(msgspec.Struct, frozen=True):
    """An amount: what is expected, and from where to where it may be."""

    expected: float
    low: float
    high: float

    def times(self, other: Interval | float) -> Interval:
        """The product; independent relative errors are added as their squares."""
        if not isinstance(other, Interval):
            return Interval(self.expected * other, self.low * other, self.high * other)
        expected = self.expected * other.expected
        if not expected:
            return Interval(expected, self.low * other.low, self.high * other.high)
        below = math.hypot(1 - self.low / self.expected, 1 - other.low / other.expected)
        above = math.hypot(self.high / self.expected - 1, other.high / other.expected - 1)
        return Interval(expected, max(0.0, expected * (1 - below)), expected * (1 + above))

    def plus(self, other: Interval) -> Interval:
        """The sum; the errors are taken to go together."""
        return Interval(
            self.expected + other.expected, self.low + other.low, self.high + other.high
        )


class Sampled(msgspec.Struct, frozen=True):
    """What requests of sampled records are predicted to take, one entry a record."""

    input_tokens: list[int]
    most_output: list[int]  # the most that the body asks for; 0 where it does not say
    unrenderable: int = 0  # sampled records of which no request can be made

    @property
    def asked_share(self) -> float:
        """The part of records that a request is made of."""
        seen = len(self.input_tokens) + self.unrenderable
        return len(self.input_tokens) / seen if seen else 1.0


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What earlier records of the same job took, each on average."""

    records: int
    input_ratio: Interval  # tokens, by those predicted
    output_tokens: Interval
    latency_seconds: Interval | None  # None: not known
    attempts: float = 1.0
    cost_usd: Interval | None = None


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """What the rows that are left will take."""

    rows: int
    requests: int
    input_tokens: Interval
    output_tokens: Interval
    cost_usd: Interval | None  # None: no price is known
    seconds: Interval
    limited_by: str  # the limit that needs longest: `rpm`, `concurrency`, ...
    needs_seconds: dict[str, float]  # by limit
    latency_seconds: Interval
    measured: int  # earlier records that this was learned from; 0: output and latency are guessed


def sample_requests(
    provider: Provider, records: Iterable[Record]
) -> tuple[Sampled, list[tuple[Record, Request]]]:
    """What requests of sampled records are predicted to take, and those requests."""
    made: list[tuple[Record, Request]] = []
    seen = 0
    for record in records:
        seen += 1
        with suppress(UnrenderableRecord):
            if record.problem is None:
                made.append((record, provider.request(record)))
    sampled = Sampled(
        [request.input_tokens for _, request in made],
        [request.output_tokens for _, request in made],
        seen - len(made),
    )
    return sampled, made


def exactly(amount: float) -> Interval:
    """An amount of which nothing else is known, or to be said."""
    return Interval(amount, amount, amount)


def mean(values: Sequence[float], whole: int | None = None) -> Interval:
    """The mean of a sample; `whole` is the number of all, where the sample may be a large part."""
    count = len(values)
    if not count:
        return Interval(0.0, 0.0, 0.0)
    middle = sum(values) / count
    if count < 2:
        return Interval(middle, middle * OUTPUT_RANGE[0], middle * OUTPUT_RANGE[1])
    variance = sum((value - middle) ** 2 for value in values) / (count - 1)
    if whole is not None:  # what was not drawn is all that is not known
        variance *= max(0.0, 1 - count / max(whole, count))
    half = student(count - 1) * math.sqrt(variance / count)
    return Interval(middle, max(0.0, middle - half), middle + half)


def student(freedom: int) -> float:
    """About the 97.5 % quantile of Student's t: within 1 % from 4 degrees of freedom on."""
    return Z95 + 2.5 / freedom + 3.0 / freedom**2


def ratio(actual: Sequence[float], predicted: Sequence[float]) -> Interval:
    """What was, by what had been predicted: the ratio of the sums, its error by linearization."""
    whole = sum(predicted)
    if not whole or len(actual) < 2:
        return Interval(*GUESSED_RATIO)
    quotient = sum(actual) / whole
    rests = [one - quotient * other for one, other in zip(actual, predicted, strict=True)]
    error = math.sqrt(sum(rest * rest for rest in rests) / (len(rests) - 1) / len(rests))
    half = student(len(rests) - 1) * error / (whole / len(rests))
    return Interval(quotient, max(0.0, quotient - half), quotient + half)


def forecast(
    job: Job,
    rows: int,
    sampled: Sampled,
    measured: Measured | None,
    workers: int,
    rates: Rates | None = None,
) -> Forecast:
    """What `rows` rows of a job will take; `rates` are the model's, where they are known."""
    asked = rows * sampled.asked_share
    at_once = rows_that_fit(most_of(job), mean(sampled.input_tokens).expected)
    known = measured if measured and measured.records >= LEAST_MEASURED else None
    each_input = mean(sampled.input_tokens, rows).times(
        known.input_ratio if known else Interval(*GUESSED_RATIO)
    )
    each_output = bounded(known.output_tokens, sampled) if known else guessed_output(sampled)
    if job.embeds:
        each_output = exactly(0)
    latency = (known.latency_seconds if known else None) or guessed_latency(each_output)
    attempts = known.attempts if known else 1.0
    tokens_in, tokens_out = each_input.times(asked), each_output.times(asked)
    requests = math.ceil(round(asked * attempts) / at_once)
    needs = needed_seconds(job, requests, tokens_in, tokens_out, latency)
    needs["cpu"] = exactly(asked * attempts).times(CPU_SECONDS / workers)
    limiting = max(needs, key=lambda name: needs[name].expected)
    return Forecast(
        rows=rows,
        requests=requests,
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        cost_usd=cost(known, rates, each_input, each_output, asked),
        seconds=longest(needs),
        limited_by=limiting,
        needs_seconds={name: need.expected for name, need in needs.items()},
        latency_seconds=latency,
        measured=known.records if known else 0,
    )


def cost(
    known: Measured | None, rates: Rates | None, read: Interval, written: Interval, requests: float
) -> Interval | None:
    """What so many requests cost: as those before them did, else by the price of a usual one."""
    if known is not None and known.cost_usd is not None:
        return known.cost_usd.times(requests)
    if rates is None:
        return None
    ends = ((getattr(read, end), getattr(written, end)) for end in ("expected", "low", "high"))
    each = [usd(cost_pusd(rates, round(one), 0, 0, round(other), 0)) for one, other in ends]
    return Interval(*each).times(requests)


def guessed_output(sampled: Sampled) -> Interval:
    """The output tokens of a record of which nothing is known but what its request allows."""
    low, high = OUTPUT_RANGE
    guess = Interval(FIRST_OUTPUT_TOKENS, FIRST_OUTPUT_TOKENS * low, FIRST_OUTPUT_TOKENS * high)
    return bounded(guess, sampled)


def bounded(tokens: Interval, sampled: Sampled) -> Interval:
    """`tokens`, at most what the sampled requests allow on average, where all of them say."""
    if not sampled.most_output or not all(sampled.most_output):
        return tokens
    most = sum(sampled.most_output) / len(sampled.most_output)
    return Interval(min(tokens.expected, most), min(tokens.low, most), min(tokens.high, most))


def guessed_latency(output: Interval) -> Interval:
    """How long an answer takes of which nothing is known but about how long it is."""
    low, high = LATENCY_RANGE
    seconds = FIRST_SECONDS + SECONDS_PER_TOKEN * output.expected
    return Interval(seconds, seconds * low, seconds * high)


def needed_seconds(
    job: Job,
    requests: int,
    tokens_in: Interval,
    tokens_out: Interval,
    latency: Interval,
) -> dict[str, Interval]:
    """How long each limit alone would take."""
    amounts: Mapping[int, Interval] = {
        _core.REQUESTS: exactly(requests),
        _core.TOTAL_TOKENS: tokens_in.plus(tokens_out),
        _core.INPUT_TOKENS: tokens_in,
        _core.OUTPUT_TOKENS: tokens_out,
    }
    endpoints = endpoints_of(job)
    needs = {
        name: amounts[resource].times(1 / per_second)
        for name, (resource, per_second) in limits_of_all(endpoints).items()
    }
    slots = min(MOST_SLOTS, capacity.usual_slots(endpoints))
    needs["concurrency"] = latency.times(requests / min(slots, max(requests, 1)))
    return needs


def limits_of_all(endpoints: Sequence[Endpoint]) -> dict[str, tuple[int, float]]:
    """What each limit counts that all endpoints have, and how much a second they allow together."""
    of_each = [limits.buckets_of(at.job, 1) for at in endpoints]
    together = (
        (same[0], sum(one.per_second for one in same)) for same in zip(*of_each, strict=True)
    )
    return {
        one.name: (one.resource, per_second)
        for one, per_second in together
        if per_second < math.inf
    }


def longest(needs: Mapping[str, Interval]) -> Interval:
    """The time that all limits together take: that of the one that needs longest."""
    return Interval(
        max(need.expected for need in needs.values()),
        max(need.low for need in needs.values()),
        max(need.high for need in needs.values()),
    )
