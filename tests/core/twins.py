"""The core once more, in plain Python: short enough to be seen to be right, and slow.

The same tests run against both. The limiter's verbs are also there as generators (`..._steps`) that
pause before every access to shared state, so that a test can interleave them in any order and stop
any of them half way, as a killed process would.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from typing import Any

from penstock.providers.provider import Answer
from penstock.record import BOUGHT, FAILED, SUCCEEDED, Result

REQUESTS, TOTAL_TOKENS, INPUT_TOKENS, OUTPUT_TOKENS = range(4)
NOTHING, PAUSED = -1, -2


@dataclass(frozen=True)
class Terms:
    limit: int
    window_ns: int
    ceiling: int
    late_ns: int
    since_ns: int

    @property
    def units(self) -> int:
        return self.limit + 1 - self.ceiling

    @property
    def span_ns(self) -> int:
        return self.window_ns + self.late_ns

    @property
    def tau_ns(self) -> int:
        return self.cost_ns(self.ceiling)

    def cost_ns(self, cost: int) -> int:
        return -(-min(cost, self.limit) * self.span_ns // self.units)


@dataclass
class Bucket:
    resource: int
    terms: Terms
    tat: int
    mark: int
    lifted: bool = False

    def cost(self, inputs: int, outputs: int) -> int:
        return 0 if self.lifted else (1, inputs + outputs, inputs, outputs)[self.resource]


@dataclass
class Endpoint:
    """What the handles share."""

    buckets: list[Bucket | None]
    generation: int = 0
    paused_until: int = 0
    collisions: int = 0
    failures: int = 0
    throttles: int = 0
    probe_at: int = 0


def finish(steps: Generator[None, None, int]) -> int:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return int(end.value)


class Limiter:
    def __init__(self, endpoint: Endpoint) -> None:
        self.shared = endpoint
        self.generation = 0
        self.blocking = NOTHING

    def bucket(self, index: int) -> Bucket:
        bucket = self.shared.buckets[index]
        if bucket is None:
            raise RuntimeError(f"bucket {index} is not configured")
        return bucket

    def configure(
        self,
        bucket: int,
        resource: int,
        limit: int,
        window_ns: int,
        ceiling: int,
        late_ns: int,
        now_ns: int,
    ) -> None:
        terms = Terms(limit, window_ns, ceiling, late_ns, now_ns)
        self.shared.buckets[bucket] = Bucket(resource, terms, now_ns + terms.tau_ns, now_ns)

    def lift(self, bucket: int) -> None:
        self.bucket(bucket).lifted = True
        self.shared.generation += 1

    def debit(self, bucket: int, amount: int, now_ns: int) -> None:
        at, terms = self.bucket(bucket), self.bucket(bucket).terms
        owed = max(at.tat, now_ns) + terms.cost_ns(amount)
        at.tat = max(at.tat, min(owed, now_ns + terms.tau_ns + terms.window_ns))

    def reserve(self, now_ns: int, horizon_ns: int, input_tokens: int, output_tokens: int) -> int:
        return finish(self.reserve_steps(now_ns, horizon_ns, input_tokens, output_tokens))

    def reserve_steps(
        self, now_ns: int, horizon_ns: int, inputs: int, outputs: int
    ) -> Generator[None, None, int]:
        while True:
            yield
            generation = self.shared.generation
            yield
            paused_until = self.shared.paused_until
            due, slowest = max(now_ns, paused_until), NOTHING
            looks: list[Terms] = []
            for index in range(len(self.shared.buckets)):
                bucket = self.bucket(index)
                cost = bucket.cost(inputs, outputs)
                yield
                tat = bucket.tat
                yield
                looks.append(bucket.terms)
                wait = tat + looks[index].cost_ns(cost) - looks[index].tau_ns
                if cost and wait > due:
                    due, slowest = wait, index
            wait = due - now_ns
            self.blocking = PAUSED if 2 * (paused_until - now_ns) > wait else slowest
            if wait > horizon_ns:
                return -wait
            for index in sorted(range(len(looks)), key=lambda index: index != slowest):
                bucket = self.bucket(index)
                cost = bucket.cost(inputs, outputs)
                if cost and not (yield from self.charge_steps(bucket, due, looks[index], cost)):
                    break
            else:
                self.generation = generation
                return due

    def charge_steps(
        self, bucket: Bucket, due: int, seen: Terms, cost: int
    ) -> Generator[None, None, bool]:
        time = seen.cost_ns(cost)
        while True:
            yield
            tat = bucket.tat
            yield
            if bucket.terms is not seen or tat + time - seen.tau_ns > due:
                return False
            if bucket.resource != REQUESTS:
                yield
                bucket.mark = max(bucket.mark, due)
            yield
            if bucket.tat == tat:
                bucket.tat = max(tat, due) + time
                return True
            self.shared.collisions += 1

    def valid(self, due_ns: int, generation: int, now_ns: int) -> bool:
        return self.shared.generation == generation and all(
            now_ns - due_ns <= bucket.terms.late_ns
            for bucket in self.shared.buckets
            if bucket and not bucket.lifted
        )

    def settle(
        self,
        charged_ns: int,
        now_ns: int,
        input_predicted: int,
        output_predicted: int,
        input_used: int,
        output_used: int,
    ) -> None:
        predicted, used = (input_predicted, output_predicted), (input_used, output_used)
        finish(self.settle_steps(charged_ns, now_ns, predicted, used))

    def settle_steps(
        self, charged_ns: int, now_ns: int, predicted: tuple[int, int], used: tuple[int, int]
    ) -> Generator[None, None, int]:
        for bucket in self.shared.buckets:
            while bucket is not None and bucket.resource != REQUESTS and not bucket.lifted:
                yield
                tat = bucket.tat
                yield
                terms = bucket.terms
                yield
                mark = bucket.mark
                owed = terms.cost_ns(bucket.cost(*used)) - terms.cost_ns(bucket.cost(*predicted))
                if owed < 0 and charged_ns >= terms.since_ns:
                    moved = max(0, tat + min(0, owed + max(0, mark - charged_ns)))
                else:
                    moved = max(tat, min(tat + owed, now_ns + terms.tau_ns + terms.window_ns))
                yield
                if bucket.tat == tat:
                    bucket.tat = moved
                    break
                self.shared.collisions += 1
        return 0

    def pause(self, until_ns: int) -> bool:
        return bool(finish(self.pause_steps(until_ns)))

    def pause_steps(self, until_ns: int) -> Generator[None, None, int]:
        yield
        if until_ns <= self.shared.paused_until:
            return False
        self.shared.paused_until = until_ns
        for bucket in filter(None, self.shared.buckets):
            yield
            empty = until_ns + bucket.terms.tau_ns
            yield
            bucket.mark = max(bucket.mark, empty)
            yield
            bucket.tat = max(bucket.tat + 1, empty)
        yield
        self.shared.generation += 1
        return True

    def tune(
        self, bucket: int, limit: int, window_ns: int, ceiling: int, late_ns: int, now_ns: int
    ) -> None:
        finish(self.tune_steps(bucket, (limit, window_ns, ceiling, late_ns), now_ns))

    def tune_steps(
        self, index: int, terms: tuple[int, int, int, int], now_ns: int
    ) -> Generator[None, None, int]:
        bucket = self.bucket(index)
        old = bucket.terms
        yield
        new = Terms(*terms, since_ns=max(now_ns, bucket.mark) + 1)
        yield
        bucket.terms = new
        while True:
            yield
            tat = bucket.tat
            yield
            start = max(now_ns, self.shared.paused_until)
            level = 0 if bucket.lifted else max(tat, start) - start - old.tau_ns
            units = level * (old.units / old.span_ns)
            owed = math.ceil(units / (new.units / new.span_ns))
            moved = start + new.tau_ns + max(-new.tau_ns, min(owed, new.cost_ns(new.limit)))
            yield
            if bucket.tat == tat:
                bucket.tat = moved if moved != tat else moved + 1
                break
            self.shared.collisions += 1
        yield
        bucket.lifted = False
        self.shared.generation += 1
        return 0

    def paused_until(self) -> int:
        return self.shared.paused_until

    def level(self, bucket: int, now_ns: int) -> float:
        terms = self.bucket(bucket).terms
        ahead = max(0, self.bucket(bucket).tat - now_ns)
        return (terms.tau_ns - ahead) * terms.units / terms.span_ns

    def rate(self, bucket: int) -> float:
        terms = self.bucket(bucket).terms
        return terms.units * 1e9 / terms.span_ns

    def collisions(self) -> int:
        return self.shared.collisions

    def record_failure(self) -> int:
        self.shared.failures += 1
        return self.shared.failures

    def record_success(self) -> None:
        self.shared.failures = self.shared.throttles = 0

    def failures_in_a_row(self) -> int:
        return self.shared.failures

    def record_throttle(self) -> int:
        self.shared.failures = 0
        self.shared.throttles += 1
        return self.shared.throttles

    def claim_probe(self, now_ns: int, interval_ns: int) -> bool:
        if now_ns < self.shared.probe_at:
            return False
        self.shared.probe_at = now_ns + interval_ns
        return True


@dataclass(frozen=True)
class Verdict:
    kind: str
    error_class: str


class Classifier:
    def __init__(self, rules: Iterable[tuple[int, str | None, str, str]]) -> None:
        self.rules: dict[tuple[int, str | None], Verdict] = {}
        for status, key, kind, error_class in rules:
            verdict = Verdict(kind, error_class)
            if self.rules.setdefault((status, key), verdict) != verdict:
                raise ValueError("two verdicts")

    def classify(self, status: int, code: str | None = None, type: str | None = None) -> Verdict:
        by_key = [(at, key) for at in (status, 0) for key in (code, type) if key is not None]
        hundred = [(status // 100 * 100, None)] if status > 0 else []
        for rule in [*by_key, (status, None), *hundred, (0, None)]:
            if rule in self.rules:
                return self.rules[rule]
        return Verdict("retry", "unknown")


@dataclass
class Slab:
    counter_count: int
    histogram_count: int
    cells: list[int] = field(init=False)
    values: list[list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.cells = [0] * self.counter_count
        self.values = [[] for _ in range(self.histogram_count)]

    def add(self, counter: int, amount: int) -> None:
        self.cells[counter] += amount

    def add_each(self, counters: tuple[int, ...], amounts: tuple[int, ...]) -> None:
        for counter, amount in zip(counters, amounts, strict=True):
            self.cells[counter] += amount

    def set(self, counter: int, value: int) -> None:
        self.cells[counter] = value

    def get(self, counter: int) -> int:
        return self.cells[counter]

    def record(self, histogram: int, value: int) -> None:
        self.values[histogram].append(value)

    def counters(self) -> list[int]:
        return self.cells

    def histogram(self, histogram: int) -> list[int]:
        """Counted by asking each value for its octave, then for its place within the octave."""
        counts = [0] * (64 * 37)
        for value in self.values[histogram]:
            counts[bucket_of(value)] += 1
        return counts

    def total(self, histogram: int) -> int:
        return sum(self.values[histogram])


def bucket_of(value: int) -> int:
    held = min(value, 2**42 - 1)
    if held < 128:
        return held
    octave = int(math.log2(held))
    return 64 * (octave - 5) + (held - (1 << octave)) // (1 << (octave - 6))


def quantile(values: list[int], q: float) -> float:
    """The smallest value that at least a share q of all values don't exceed."""
    return float(sorted(values)[max(1, math.ceil(q * len(values))) - 1]) if values else 0.0


@dataclass
class Needles:
    needles: Iterable[bytes]

    def __post_init__(self) -> None:
        self.needles = tuple(self.needles)
        if any(type(one) is not bytes or len(one) < 2 for one in self.needles):
            raise ValueError("a needle is bytes, and has at least two of them")

    def within(self, haystack: bytes) -> bool:
        return any(one in haystack for one in self.needles)

    def plainly_absent(self, body: bytes, head: bytes) -> bool:
        found = self.within(body) or self.within(head)
        escaped = re.search(rb"\\u00[2-7].", body, re.DOTALL)
        return not self.needles or not (found or escaped or not head.isascii())


class Claims:
    """A set; where the core's has no room any more, this one has."""

    def __init__(self) -> None:
        self._keys: set[int] = set()

    def claim(self, key: int) -> bool:
        is_new = (key or 1) not in self._keys
        self._keys.add(key or 1)
        return is_new


class TokenPredictor:
    def __init__(self, first_output: int = 256) -> None:
        self._per_byte = 0.25
        self._output = first_output
        self._recent: deque[int] = deque(maxlen=128)
        self._seen = 0
        self._look_at = 1  # so many answers; then at twice as many, and so on

    def predict(self, body_bytes: int, most_output: int) -> tuple[int, int]:
        output = min(self._output, most_output) if most_output else self._output
        return int(body_bytes * self._per_byte + 0.5) or 1, output

    def learn(self, body_bytes: int, input_tokens: int, output_tokens: int) -> None:
        if body_bytes > 0:
            self._per_byte += 0.05 * (input_tokens / body_bytes - self._per_byte)
        self._recent.append(output_tokens)
        self._seen += 1
        if self._seen >= self._look_at:
            self._look_at = self._seen + min(self._seen, 64)
            ordered = sorted(self._recent)
            self._output = ordered[min(len(ordered) - 1, int(len(ordered) * 0.8))]


def result_of(
    pending: Any,
    attempt: Any,
    error_class: str,
    endpoint: str,
    now_ns: int,
    finished_at: int,
    *,
    generation: int,
    keeps: tuple[bool, bool],
) -> Result:
    """How a record ended, as ResultMaker has it; neither a price nor answers that did not count."""
    answer = Answer() if attempt.answer is None else attempt.answer
    succeeded = attempt.answer is not None and not error_class
    kept = attempt.body and keeps[succeeded]
    return Result(
        row=pending.record.row,
        id=pending.record.id,
        outcome=SUCCEEDED if succeeded else FAILED,
        output=answer.output,
        tool_calls=answer.tool_calls,
        reasoning=answer.reasoning,
        finish_reason=answer.finish_reason,
        truncated=answer.truncated,
        model=answer.model,
        endpoint=endpoint,
        http_status=attempt.status or None,
        request_id=attempt.request_id,
        input_tokens=answer.input_tokens,
        cached_input_tokens=answer.cached_input_tokens,
        output_tokens=answer.output_tokens,
        reasoning_tokens=answer.reasoning_tokens,
        attempts=pending.attempts,
        latency_seconds=attempt.latency_seconds,
        elapsed_seconds=(now_ns - pending.first_ns) / 1e9,
        finished_at=finished_at,
        error_class=None if succeeded else error_class,
        error_message=attempt.refusal.message if attempt.refusal and not succeeded else None,
        request_hash=pending.request.request_hash if pending.request else None,
        source=BOUGHT,
        generation=generation,
        response=attempt.body.decode("utf-8", "replace") if kept else None,
    )
