"""How many requests may be in flight at a server that does not say how many it takes.

A pure controller: samples of growing counters go in, a number comes out. It works in rounds: one is
over when about as many answers have come as are in flight, so that each place was used once. What
was sent before the last change is not counted for the level after it.

Growth. It doubles each round at first; later by steps, and only where the number is what holds the
requests, not a rate, the input or the CPU. Errors stop growth and nothing else.

Throttles take away what was too much: as many places as were throttled, once per round trip, for
each worker closes the place of a throttled request for a moment, so that their number is the
excess. After that one place more is tried per PROBE_AFTER answers, so that probing itself stays
well below 1 % of throttled requests; where it is let through the steps double.

Latency. A server that queues without a word only answers later. What counts is the time per output
token or the time per answer, each against the least that was seen, and of the two what rose less:
answers that are longer for their own sake take no longer per token, and where most of the time
passes before the first token, shorter ones take no longer each. While it is below GROWS_BELOW the
number may grow, above SHRINKS_ABOVE it shrinks, unless more in flight still pays in throughput (a
server that works in batches). In between it stays: a queue that is never empty keeps the server at
its full rate. The least is learned anew by an ebb, one round at half the number, where latency
alone has held it for a while; and where shrinking three times did not help, the server has become
slower for other reasons, and what was taken is given back.

All of it is after TCP: slow start and additive probing (V. Jacobson, "Congestion Avoidance and
Control", 1988), delay against a learned minimum (Vegas, 1994), and a round at a lower level to
learn it anew (BBR, 2016). Plain halving at each loss was rejected: providers and proxies throttle
single requests at random, and 1 % of those would have held a run near one request in flight. Hence
also `in_vain`: a share of throttles that shrinking does not change is the provider's own way.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Why = Literal["growing", "ceiling", "throttled", "slower", "errors", "idle"]

LEAST_ANSWERS: Final = 8  # a round of fewer says nothing
HELD_SHARE: Final = 0.5  # of a round's time in which the number held requests back
GROWS_BELOW: Final = 1.7  # times the least latency
SHRINKS_ABOVE: Final = 2.0
PAYS: Final = 0.15  # of what more in flight could bring at most
PAYS_ANSWERS: Final = 48  # fewer tell no throughput
STEP_SHARE: Final = 0.1  # the largest step, after the doubling
EBB_ROUNDS: Final = 30
MUCH_LOWER: Final = 0.8
FIRST_EBB_ROUNDS: Final = 5  # also after an ebb that found a much lower latency
SHRINKS_IN_VAIN: Final = 3
PROBE_AFTER: Final = 400  # answers since the last throttle; fewer at a very low number
PROBE_AFTER_EACH: Final = 60  # for each of such a number
ERROR_SHARE: Final = 0.05
DOUBLING_THROTTLES: Final = 0.03  # of a round's requests: fewer are no reason to stop doubling
FIRST_TRIP_NS: Final = 1_000_000_000  # while no answer has told how long one takes
IN_VAIN: Final = 0.7  # of the level, and of the share of throttles, after falls that did not help
ROOM: Final = 0.9  # for a level that is raised while it is looked at
FEW: Final = 4  # throttles; a share of fewer is chance
LEAST_TOLERATED: Final = 0.005  # probing takes as many
MOST_TOLERATED: Final = 0.08  # above it a share of throttles is a limit, whatever it looks like


class Sample(msgspec.Struct, frozen=True):
    """One endpoint's counters, over all workers and from the start; `in_flight` is a gauge."""

    now_ns: int
    answers: int = 0  # that the server worked for: no throttles, no errors
    throttles: int = 0
    errors: int = 0  # transport and 5xx
    latency_ns: int = 0  # summed over answers
    output_tokens: int = 0
    held_ns: int = 0  # of the workers' mean time: the number held requests back
    in_flight: int = 0


class Latency(msgspec.Struct, frozen=True):
    """How long answers took, in ns."""

    per_answer: float
    per_token: float

    def stretch(self, least: Latency) -> float:
        """How many times longer they took than the least, by what speaks for the server."""
        return min(self.per_answer / least.per_answer, self.per_token / least.per_token)

    def towards(self, other: Latency) -> Latency:
        """In the middle where the other is lower."""
        return Latency(
            min(self.per_answer, (self.per_answer + other.per_answer) / 2),
            min(self.per_token, (self.per_token + other.per_token) / 2),
        )


class Level(msgspec.Struct, frozen=True):
    """What a round measured."""

    allowed: int
    rate: float  # output tokens per ns
    answers: int


class Descent:
    """Whether falls help: the share of throttles high up and further down.

    What has helped is where the next look begins: the rest may be in vain all the same.
    """

    def __init__(
        self,
        level: float,
        throttles: int,
        requests: int,
        depth: float = IN_VAIN,
        most: float = MOST_TOLERATED,
    ) -> None:
        self._depth = depth  # of the level
        self._most = most  # share of throttles
        self.top = self._bend = level
        self._start = (throttles, requests)
        self._middle: tuple[int, int] | None = None

    @property
    def least(self) -> float:
        """The level to look at next: no lower one, before this one has told something."""
        return ROOM * self._looked_at

    @property
    def _looked_at(self) -> float:
        """From which level on down throttles are told from those above."""
        share = (1 + self._depth) / 2 if self._middle is None else self._depth
        return share * self._bend

    def in_vain(self, level: float, throttles: int, requests: int) -> float:
        """The share of throttles, if it is about the same well below the top; else 0."""
        began, _ = self._middle or self._start
        if level > self._looked_at or throttles - began < FEW:
            return 0.0
        if self._middle is None:
            self._middle = (throttles, requests)
            return 0.0
        above = share_of(self._middle, self._start)
        below = share_of((throttles, requests), self._middle)
        if max(LEAST_TOLERATED, IN_VAIN * above) <= below <= self._most:
            return below
        self._bend, self._start, self._middle = level, (throttles, requests), None
        return 0.0


class Concurrency:
    """The requests that may be in flight, from 1 to `most`; by throttles alone, if so told."""

    def __init__(self, most: int, first: int, *, by_latency: bool = True) -> None:
        self._by_latency = by_latency
        self.allowed = min(first, most)
        self.why: Why = "growing"
        self.in_vain = 0.0  # the share of throttles that falls did not change
        self.trip_ns = FIRST_TRIP_NS  # mean latency of the last round
        self.clean = 0  # the most that went through a round without a throttle
        self._most = most
        self._doubling = True
        self._step = 1
        self._least: Latency | None = None
        self._level: Level | None = None  # before the last growth
        self._descent: Descent | None = None
        self._shrinks = 0
        self._top = self.allowed  # before the first of them
        self._stayed = 0  # rounds that latency held
        self._ebb_rounds = FIRST_EBB_ROUNDS
        self._ebb_from = 0  # the number before an ebb, during one
        self._fell_ns: int | None = None
        self._fall_from = self._fall_throttles = 0
        self._probe_at = 0  # answers
        self._seen: Sample | None = None
        self._start = Sample(0)
        self._skip = 0

    def look(self, now: Sample) -> int:
        """How many may be in flight, after this sample; to be called a few times a second."""
        seen, self._seen = self._seen, now
        if seen is None:
            self._begin(now, 0)
            return self.allowed
        self.in_vain = 0.0
        if now.throttles > seen.throttles and (not self._doubling or self._is_full(now)):
            self._fall(now, seen)
        elif self._skip and now.answers - self._start.answers >= self._skip:
            self._begin(now, 0)
        elif not self._skip and now.answers - self._start.answers >= self._wanted():
            self._end_round(now)
        return self.allowed

    def bound(self, most: int, now: Sample) -> None:
        """Another most; a higher one is taken at once where latency does not count."""
        self.allowed = min(self.allowed, most) if self._by_latency else most
        self._descent = self._fell_ns = None
        self._most = most
        self._begin(now, 0)

    def restore(self, now: Sample) -> None:
        """Give back what throttles took: something else is found to be what they are about."""
        if self._descent is not None:
            self.allowed = max(self.allowed, min(self._most, round(self._descent.top)))
        self._descent = self._fell_ns = None
        self._doubling = True
        self._begin(now, 0)

    # --- throttles --------------------------------------------------------------------------------

    def _is_full(self, now: Sample) -> bool:
        """While it doubles: whether throttles are more than single ones."""
        throttles = now.throttles - self._start.throttles
        whole = max(requests(now) - requests(self._start), self.allowed)
        return throttles >= 2 and throttles > DOUBLING_THROTTLES * whole

    def _fall(self, now: Sample, seen: Sample) -> None:
        if self._fell_ns is None or now.now_ns - self._fell_ns > self.trip_ns:
            before = self._start.throttles if self._doubling else seen.throttles
            self._fall_from = min(self.allowed, now.in_flight + now.throttles - before)
            self._fall_throttles = before
            self._fell_ns = now.now_ns
            if self._descent is None:
                self._descent = Descent(self.allowed, seen.throttles, requests(seen))
        excess = now.throttles - self._fall_throttles
        lowest = 1 if self._doubling else max(1, self._fall_from // 2)
        self.allowed = min(self.allowed, max(lowest, self._fall_from - excess))
        self.why = "throttled"
        self._doubling, self._step, self._ebb_from = False, 1, 0
        self._probe_at = now.answers + min(PROBE_AFTER, PROBE_AFTER_EACH * (self.allowed + 1))
        assert self._descent is not None
        self.in_vain = self._descent.in_vain(self.allowed, now.throttles, requests(now))
        self._begin(now, self.allowed)

    # --- rounds -----------------------------------------------------------------------------------

    def _begin(self, now: Sample, skip: int) -> None:
        """Measure from here, or from when `skip` answers more have come."""
        self._start, self._skip = now, skip

    def _wanted(self) -> int:
        return max(LEAST_ANSWERS, self.allowed // 2)

    def _end_round(self, now: Sample) -> None:
        start = self._start
        answers = now.answers - start.answers
        elapsed_ns = max(1, now.now_ns - start.now_ns)
        latency_ns = max(1, now.latency_ns - start.latency_ns)
        work = now.output_tokens - start.output_tokens + answers
        self.trip_ns = latency_ns // answers
        level = Level(self.allowed, work / elapsed_ns, answers)
        is_held = now.held_ns - start.held_ns >= HELD_SHARE * elapsed_ns
        before = self.allowed
        if now.throttles == start.throttles and is_held:
            self.clean = max(self.clean, min(self.allowed, now.in_flight))
            if self._descent is not None and self.allowed >= self._descent.top:
                self._descent = None
        if now.errors - start.errors > ERROR_SHARE * answers:
            self.why = "errors"
        else:
            self._judge(level, Latency(latency_ns / answers, latency_ns / work), is_held, now)
        self._begin(now, min(before, now.in_flight) if self.allowed != before else 0)

    def _judge(self, level: Level, latency: Latency, is_held: bool, now: Sample) -> None:
        """Grow, shrink or stay, by what a round measured."""
        if self._ebb_from:
            is_much_lower = self._least is not None and latency.stretch(self._least) < MUCH_LOWER
            self._ebb_rounds = FIRST_EBB_ROUNDS if is_much_lower else EBB_ROUNDS
            self._least = latency
            self.allowed, self._ebb_from, self._level = self._ebb_from, 0, None
            return
        self._least = latency if self._least is None else self._least.towards(latency)
        stretch = latency.stretch(self._least) if self._by_latency else 1.0
        pays = self._pays(level)
        if not is_held:
            self.why = "idle"
        elif stretch > SHRINKS_ABOVE and not pays:
            self._shrink(stretch, latency)
        elif stretch > GROWS_BELOW and not pays:
            self._stay()
        else:
            self._shrinks = self._stayed = 0
            self._grow(level, now)

    def _pays(self, level: Level) -> bool:
        """Whether the last growth brought throughput, and not only a longer queue."""
        before = self._level
        if before is None or level.allowed <= before.allowed:
            return False
        if min(level.answers, before.answers) < PAYS_ANSWERS:
            return False
        hoped = level.allowed / before.allowed - 1
        return level.rate >= before.rate * (1 + PAYS * hoped)

    def _shrink(self, stretch: float, latency: Latency) -> None:
        if not self._shrinks:
            self._top = self.allowed
        self._shrinks += 1
        self._doubling, self._level, self.why = False, None, "slower"
        if self._shrinks > SHRINKS_IN_VAIN:
            self._least, self._shrinks = latency, 0
            self.allowed = self._top
            return
        self.allowed = max(1, round(self.allowed * max(0.5, GROWS_BELOW / stretch)))

    def _stay(self) -> None:
        """Latency holds the number; now and then an ebb learns the least latency anew."""
        self._shrinks, self._doubling, self._level, self.why = 0, False, None, "slower"
        self._stayed += 1
        if self._stayed >= self._ebb_rounds:
            self._stayed, self._ebb_from = 0, self.allowed
            self.allowed = max(1, self.allowed // 2)

    def _grow(self, level: Level, now: Sample) -> None:
        if self.allowed >= self._most:
            self.why = "ceiling"
            return
        if self._doubling:
            grown = self.allowed * 2
        elif now.answers < self._probe_at and self.allowed >= self.clean:
            self.why = "throttled"
            return
        else:
            most = max(1, int(self.allowed * STEP_SHARE))
            grown = self.allowed + min(self._step, most)
            self._step = min(self._step * 2, most)
        self._level = level
        self.allowed = min(self._most, grown)
        self.why = "growing"


def requests(sample: Sample) -> int:
    """All that came back."""
    return sample.answers + sample.throttles + sample.errors


def share_of(end: tuple[int, int], start: tuple[int, int]) -> float:
    """The share of throttles between two moments, each as (throttles, requests)."""
    return (end[0] - start[0]) / max(1, end[1] - start[1])
