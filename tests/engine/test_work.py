"""The way of a record inside a worker: queue, slot, verdict, result or retry heap."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec
import pytest

from engine.attempts import failed, fatal, rejected, succeeded, throttled
from engine.limiters import limiter, slab
from engine.usual import USUAL_WORK
from engine.virtual_time import START_NS, Clock, VirtualLoop
from penstock._core import TOTAL_TOKENS, Limiter, Verdict
from penstock.engine import retry
from penstock.engine.attempt import Attempt
from penstock.engine.judge import Judge
from penstock.engine.lane import Lane
from penstock.engine.limits import Bucket
from penstock.engine.pacer import Draining
from penstock.engine.pending import Pending
from penstock.engine.work import Work, reason_of
from penstock.job import Job
from penstock.ledger.mark import ShardMark
from penstock.observe.slab_layout import C, retry_cell, started_rows
from penstock.providers.provider import Answer, Request, UnrenderableRecord
from penstock.record import BatchLine, Record

MARK = ShardMark(0, 1000, 7)
BEAT = 0.05
SECOND = 1_000_000_000

Script = Callable[[int, int], Attempt | BaseException]  # row and which time it is asked, from 1


class FakeProvider:
    """A request of each record that has its row in its body."""

    def __init__(self) -> None:
        self.made: list[int] = []  # rows, each as often as a request was made of it

    def request(self, record: Record, more: Sequence[dict[str, Any]] = ()) -> Request:
        self.made.append(record.row)
        if record.fields == {"crashes": True}:
            raise ZeroDivisionError
        if record.fields == {"unrenderable": True} or (more and record.fields == {"once": True}):
            raise UnrenderableRecord("no such column")
        told = "hash of " + more[-1]["content"].splitlines()[0] if more else "hash"
        return Request("/chat", str(record.row).encode(), told, 100 + len(more), 0)


class FakeAsker:
    """Answers what the script says, after a while."""

    def __init__(self, loop: VirtualLoop, script: Script) -> None:
        self.asked: list[tuple[float, int]] = []  # seconds since the start, row
        self.seconds = 0.1
        self.in_flight = 0
        self._loop = loop
        self._script = script
        self._times: Counter[int] = Counter()

    async def ask(self, request: Request) -> Attempt:
        row = int(request.body)
        self._times[row] += 1
        self.asked.append(((self._loop.now_ns - START_NS) / 1e9, row))
        said, sent_ns = self._script(row, self._times[row]), self._loop.now_ns
        self.in_flight += 1
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.in_flight -= 1
        if isinstance(said, BaseException):
            raise said
        return msgspec.structs.replace(said, sent_ns=sent_ns)

    def rows(self) -> list[int]:
        return [row for _, row in self.asked]


class FakeEnding:
    """What ended, and how."""

    def __init__(self) -> None:
        self.congested = False
        self.ended: dict[int, tuple[str, int]] = {}  # row -> error class, attempts
        self.messages: dict[int, str] = {}
        self.tokens: dict[int, tuple[int | None, int | None]] = {}  # of answers, by row
        self.costs: dict[int, int | None] = {}  # picodollars, by row
        self.hashes: set[str] = set()
        self.paid = 0  # answers that ended nothing

    def spent(self, answer: Answer) -> None:
        self.paid += 1

    def after_attempt(self, pending: Pending, attempt: Attempt, error_class: str) -> None:
        self._end(pending.record.row, error_class, pending.attempts)
        if attempt.refusal is not None:
            self.messages[pending.record.row] = attempt.refusal.message
        self.costs[pending.record.row] = pending.cost_pusd
        spent = pending.spent or Answer()
        self.tokens[pending.record.row] = (spent.input_tokens, spent.output_tokens)
        assert pending.request is not None
        self.hashes.add(pending.request.request_hash)

    def unasked(self, record: Record, shard: ShardMark, error_class: str, message: str) -> None:
        self._end(record.row, error_class, 0)
        self.messages[record.row] = message

    def _end(self, row: int, error_class: str, attempts: int) -> None:
        assert row not in self.ended, f"row {row} ended twice"
        self.ended[row] = (error_class, attempts)


class Watched:
    """A limiter that counts the claims to a probe."""

    def __init__(self, inner: Limiter) -> None:
        self._inner = inner
        self.claims = 0

    def claim_probe(self, now_ns: int, interval_ns: int) -> bool:
        self.claims += 1
        return self._inner.claim_probe(now_ns, interval_ns)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Scene:
    """A worker's work with fakes around it."""

    def __init__(
        self,
        loop: VirtualLoop,
        script: Script,
        slots: int,
        token_limits: Sequence[int] = (),
        **more: Any,
    ) -> None:
        self.loop = loop
        self.asker = FakeAsker(loop, script)
        self.ending = FakeEnding()
        self.provider = FakeProvider()
        self.limiter = Watched(limiter())
        self.slab = slab(slots)
        self.fatals: list[Attempt] = []
        self.downs: list[str] = []
        self.taken = 0
        self.other_key = False
        known = {
            **USUAL_WORK,
            "max_attempts": 5,
            "on_taken": self._on_taken,
            "refresh_key": lambda *_: self.other_key,
        }
        lane = Lane(
            0,
            "api",
            self.provider,  # type: ignore[arg-type]
            self.asker,  # type: ignore[arg-type]
            self.limiter,  # type: ignore[arg-type]
            [Bucket("tpm", TOTAL_TOKENS, limit, 60 * SECOND, 1, 0) for limit in token_limits],
            slots,
        )
        self.work = Work(
            slots=slots,
            lanes=[lane],
            slab=self.slab,
            ending=self.ending,  # type: ignore[arg-type]
            on_fatal=lambda _, attempt: self.fatals.append(attempt),
            on_down=lambda _, cause: self.downs.append(cause),
            **{**known, **more},
        )
        self.slots = [loop.create_task(self.work.run_slot(slot)) for slot in range(slots)]
        self.beat = loop.create_task(self._beat())

    def _on_taken(self) -> None:
        self.taken += 1

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            self.work.dispatch()

    def add(self, *records: Record | int) -> None:
        made = [Record(r, f"in:{r}", fields={}) if isinstance(r, int) else r for r in records]
        self.work.add(made, MARK)

    async def until_done(self, most_seconds: float = 1000.0) -> None:
        async with asyncio.timeout(most_seconds):
            while self.work.held:  # noqa: ASYNC110  # time is virtual
                await asyncio.sleep(0.01)

    @property
    def seconds(self) -> float:
        return (self.loop.now_ns - START_NS) / 1e9


Play = Callable[..., None]


@pytest.fixture
def play(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Run `main(scene)` with a script; `chance` is what randomness gives."""

    def run(
        main: Callable[[Scene], Coroutine[Any, Any, None]],
        script: Script = lambda row, time: succeeded(),
        *,
        slots: int = 2,
        chance: float = 0.5,
        **more: Any,
    ) -> None:
        monkeypatch.setattr("penstock.engine.work.random.random", lambda: chance)

        async def begin(loop: VirtualLoop) -> None:
            scene = Scene(loop, script, slots, **more)
            await main(scene)
            scene.work.drain()
            for task in (*scene.slots, scene.beat):
                task.cancel()

        clock.run(begin)

    return run


# --- the order -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("enough", "told"), [(0, 0), (1, 0), (2, 1), (6, 5), (100, 20)])
def test_it_is_told_that_a_record_was_taken_only_while_fewer_than_enough_are_taken_up(
    play: Play, enough: int, told: int
) -> None:
    async def main(scene: Scene) -> None:
        scene.work.enough = enough
        scene.add(*range(20))
        await scene.until_done()
        assert scene.taken == told

    play(main, slots=1)


@pytest.mark.parametrize("slots", [1, 3, 64])
def test_every_record_is_asked_once_in_order_and_ends_once(play: Play, slots: int) -> None:
    async def main(scene: Scene) -> None:
        scene.add(*range(20))
        assert scene.work.held == 20
        await scene.until_done()
        assert scene.asker.rows() == list(range(20))
        assert scene.ending.ended == dict.fromkeys(range(20), ("", 1))
        assert scene.taken == 20

    play(main, slots=slots)


def test_no_more_are_in_flight_than_there_are_slots_and_none_is_idle_without_need(
    play: Play,
) -> None:
    async def main(scene: Scene) -> None:
        scene.add(*range(30))
        await scene.until_done()
        assert scene.seconds == pytest.approx(30 / 3 * 0.1, abs=0.02)

    play(main, slots=3)


def test_no_more_are_in_flight_than_the_places_that_are_granted(play: Play) -> None:
    """However many slots there are: what may be in flight is found, or tuned, while it runs."""

    async def main(scene: Scene) -> None:
        scene.work._lane.grant(2, 0)
        scene.add(*range(12))
        await asyncio.sleep(0.05)
        assert scene.asker.in_flight == 2
        await scene.until_done()
        assert scene.seconds == pytest.approx(12 / 2 * 0.1, abs=0.1)
        scene.work._lane.grant(99, 0)
        assert scene.work._lane.places == 5  # what was laid out for it
        scene.add(*range(12, 40))
        await asyncio.sleep(0.05)
        assert scene.asker.in_flight == 5

    play(main, slots=5)


def test_a_due_retry_goes_before_fresh_records(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(*range(5))
        await scene.until_done()
        assert scene.asker.rows() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]

    play(
        main,
        lambda row, time: failed() if time == 1 else succeeded(),
        slots=1,
        chance=0.0,
    )


def test_the_heap_has_room_for_four_records_a_slot_and_no_more(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(*range(20))
        await asyncio.sleep(60)
        assert scene.work.retry_waiting == 4
        assert scene.asker.rows() == [0, 1, 2, 3]

    play(main, lambda row, time: failed(wait_seconds=1000), slots=1)


def test_only_throttles_in_a_row_lengthen_a_records_wait(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(0)
        await scene.until_done()
        times = [time for time, _ in scene.asker.asked]
        assert times[5] - times[4] < 2, "the first throttle after another kind of answer"

    play(
        main,
        lambda row, time: {4: failed(), 6: succeeded()}.get(time, throttled()),
        slots=1,
        chance=1.0,
    )


def test_a_record_that_fails_while_others_are_answered_ends_though_more_wait(play: Play) -> None:
    """Others were answered meanwhile: the endpoint is well, and the record is not."""

    async def main(scene: Scene) -> None:
        scene.add(*range(200))
        async with asyncio.timeout(60):
            while 0 not in scene.ending.ended:  # noqa: ASYNC110  # time is virtual
                await asyncio.sleep(0.05)
        assert scene.ending.ended[0] == ("server_error", 5)
        assert scene.asker.rows().count(0) == 5
        assert scene.work.queued > 0

    play(
        main,
        lambda row, time: failed("server_error", 500) if row == 0 else succeeded(),
        chance=0.1,
    )


def test_a_record_costs_what_all_of_its_attempts_do(play: Play) -> None:
    """Of an answer that can't be read nobody knows what it cost, and that takes nothing away."""

    def script(row: int, time: int) -> Attempt:
        answered = failed() if time < 4 else succeeded()
        return msgspec.structs.replace(answered, cost_pusd=(None, 30, 400, None)[time - 1])

    async def main(scene: Scene) -> None:
        scene.add(0)
        await scene.until_done()
        assert scene.ending.costs == {0: 430}

    play(main, script)


def test_a_record_that_waits_for_a_retry_holds_no_slot(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(*range(4))
        await scene.until_done()
        assert scene.asker.rows() == [0, 1, 2, 3, 0]
        assert scene.ending.ended[0] == ("", 2)

    play(
        main,
        lambda row, time: failed(wait_seconds=5) if (row, time) == (0, 1) else succeeded(),
        slots=1,
    )


def test_beyond_a_bounded_heap_no_fresh_record_starts(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(*range(30))
        await asyncio.sleep(10)
        assert 4 * 2 <= scene.work.retry_waiting <= 4 * 2 + 2
        assert len(scene.asker.asked) == scene.work.retry_waiting
        assert scene.work.startable == 0
        assert not scene.work.room
        await scene.until_done(10_000)
        assert len(scene.ending.ended) == 30

    play(main, lambda row, time: failed(wait_seconds=20) if time == 1 else succeeded(), slots=2)


def test_while_the_disk_is_behind_nothing_starts(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.ending.congested = True
        scene.add(*range(4))
        await asyncio.sleep(10)
        assert scene.asker.asked == []
        scene.ending.congested = False
        await scene.until_done()
        assert len(scene.ending.ended) == 4

    play(main)


# --- verdicts ------------------------------------------------------------------------------------


def test_a_record_ends_as_a_dead_letter_when_its_attempts_are_used_up(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(0, 1)
        await scene.until_done()
        assert scene.ending.ended == {0: ("bad_response", 3), 1: ("", 1)}
        assert scene.slab.get(retry_cell("bad_response")) == 2

    play(main, lambda row, time: succeeded() if row else failed(), max_attempts=3)


def test_a_rejected_record_is_not_asked_again(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(0)
        await scene.until_done()
        assert scene.ending.ended == {0: ("invalid_request", 1)}

    play(main, lambda row, time: rejected())


def test_throttles_are_no_attempts_and_end_no_record(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(0)
        await scene.until_done()
        assert scene.ending.ended == {0: ("", 1)}
        assert len(scene.asker.asked) == 21
        assert scene.slab.get(C.THROTTLES) == 20
        assert not scene.downs

    play(main, lambda row, time: succeeded() if time > 20 else throttled(0.1), max_attempts=1)


def test_throttles_with_no_success_between_pause_the_endpoint_and_one_alone_does_not(
    play: Play,
) -> None:
    async def main(scene: Scene) -> None:
        scene.add(0)
        await scene.until_done()
        assert scene.limiter.paused_until() == 0
        scene.add(1)
        await scene.until_done()
        asked_again = scene.asker.asked[-2][0] + scene.asker.seconds
        assert scene.limiter.paused_until() == START_NS + round((asked_again + 7) * SECOND)

    play(
        main,
        lambda row, time: throttled(7) if time <= (2 if row else 1) else succeeded(),
        slots=1,
    )


def test_a_fatal_verdict_is_told_and_leaves_the_record_pending(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(0)
        await asyncio.sleep(1)
        assert scene.ending.ended == {}
        assert [one.verdict.error_class for one in scene.fatals] == ["auth"]
        assert scene.work.held == 0

    play(main, lambda row, time: fatal())


def test_with_another_key_a_refused_record_is_asked_again_at_once(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.other_key = True
        scene.add(0, 1, 2)
        await scene.until_done()
        assert scene.fatals == []
        assert scene.ending.ended == dict.fromkeys(range(3), ("", 1))
        assert scene.seconds < 1

    play(main, lambda row, time: fatal() if time == 1 else succeeded())


def test_a_batch_line_that_names_an_unknown_model_is_a_dead_letter_and_stops_nothing(
    play: Play,
) -> None:
    async def main(scene: Scene) -> None:
        scene.add(Record(0, "in:0", batch=BatchLine("/v1/chat/completions", b"{}")))
        await scene.until_done()
        assert scene.ending.ended == {0: ("model", 1)}
        assert scene.fatals == []

    play(main, lambda row, time: fatal("model"))


def test_a_row_that_cannot_be_read_or_rendered_ends_without_a_request(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(
            Record(0, "in.jsonl:1", problem="malformed JSON"),
            Record(1, "in.jsonl:2", fields={"unrenderable": True}),
        )
        await scene.until_done()
        assert scene.asker.asked == []
        assert scene.ending.ended == {0: ("invalid_input", 0), 1: ("invalid_input", 0)}
        assert scene.ending.messages == {
            0: "in.jsonl:1: malformed JSON",
            1: "in.jsonl:2: no such column",
        }

    play(main)


def test_a_record_above_the_token_limit_that_is_throttled_twice_alone_exceeds_the_limit(
    play: Play,
) -> None:
    async def main(scene: Scene) -> None:
        scene.add(0)
        await scene.until_done()
        assert scene.ending.ended == {0: ("exceeds_limit", 1)}
        assert len(scene.asker.asked) == 2

    play(main, lambda row, time: throttled(1, alone=True), token_limits=[50, 99])


@pytest.mark.parametrize(
    ("alone", "limits"), [(False, [50]), (True, [100]), (True, []), (True, [10**6])]
)
def test_a_record_that_fits_or_was_not_alone_never_exceeds_the_limit(
    play: Play, alone: bool, limits: list[int]
) -> None:
    async def main(scene: Scene) -> None:
        scene.add(0)
        await scene.until_done()
        assert scene.ending.ended == {0: ("", 1)}

    play(
        main,
        lambda row, time: throttled(1, alone=alone) if time < 9 else succeeded(),
        token_limits=limits,
    )


# --- an endpoint that is down --------------------------------------------------------------------


def outage(until_seconds: float) -> Callable[[Scene], Script]:
    def script_of(scene: Scene) -> Script:
        def script(row: int, time: int) -> Attempt:
            return failed("connect", 0) if scene.seconds < until_seconds else succeeded()

        return script

    return script_of


def test_while_the_endpoint_is_down_only_probes_are_sent_and_no_record_ends(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.asker._script = outage(300)(scene)
        scene.add(*range(200))
        await asyncio.sleep(20)
        assert scene.work.down
        assert scene.downs == ["connect: connect"]
        until_down = len(scene.asker.asked)
        await asyncio.sleep(270)
        probes = len(scene.asker.asked) - until_down
        assert 240 <= probes <= 271  # one a second
        assert scene.ending.ended == {}
        assert scene.slab.get(C.PROBES) >= probes
        assert scene.work.retry_waiting <= 4 * 4 + 4
        await scene.until_done()
        assert {one[0] for one in scene.ending.ended.values()} == {""}
        assert max(attempts for _, attempts in scene.ending.ended.values()) <= 4
        assert len(scene.downs) == 1

    play(main, slots=4, max_attempts=4)


def test_waiting_for_an_endpoint_that_is_down_costs_next_to_nothing(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.asker._script = outage(1000)(scene)
        scene.add(*range(50))
        await asyncio.sleep(20)
        before = scene.limiter.claims
        await asyncio.sleep(100)
        assert scene.limiter.claims - before <= 100 / BEAT * 1.2

    play(main, slots=4)


def test_probes_of_a_server_that_says_nothing_hold_few_of_the_slots(play: Play) -> None:
    """Where they held all of them, a server that was back found none free for minutes."""

    async def main(scene: Scene) -> None:
        for _ in range(retry.FAILURES_UNTIL_DOWN):
            scene.limiter.record_failure()
        scene.asker.seconds = 100.0
        scene.add(*range(20))
        await asyncio.sleep(0.5)
        assert scene.asker.rows() == [0], "the tenth failure leaves probes alone"
        await asyncio.sleep(50)
        assert scene.asker.in_flight == 2

    play(main, slots=8)


def test_while_it_is_not_known_whether_the_endpoint_is_down_fresh_records_go_first(
    play: Play,
) -> None:
    """At a low rate a few records would use up their attempts before ten had failed."""

    async def main(scene: Scene) -> None:
        scene.add(*range(6))
        await scene.until_done()
        assert scene.asker.rows()[:4] == [0, 1, 2, 3]

    play(
        main,
        lambda row, time: failed("server_error", 500) if time == 1 else succeeded(),
        slots=1,
        chance=0.0,
    )


def test_an_endpoint_that_is_down_is_waited_for_while_some_record_never_failed(
    play: Play,
) -> None:
    async def main(scene: Scene) -> None:
        scene.work.exhausted = True
        scene.add(*range(1000))
        await asyncio.sleep(60)
        assert scene.work.down
        ended = len(scene.ending.ended)  # before it was known
        await asyncio.sleep(700)
        assert len(scene.ending.ended) == ended

    play(main, lambda row, time: failed("server_error", 500), slots=1, max_attempts=1)


def test_a_probe_is_taken_from_the_heap_before_its_time(play: Play) -> None:
    async def main(scene: Scene) -> None:
        for _ in range(retry.FAILURES_UNTIL_DOWN - 1):
            scene.limiter.record_failure()
        scene.add(0)
        await scene.until_done()
        assert scene.seconds < 3
        assert scene.ending.ended == {0: ("", 1)}

    play(
        main,
        lambda row, time: failed("server_error", 500, 100) if time == 1 else succeeded(),
        slots=1,
        max_attempts=1,
    )


def test_records_that_no_server_can_answer_do_not_keep_a_sound_endpoint_down(play: Play) -> None:
    """Twenty such records in a row made it down, and were all that was probed, for ever."""

    async def main(scene: Scene) -> None:
        scene.add(*range(40))
        await asyncio.sleep(30)
        assert scene.downs
        answered = {row for row, (error_class, _) in scene.ending.ended.items() if not error_class}
        assert answered == set(range(20, 40))

    play(
        main,
        lambda row, time: failed("server_error", 500) if row < 20 else succeeded(),
        slots=4,
        max_attempts=3,
    )


def test_a_few_records_that_no_server_can_answer_are_dead_letters_and_nothing_is_down(
    play: Play,
) -> None:
    """The last four of a run failed ten times between them, were an outage, and never ended."""

    async def main(scene: Scene) -> None:
        scene.add(*range(12))
        await scene.until_done()
        assert scene.downs == []
        assert {row for row, (why, _) in scene.ending.ended.items() if why} == {8, 9, 10, 11}
        assert all(scene.ending.ended[row] == ("server_error", 5) for row in (8, 9, 10, 11))

    play(
        main,
        lambda row, time: failed("server_error", 500) if row >= 8 else succeeded(),
        slots=4,
        max_attempts=5,
    )


@pytest.mark.parametrize(
    ("came", "exhausted"),
    [
        (failed("server_error", 500), True),
        (failed("server_error", 500), False),
        (failed("disconnected", 0), True),  # a record that kills whoever answers it
        (failed("timeout", 0), True),
    ],
)
def test_many_such_records_are_given_up_after_ten_minutes_where_nothing_else_is_left(
    play: Play, came: Attempt, exhausted: bool
) -> None:
    async def main(scene: Scene) -> None:
        scene.work.exhausted = exhausted
        scene.add(*range(20))
        await asyncio.sleep(590)
        assert scene.work.down
        assert scene.ending.ended == {}
        await asyncio.sleep(300)
        assert bool(scene.ending.ended) == exhausted

    play(main, lambda row, time: came, slots=4, max_attempts=3)


def test_answers_that_are_rejected_make_no_endpoint_down_not_even_without_a_status(
    play: Play,
) -> None:
    """Ten answers that were too large did, and what was left went at a request a second."""

    async def main(scene: Scene) -> None:
        scene.add(*range(40))
        await scene.until_done(10)
        assert scene.downs == []

    too_large = msgspec.structs.replace(rejected("response_too_large"), status=0)
    play(main, lambda row, time: too_large, slots=4)


def test_a_server_that_is_not_reached_is_waited_for_however_long(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.work.exhausted = True
        scene.add(*range(20))
        await asyncio.sleep(660)
        assert scene.ending.ended == {}

    play(main, lambda row, time: failed("connect_timeout", 0), slots=4, max_attempts=3)


def test_a_server_that_is_not_reached_costs_no_attempt_however_few_records_there_are(
    play: Play,
) -> None:
    async def main(scene: Scene) -> None:
        scene.asker._script = outage(60)(scene)
        scene.add(0, 1)
        await scene.until_done()
        assert {one[0] for one in scene.ending.ended.values()} == {""}
        assert scene.downs

    play(main, slots=4, max_attempts=1)


def test_an_outage_ends_no_record_of_a_worker_with_a_single_slot(play: Play) -> None:
    """Its heap is full of four records: with one of them in the slot it looked as if it was not."""

    async def main(scene: Scene) -> None:
        scene.add(*range(40))
        await asyncio.sleep(300)
        assert scene.downs
        assert scene.ending.ended == {}

    play(main, lambda row, times: failed("server_error", 503), slots=1)


def test_an_outage_ends_no_record_however_low_the_rate(play: Play) -> None:
    """Retries, due long before there is a slot for them, went first, and a few records ended."""

    async def main(scene: Scene) -> None:
        scene.asker.seconds = 6.0
        scene.add(*range(40))
        await asyncio.sleep(600)
        assert scene.downs
        assert scene.ending.ended == {}

    play(main, lambda row, times: failed("server_error", 503), slots=4)


def test_server_errors_count_towards_down_and_answers_of_any_other_kind_do_not(
    play: Play,
) -> None:
    async def main(scene: Scene) -> None:
        scene.add(*range(40))
        await scene.until_done()
        assert scene.downs == []

    def script(row: int, time: int) -> Attempt:
        if row % 9 == 8:
            return rejected()
        return failed("server_error", 500) if time == 1 else succeeded()

    play(main, script, slots=1, chance=0.999, max_attempts=9)


def test_failures_with_answers_between_them_make_no_endpoint_down(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(*range(60))
        await scene.until_done()
        assert scene.downs == []

    script = lambda row, time: failed("server_error", 500) if row % 3 else succeeded()  # noqa: E731
    play(main, script, slots=1, max_attempts=1)


# --- the retry budget ----------------------------------------------------------------------------


def test_an_answer_below_500_that_is_asked_again_makes_no_endpoint_down(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(*range(40))
        await scene.until_done()
        assert scene.downs == []

    script = {1: failed("conflict", 409)}
    play(main, lambda row, time: script.get(time, succeeded()), slots=4)


def test_retries_beyond_the_budget_wait_and_none_fails_for_it(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.asker.seconds = 0.001
        scene.add(*range(200))
        await scene.until_done()
        assert scene.ending.ended == dict.fromkeys(range(200), ("", 4))
        retries = 600
        allowed_at_once = 10 + 0.2 * 200
        assert scene.seconds >= (retries - allowed_at_once) / 10 - 1
        assert scene.seconds <= (retries - allowed_at_once) / 10 * 1.1 + 1

    play(
        main,
        lambda row, time: failed() if time < 4 else succeeded(),
        slots=64,
        chance=0.0,
    )


def test_every_fresh_request_allows_for_a_part_of_a_retry(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(*range(200))
        await scene.until_done()
        began = scene.seconds
        scene.add(*range(200, 230))
        await scene.until_done()
        assert scene.seconds - began < 1

    play(
        main,
        lambda row, time: failed() if row >= 200 and time == 1 else succeeded(),
        slots=64,
        chance=0.0,
    )


# --- ending --------------------------------------------------------------------------------------


def test_draining_lets_what_is_in_flight_finish_and_starts_nothing_more(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(*range(10))
        await asyncio.sleep(0.05)
        scene.work.drain()
        await asyncio.wait_for(asyncio.gather(*scene.slots), 10)
        assert sorted(scene.ending.ended) == [0, 1]
        assert scene.asker.rows() == [0, 1]
        assert scene.work.held == 0
        scene.add(11)
        await asyncio.sleep(1)
        assert scene.asker.rows() == [0, 1]

    play(main)


def test_draining_leaves_what_waits_for_a_retry_pending(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(0, 1)
        await asyncio.sleep(0.5)
        assert scene.work.retry_waiting == 2
        scene.work.drain()
        await asyncio.wait_for(asyncio.gather(*scene.slots), 10)
        await asyncio.sleep(60)
        assert scene.ending.ended == {}
        assert len(scene.asker.asked) == 2

    play(main, lambda row, time: failed(wait_seconds=5))


def test_a_record_that_was_sent_away_from_the_pacer_stays_pending(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(0)
        await asyncio.sleep(1)
        assert scene.ending.ended == {}
        assert scene.work.held == 0

    play(main, lambda row, time: Draining())


def test_the_rows_in_slots_are_those_that_the_slab_says_were_started(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(*range(5, 10))
        await asyncio.sleep(0.05)
        assert started_rows(scene.slab) == [5, 6]
        await scene.until_done()
        await asyncio.sleep(0)
        assert started_rows(scene.slab) == []

    play(main)


def test_an_exception_leaves_the_mark_of_the_row_that_raised_and_of_no_other(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(0, 1, 2)
        with pytest.raises(ZeroDivisionError):
            await scene.slots[1]
        await asyncio.sleep(0.01)
        assert started_rows(scene.slab) == [1, 2]
        scene.slots[0].cancel()
        await asyncio.gather(*scene.slots, return_exceptions=True)
        assert started_rows(scene.slab) == [1]

    play(main, lambda row, time: ZeroDivisionError() if row == 1 else succeeded())


def test_a_row_that_crashes_what_makes_its_request_has_left_its_mark_before(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(Record(7, "in:7", fields={"crashes": True}))
        with pytest.raises(ZeroDivisionError):
            await scene.slots[0]
        assert started_rows(scene.slab) == [7]

    play(main, slots=1)


def test_a_request_is_made_once_however_often_it_is_sent(play: Play) -> None:
    """Made anew, it would have been begun anew too, and its time with it."""

    async def main(scene: Scene) -> None:
        scene.add(0)
        await scene.until_done()
        assert scene.asker.rows() == [0, 0, 0]
        assert scene.provider.made == [0]

    play(main, lambda row, time: failed("server_error", 500) if time < 3 else succeeded())


def test_the_reason_for_an_outage_is_the_status_or_the_failure_and_what_was_said() -> None:
    assert reason_of(failed("connect", 0)) == "connect: connect"
    assert reason_of(failed("server_error", 502)) == "HTTP 502: server_error"
    assert reason_of(Attempt(Verdict("retry", "dns"), 0, False)) == "dns"


# --- answers that are judged ---------------------------------------------------------------------

NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
JUDGE = Judge(Job(schema=NUMBER))


def answered(output: str, **more: Any) -> Attempt:
    attempt = succeeded()
    attempt.answer = Answer(output, "stop", "m", 10, None, 3, **more)
    return attempt


def test_an_answer_that_does_not_match_is_asked_for_again_at_once_and_paid_for(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(*range(4))
        await scene.until_done()
        assert scene.asker.rows() == [0, 0, 0, 1, 2, 3]
        assert scene.ending.ended == {0: ("", 3), 1: ("", 1), 2: ("", 1), 3: ("", 1)}
        assert scene.ending.tokens[0] == (20, 6)
        assert scene.ending.tokens[1] == (None, None)
        assert scene.ending.paid == 2
        assert scene.ending.hashes == {"hash"}
        assert scene.slab.get(retry_cell("invalid_output")) == 2

    def script(row: int, time: int) -> Attempt:
        return answered('{"n": "x"}' if row == 0 and time < 3 else '{"n": 1}')

    play(main, script, slots=1, judge=JUDGE)


def test_an_answer_that_never_matches_is_a_dead_letter_with_the_validator_s_words(
    play: Play,
) -> None:
    async def main(scene: Scene) -> None:
        scene.add(0, Record(1, "in:1", fields={"once": True}))
        await scene.until_done()
        assert scene.ending.ended == {0: ("invalid_output", 2), 1: ("invalid_output", 1)}
        assert scene.ending.messages[0] == '/n: "x" is not of type "integer"'

    play(main, lambda row, time: answered('{"n": "x"}'), judge=JUDGE, max_output_retries=1)


def test_answers_that_did_not_match_leave_a_record_its_attempts_at_failures(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(0)
        await scene.until_done()
        assert scene.ending.ended == {0: ("", 3)}

    def script(row: int, time: int) -> Attempt:
        return [answered("no"), failed("server_error", 500), answered('{"n": 1}')][time - 1]

    play(main, script, judge=JUDGE, max_attempts=2)


def test_a_cut_answer_is_not_asked_for_again(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(0)
        await scene.until_done()
        assert scene.ending.ended == {0: ("truncated", 1)}

    play(main, lambda row, time: answered('{"n":', truncated=True), judge=JUDGE)


# --- images and files ----------------------------------------------------------------------------


def test_what_goes_with_a_record_is_read_anew_for_each_request_and_its_name_stays(
    play: Play,
) -> None:
    read: list[int] = []

    def attach(record: Record) -> Record:
        read.append(record.row)
        gone = record.row == 1 and read.count(1) > 1
        return msgspec.structs.replace(record, problem="no such file") if gone else record

    async def main(scene: Scene) -> None:
        scene.add(0, 1, 2)
        await scene.until_done()
        assert sorted(read) == [0, 0, 0, 1, 1, 2]
        assert scene.ending.ended == {0: ("", 3), 1: ("invalid_input", 0), 2: ("", 1)}
        assert scene.ending.messages[1] == "in:1: no such file"
        assert scene.ending.hashes == {"hash"}

    def script(row: int, time: int) -> Attempt:
        if row < 2 and time == 1:
            return failed("server_error", 500)
        return answered("no" if row == 0 and time == 2 else '{"n": 1}')

    play(main, script, judge=JUDGE, attach=attach)
