"""Servers whose limits nobody is told, and a client that has to find them, in virtual time.

The client keeps what the finder decides, as workers do: a place whose request was throttled stays
empty for half a second, two throttles in a row pause the endpoint.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass, field
from random import Random

from penstock.engine.concurrency import Sample
from penstock.engine.finding import Finder
from penstock.simulator.limits import SlidingWindow

SECOND = 1_000_000_000
LOOK_NS = SECOND // 4
CLOSED_NS = SECOND // 2
INPUT_TOKENS = 100


@dataclass
class Server:
    """What limits it; `names_wait`: whether a throttled answer says how long to wait."""

    rps: int = 0
    rpm: int = 0
    tpm: int = 0
    concurrency: int = 0
    servers: int = 0  # answers worked on at once; more wait without a word
    batch: int = 0  # answers in flight at which each takes twice as long
    throttled: float = 0.0  # share that is throttled whatever the load
    names_wait: bool = True
    ttft_seconds: float = 0.3
    seconds_per_token: float = 0.01
    tokens: float = 60.0
    spread: float = 0.4
    seed: int = 0

    def __post_init__(self) -> None:
        self._dice = Random(self.seed)
        self._requests = [SlidingWindow(self.rps, SECOND)] if self.rps else []
        self._requests += [SlidingWindow(self.rpm, 60 * SECOND)] if self.rpm else []
        self._tokens = [SlidingWindow(self.tpm, 60 * SECOND)] if self.tpm else []
        self._free_ns = [0] * self.servers
        self.in_flight = 0

    def ask(self, now_ns: int) -> tuple[bool, int, int, int | None]:
        """Whether it answers, after how long, with how many tokens, and else what wait it names."""
        drift = self._dice.gauss(-(self.spread**2) / 2, self.spread)
        tokens = max(1, int(self.tokens * math.exp(drift)))
        wait_ns = self._throttles(now_ns, tokens + INPUT_TOKENS)
        if wait_ns is not None:
            return False, SECOND // 50, 0, wait_ns if wait_ns and self.names_wait else None
        for window in self._requests:
            window.add(now_ns, 1)
        for window in self._tokens:
            window.add(now_ns, tokens + INPUT_TOKENS)
        return True, self._latency_ns(now_ns, tokens), tokens, None

    def _throttles(self, now_ns: int, tokens: int) -> int | None:
        if self.throttled and self._dice.random() < self.throttled:
            return 0
        if self.concurrency and self.in_flight >= self.concurrency:
            return SECOND // 10
        for windows, cost in ((self._requests, 1), (self._tokens, tokens)):
            for window in windows:
                if wait_ns := window.wait_ns(now_ns, cost):
                    return wait_ns
        return None

    def _latency_ns(self, now_ns: int, tokens: int) -> int:
        seconds = self.ttft_seconds + self.seconds_per_token * tokens
        if self.batch:
            seconds *= 1 + self.in_flight / self.batch
        latency_ns = int(seconds * SECOND)
        if not self.servers:
            return latency_ns
        begins_ns = max(self._free_ns[0], now_ns)
        heapq.heapreplace(self._free_ns, begins_ns + latency_ns)
        return begins_ns + latency_ns - now_ns


@dataclass
class Outcome:
    """What came of a run, second by second."""

    answers: list[int] = field(default_factory=list)  # so far, at each look
    throttles: list[int] = field(default_factory=list)
    allowed: list[int] = field(default_factory=list)
    rates: list[float | None] = field(default_factory=list)

    def per_second(self, warm_up: float) -> float:
        """Answers per second after so many seconds."""
        start = int(warm_up * SECOND / LOOK_NS)
        spent = (len(self.answers) - 1 - start) * LOOK_NS / SECOND
        return (self.answers[-1] - self.answers[start]) / spent

    def throttled(self, warm_up: float) -> float:
        """The share of requests that were throttled after so many seconds."""
        start = int(warm_up * SECOND / LOOK_NS)
        throttles = self.throttles[-1] - self.throttles[start]
        return throttles / max(1, self.answers[-1] - self.answers[start] + throttles)


class Client:
    """Asks a server as much as the finder allows, for as long as it is run."""

    def __init__(self, server: Server, finder: Finder, first: int) -> None:
        self.server, self.finder = server, finder
        self.outcome = Outcome()
        self.now_ns = SECOND
        self._allowed, self._rate = first, None
        self._free_ns = 0  # when the rate allows the next request
        self._events: list[tuple[int, int, bool, int, int, int | None]] = []
        self._closed: deque[int] = deque()
        self._sent = self._in_flight = 0
        self._answers = self._throttles = self._latency_ns = self._tokens = 0
        self._held_ns = self._paced_ns = 0
        self._pause_ns = self._paused_ns = self._in_a_row = 0
        self._backoff = 0.1

    def run(self, seconds: float) -> Outcome:
        end_ns = look_ns = self.now_ns
        end_ns += int(seconds * SECOND)
        while self.now_ns < end_ns:
            self._send()
            self._pass_until(min(self._next_ns(end_ns), look_ns))
            self._receive()
            if self.now_ns >= look_ns:
                look_ns += LOOK_NS
                self._look()
        return self.outcome

    @property
    def _full(self) -> bool:
        while self._closed and self._closed[0] <= self.now_ns:
            self._closed.popleft()
        return self._in_flight + len(self._closed) >= self._allowed

    @property
    def _is_paced(self) -> bool:
        return self._rate is not None and self._free_ns > self.now_ns

    def _send(self) -> None:
        while not self._full and self.now_ns >= self._pause_ns and not self._is_paced:
            if self._rate is not None:
                earliest_ns = self.now_ns - SECOND // 20
                self._free_ns = max(self._free_ns, earliest_ns) + int(SECOND / self._rate)
            answered, latency_ns, tokens, wait_ns = self.server.ask(self.now_ns)
            self.server.in_flight += answered
            self._in_flight += 1
            self._sent += 1
            event = (self.now_ns + latency_ns, self._sent, answered, self.now_ns, tokens, wait_ns)
            heapq.heappush(self._events, event)

    def _next_ns(self, end_ns: int) -> int:
        due = [end_ns, *(event[0] for event in self._events[:1]), *list(self._closed)[:1]]
        if self.now_ns < self._pause_ns:
            due.append(self._pause_ns)
        elif self._is_paced and not self._full:
            due.append(self._free_ns)
        return min(due)

    def _pass_until(self, then_ns: int) -> None:
        spent_ns = then_ns - self.now_ns
        if self.now_ns >= self._pause_ns:
            if self._full:
                self._held_ns += spent_ns
            elif self._is_paced:
                self._paced_ns += spent_ns
        self.now_ns = then_ns

    def _receive(self) -> None:
        while self._events and self._events[0][0] <= self.now_ns:
            done_ns, _, answered, sent_ns, tokens, wait_ns = heapq.heappop(self._events)
            self._in_flight -= 1
            if answered:
                self.server.in_flight -= 1
                self._answers += 1
                self._latency_ns += done_ns - sent_ns
                self._tokens += tokens
                self._in_a_row, self._backoff = 0, 0.1
            else:
                self._throttled(sent_ns, wait_ns)

    def _throttled(self, sent_ns: int, wait_ns: int | None) -> None:
        self._throttles += 1
        self._in_a_row += 1
        self._closed.append(self.now_ns + CLOSED_NS)
        if self._in_a_row < 2:
            return
        if wait_ns is not None:
            self._pause_ns = max(self._pause_ns, self.now_ns + wait_ns)
        elif sent_ns >= self._paused_ns:
            self._paused_ns = self.now_ns
            self._pause_ns = max(self._pause_ns, self.now_ns + int(self._backoff * SECOND))
            self._backoff = min(60.0, 2 * self._backoff)

    def _look(self) -> None:
        sample = Sample(
            self.now_ns,
            self._answers,
            self._throttles,
            0,
            self._latency_ns,
            self._tokens,
            self._held_ns,
            self._in_flight,
        )
        found = self.finder.look(sample, self._pause_ns, self._paced_ns)
        self._allowed, self._rate = found.allowed, found.per_second
        outcome = self.outcome
        outcome.answers.append(self._answers)
        outcome.throttles.append(self._throttles)
        outcome.allowed.append(found.allowed)
        outcome.rates.append(found.per_second)
