"""What the simulated provider saw: the other side of every count that a client reports."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

MAX_LISTED = 1000
SHOWN_CHARACTERS = 500


class Busiest:
    """The most events that any window of this width, (t - width, t], ever held."""

    def __init__(self, width_ns: int) -> None:
        self.most = 0
        self._width_ns = width_ns
        self._times: deque[int] = deque()

    def add(self, now_ns: int) -> None:
        times, oldest_ns = self._times, now_ns - self._width_ns
        times.append(now_ns)
        while times[0] <= oldest_ns:
            times.popleft()
        self.most = max(self.most, len(times))


class Listed:
    """How many distinct bodies something happened to, and the texts of the first thousand."""

    def __init__(self) -> None:
        self.times: Counter[int] = Counter()
        self.texts: list[str] = []

    def add(self, key: int, text: str) -> None:
        if key not in self.times and len(self.texts) < MAX_LISTED:
            self.texts.append(text[:SHOWN_CHARACTERS])
        self.times[key] += 1


class Stats:
    """Counters from start or reset on. Costs about 200 bytes for each distinct body."""

    def __init__(self, in_flight: int = 0) -> None:
        self.in_flight = in_flight
        self.in_flight_most = in_flight
        self.received = 0
        self.connections = 0
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.asked_again = 0
        self.requests: dict[str, Counter[str]] = {}
        self.faults: Counter[str] = Counter()
        self.limited: Counter[str] = Counter()
        self.seen: Counter[int] = Counter()
        self.answered: Counter[int] = Counter()
        self.duplicates = Listed()
        self.rejected = Listed()
        self.busiest_second = Busiest(1_000_000_000)
        self.busiest_100ms = Busiest(100_000_000)

    def arrived(self, now_ns: int) -> None:
        self.received += 1
        self.in_flight += 1
        self.in_flight_most = max(self.in_flight_most, self.in_flight)
        self.busiest_second.add(now_ns)
        self.busiest_100ms.add(now_ns)

    def saw(self, key: int) -> int:
        """Counts an admitted body; returns how many times it was seen, from 1."""
        if key in self.answered:
            self.asked_again += 1
        self.seen[key] += 1
        return self.seen[key]

    def ended(self, route: str, status: int) -> None:
        """An exchange is over; status 0 where not one byte was sent."""
        self.in_flight -= 1
        self.requests.setdefault(route, Counter())[str(status) if status else "none"] += 1

    def answered_whole(self, key: int, text: str, prompt_tokens: int, output_tokens: int) -> None:
        """A complete, valid 200 went out for this body."""
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += output_tokens
        if key in self.answered:
            self.duplicates.add(key, text)
        self.answered[key] += 1

    def snapshot(self) -> dict[str, Any]:
        """All of it as plain values; the keys are described in `Simulator.stats`."""
        return {
            "received": self.received,
            "requests": {route: dict(counts) for route, counts in self.requests.items()},
            "in_flight": self.in_flight,
            "in_flight_most": self.in_flight_most,
            "busiest_second": self.busiest_second.most,
            "busiest_100ms": self.busiest_100ms.most,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "faults": dict(self.faults),
            "limited": dict(self.limited),
            "distinct_bodies": len(self.seen),
            "answered_bodies": len(self.answered),
            "asked_again": self.asked_again,
            "duplicates": len(self.duplicates.times),
            "duplicate_texts": self.duplicates.texts,
            "rejected": len(self.rejected.times),
            "rejected_texts": self.rejected.texts,
            "connections": self.connections,
        }
