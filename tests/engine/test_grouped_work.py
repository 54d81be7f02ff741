"""The way of records of which many are asked for at once: whole retries, halves, shares."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, cast

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.attempts import failed, fatal, rejected, throttled
from engine.limiters import limiter, slab
from engine.usual import USUAL_WORK
from engine.virtual_time import Clock, VirtualLoop
from penstock._core import Gate, TokenPredictor, Verdict
from penstock.engine.attempt import Attempt
from penstock.engine.grouped_ending import GroupedEnding
from penstock.engine.grouped_work import GroupedWork, RoutedGroupedWork
from penstock.engine.grouping import Most
from penstock.engine.lane import Lane
from penstock.engine.rates import pusd
from penstock.engine.retry import FAILURES_UNTIL_DOWN
from penstock.job import Job
from penstock.ledger.mark import ShardMark
from penstock.observe.slab_layout import C, started_rows
from penstock.providers.embedder import Embedder, Embeddings, GroupRequest
from penstock.providers.provider import Refusal, provider_for
from penstock.record import Record, Result
from penstock.vector import packed, text_of

MARK = ShardMark(0, 1000, 7)
BEAT = 0.05
COST = 1_000_003  # picodollars a request, which no number of rows divides

Script = Callable[[Sequence[int], int], Attempt | None]  # rows, which request; None: answered


def vector_of(row: int) -> list[float]:
    return [float(row), row / 2]


class FakeTraffic:
    """What a lane and its work look at."""

    def __init__(self) -> None:
        self.in_flight = self.waiting = 0
        self.predictor = TokenPredictor(0)
        self.gate = Gate(1)


class FakeAsker:
    """Answers what the script says, else with the vectors of the rows that stand in the texts."""

    def __init__(self, provider: Embedder, script: Script) -> None:
        self.asked: list[list[int]] = []  # rows, by request
        self.traffic = FakeTraffic()
        self.pacer: Any = type("Pacer", (), {"line": 0, "held": False, "divert": lambda _: None})()
        self._provider = provider
        self._script = script

    async def ask(self, request: GroupRequest) -> Attempt:
        rows = [int(text.split()[0]) for text in json.loads(request.body)["input"]]
        assert len(rows) == request.rows
        self.asked.append(rows)
        said = self._script(rows, len(self.asked))
        self.traffic.in_flight += 1
        try:
            await asyncio.sleep(0.1)
        finally:
            self.traffic.in_flight -= 1
        return msgspec.structs.replace(said) if said is not None else self._answer(request, rows)

    def _answer(self, request: GroupRequest, rows: list[int]) -> Attempt:
        data = [
            {"index": place, "embedding": text_of(packed(vector_of(row)))}
            for place, row in reversed(list(enumerate(rows)))
        ]
        usage = {"prompt_tokens": 10 * len(rows) + 7}
        body = json.dumps({"data": data, "usage": usage, "model": "m"}).encode()
        found = self._provider.embeddings(body, request.rows)
        assert isinstance(found, Embeddings)
        attempt = Attempt(Verdict("succeeded", ""), 200, False, answer=found, body=body)
        attempt.cost_pusd = COST
        return attempt


class Scene:
    """A worker's work, with fakes around it."""

    def __init__(
        self,
        loop: VirtualLoop,
        script: Script,
        *,
        slots: int,
        rows: int,
        tokens: int = 10**9,
        max_attempts: int = 5,
        endpoints: int = 1,
    ) -> None:
        job = Job(task="embed", model="m", prompt="{{ row }} {{ more }}")
        self.results: dict[int, Result] = {}
        self.slab = slab(slots)
        self.fatals: list[Attempt] = []
        self.askers, lanes = [], []
        for index in range(endpoints):
            provider = cast(Embedder, provider_for(job))
            asker = FakeAsker(provider, script)
            self.askers.append(asker)
            lanes.append(
                Lane(index, f"api{index}", provider, asker, limiter(), [], slots)  # type: ignore[arg-type]
            )
        self.lanes = lanes
        committer = type("Committer", (), {"congested": False, "add": self._add})()
        ending = GroupedEnding(committer, self.slab, [one.name for one in lanes], 0, "failed")
        make: Any = GroupedWork if endpoints == 1 else RoutedGroupedWork
        more = {} if endpoints == 1 else {"affinity_bytes": 0}
        self.work: GroupedWork = make(
            most=Most(rows, tokens),
            slots=slots,
            max_attempts=max_attempts,
            lanes=lanes,
            slab=self.slab,
            ending=ending,
            on_fatal=lambda _, attempt: self.fatals.append(attempt),
            on_down=lambda *_: None,
            **USUAL_WORK,
            **more,
        )
        self.slots = [loop.create_task(self.work.run_slot(slot)) for slot in range(slots)]
        self.beat = loop.create_task(self._beat())

    def _add(self, result: Result, shard: ShardMark) -> None:
        assert shard is MARK and result.row not in self.results
        self.results[result.row] = result

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            self.work.dispatch()

    @property
    def asked(self) -> list[list[int]]:
        return self.askers[0].asked

    def add(self, *rows: int | Record) -> None:
        made = [
            Record(row, f"in:{row}", fields={"row": row, "more": "x" * (row % 13)})
            if isinstance(row, int)
            else row
            for row in rows
        ]
        self.work.add(made, MARK)

    async def until_done(self) -> None:
        async with asyncio.timeout(10_000):
            while self.work.held:
                await asyncio.sleep(0.01)
                for slot in self.slots:
                    if slot.done():
                        slot.result()

    def check_vectors(self, dead: Sequence[int] = ()) -> None:
        """Each row has its own vector, but for those that are dead letters."""
        for row, result in self.results.items():
            if row in dead:
                assert result.outcome == "failed" and result.output is None
            else:
                assert result.output == text_of(packed(vector_of(row))), row


Play = Callable[..., None]


@pytest.fixture
def play(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Play:
    def run(
        main: Callable[[Scene], Coroutine[Any, Any, None]],
        script: Script = lambda rows, number: None,
        *,
        slots: int = 2,
        rows: int = 8,
        **more: Any,
    ) -> None:
        monkeypatch.setattr("penstock.engine.work.random.random", lambda: 0.5)

        async def begin(loop: VirtualLoop) -> None:
            scene = Scene(loop, script, slots=slots, rows=rows, **more)
            await asyncio.sleep(0)  # the slots are idle
            await main(scene)
            scene.work.drain()
            for task in (*scene.slots, scene.beat):
                task.cancel()

        clock.run(begin)

    return run


# --- forming --------------------------------------------------------------------------------------


@pytest.mark.parametrize("slots", [1, 3, 64])
def test_records_go_by_as_many_as_a_request_may_have_and_the_rest_waits_for_none(
    play: Play, slots: int
) -> None:
    async def main(scene: Scene) -> None:
        scene.add(*range(20))
        await scene.until_done()
        assert scene.asked == [list(range(8)), list(range(8, 16)), list(range(16, 20))]
        assert sorted(scene.results) == list(range(20))
        assert {one.attempts for one in scene.results.values()} == {1}
        scene.check_vectors()

    play(main, slots=slots)


def test_each_record_has_its_part_of_tokens_and_dollars_and_the_sums_are_exact(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(*range(20))
        await scene.until_done()
        results = [scene.results[row] for row in range(20)]
        tokens = [one.input_tokens or 0 for one in results]
        costs = [pusd(one.cost_usd or 0) for one in results]
        assert (sum(tokens), sum(costs)) == (3 * 7 + 20 * 10, 3 * COST)
        assert max(tokens[:8]) > 2 * min(tokens[:8])  # by the length of the text
        assert scene.slab.get(C.UNCACHED_INPUT_TOKENS) == sum(tokens)
        assert scene.slab.get(C.UNTOLD_PUSD) == sum(costs)
        assert scene.slab.get(C.RECORDS_SUCCEEDED) == 20
        assert len({one.request_hash for one in scene.results.values()}) == 20
        assert {one.response for one in scene.results.values()} == {None}

    play(main)


def test_a_request_has_no_more_than_its_tokens_allow_and_a_long_text_goes_alone(play: Play) -> None:
    long = Record(100, "in:100", fields={"row": 100, "more": "y" * 4000})

    async def main(scene: Scene) -> None:
        scene.add(*range(1, 9), long, *range(9, 13))
        await scene.until_done()
        assert [100] in scene.asked and len(scene.asked) == 5
        assert sorted(row for rows in scene.asked for row in rows) == [*range(1, 13), 100]
        scene.check_vectors()

    play(main, tokens=9, slots=1)


def test_a_request_has_no_more_than_its_bytes_allow(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.engine.grouping.MOST_BYTES", 12)

    async def main(scene: Scene) -> None:
        scene.add(*range(6))  # texts of two bytes and as many more as the row's number
        await scene.until_done()
        assert scene.asked == [[0, 1, 2], [3, 4], [5]]
        scene.check_vectors()

    play(main, slots=1)


def test_a_group_that_was_formed_is_not_taken_apart_by_one_that_is_being_formed(play: Play) -> None:
    """One that did not reach the server stands behind fresh records, with all that go with it."""

    async def main(scene: Scene) -> None:
        scene.add(*range(10))
        await scene.until_done()
        assert scene.asked == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9], [0, 1, 2, 3]]
        assert sorted(scene.results) == list(range(10))
        scene.check_vectors()

    play(main, lambda rows, number: failed("connect", 0) if number == 1 else None, slots=1, rows=4)


def test_records_that_make_no_request_leave_the_others_alone(play: Play) -> None:
    def broken(row: int) -> Record:
        return Record(row, f"in:{row}", problem="no JSON")

    async def main(scene: Scene) -> None:
        scene.add(broken(0), 1, broken(2), Record(3, "in:3", fields={"row": 3}), 4, 5, broken(6))
        await scene.until_done()
        assert scene.asked == [[1, 4, 5]]
        dead = [row for row, one in scene.results.items() if one.error_class == "invalid_input"]
        assert sorted(dead) == [0, 2, 3, 6]
        scene.check_vectors(dead)

    play(main)


def test_the_row_that_crashes_what_makes_its_request_is_the_one_that_is_marked(play: Play) -> None:
    async def main(scene: Scene) -> None:
        render = scene.work._render

        def crashing(record: Record, more: Sequence[dict[str, Any]]) -> Any:
            if record.row == 5:
                raise ZeroDivisionError
            return render(record, more)

        scene.work._render = crashing
        scene.add(*range(8))
        done, _ = await asyncio.wait(scene.slots, return_when=asyncio.FIRST_COMPLETED)
        assert isinstance(done.pop().exception(), ZeroDivisionError)
        assert started_rows(scene.slab) == [5]

    play(main, slots=1)


# --- asked again ----------------------------------------------------------------------------------


def test_a_retry_is_of_the_whole_group_and_an_attempt_for_each_of_it(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(*range(12))
        await scene.until_done()
        assert Counter(map(tuple, scene.asked)) == {tuple(range(8)): 3, tuple(range(8, 12)): 1}
        attempts = [scene.results[row].attempts for row in range(12)]
        assert attempts == [3] * 8 + [1] * 4
        scene.check_vectors()

    play(main, lambda rows, number: failed() if 0 in rows and number < 4 else None)


def test_that_several_are_refused_is_no_attempt_of_any(play: Play) -> None:
    """Each of them may fail as often afterwards as if it had been asked alone from the start."""
    met: set[tuple[int, ...]] = set()

    def script(rows: Sequence[int], number: int) -> Attempt | None:
        if len(rows) > 2:
            return rejected()
        first, _ = tuple(rows) not in met, met.add(tuple(rows))
        return failed() if first else None

    async def main(scene: Scene) -> None:
        scene.add(*range(8))
        await scene.until_done()
        assert {len(rows) for rows in scene.asked} == {8, 4, 2}
        assert len(scene.results) == 8
        scene.check_vectors()

    play(main, script, max_attempts=2)


def test_a_server_that_is_down_is_asked_for_one_record_at_a_time(play: Play) -> None:
    async def main(scene: Scene) -> None:
        for _ in range(FAILURES_UNTIL_DOWN):
            scene.lanes[0].limiter.record_failure()
        scene.add(*range(9))
        await scene.until_done()
        assert scene.asked[0] == [0]
        assert max(map(len, scene.asked)) == 8
        scene.check_vectors()

    play(main, slots=1)


def test_throttles_are_no_attempts(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(*range(8))
        await scene.until_done()
        assert len(scene.asked) == 4
        assert {one.attempts for one in scene.results.values()} == {1}

    play(main, lambda rows, number: throttled(1.0) if number < 4 else None, slots=1)


def test_a_fatal_verdict_leaves_all_of_them_pending(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(*range(8))
        await asyncio.sleep(1)
        assert len(scene.fatals) == 1 and not scene.results

    play(main, lambda rows, number: fatal())


# --- halves ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [0, 3, 100, 255])
def test_the_one_that_is_refused_is_found_and_all_others_have_their_vector(
    play: Play, bad: int
) -> None:
    async def main(scene: Scene) -> None:
        scene.add(*range(256))
        await scene.until_done()
        assert sorted(scene.results) == list(range(256))
        scene.check_vectors([bad])
        assert scene.results[bad].error_class == "invalid_request"
        assert scene.results[bad].response == "no"
        assert len(scene.asked) == 1 + 2 * 8
        assert scene.results[bad].attempts == 9
        innocent = [one.attempts for one in scene.results.values() if one.row != bad]
        assert Counter(innocent) == {2 + k: 128 >> k for k in range(8)}
        assert sum(one.input_tokens or 0 for one in scene.results.values()) == 255 * 10 + 8 * 7
        assert sum(pusd(one.cost_usd or 0) for one in scene.results.values()) == 8 * COST

    play(main, lambda rows, number: rejected() if bad in rows else None, rows=256, max_attempts=1)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sets(st.integers(0, 63), max_size=64), st.integers(1, 64), st.integers(1, 6))
def test_whoever_is_refused_every_row_ends_once_within_a_bounded_number_of_requests(
    play: Play, bad: set[int], rows: int, slots: int
) -> None:
    async def main(scene: Scene) -> None:
        scene.add(*range(64))
        await scene.until_done()
        assert sorted(scene.results) == list(range(64))
        scene.check_vectors(sorted(bad))
        groups = math.ceil(64 / rows)
        assert len(scene.asked) <= groups + 2 * len(bad) * math.ceil(math.log2(max(rows, 2)))
        assert all(len(asked) <= rows for asked in scene.asked)

    play(
        main,
        lambda asked, _: rejected() if bad.intersection(asked) else None,
        rows=rows,
        slots=slots,
    )


@pytest.mark.parametrize("status", [200, 500])
def test_a_text_that_the_server_fails_on_each_time_takes_nobody_with_it(
    play: Play, status: int
) -> None:
    async def main(scene: Scene) -> None:
        scene.add(*range(40))
        await scene.until_done()
        scene.check_vectors([5])
        assert scene.results[5].error_class == "bad_response"
        assert len(scene.results) == 40

    def script(rows: Sequence[int], number: int) -> Attempt | None:
        return failed("bad_response", status) if 5 in rows else None

    play(main, script, max_attempts=2)


def test_a_server_that_takes_fewer_rows_is_soon_asked_for_no_more(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(*range(640))
        await scene.until_done()
        assert len(scene.results) == 640
        scene.check_vectors()
        sizes = Counter(map(len, scene.asked))
        assert sizes[8] == 80 and sizes[64] <= 3 and sum(sizes.values()) <= 80 + 16

    play(main, lambda rows, _: rejected() if len(rows) > 8 else None, rows=64, slots=1)


def test_answers_that_are_too_large_are_halved_for_good(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(*range(64))
        await scene.until_done()
        assert len(scene.results) == 64
        assert Counter(map(len, scene.asked)) == {16: 1, 8: 8}

    def script(rows: Sequence[int], number: int) -> Attempt | None:
        if len(rows) <= 8:
            return None
        refusal = Refusal(message="too large")
        return Attempt(Verdict("rejected", "response_too_large"), 0, False, refusal=refusal)

    play(main, script, rows=16, slots=1)


# --- several endpoints ----------------------------------------------------------------------------


def test_a_group_that_one_endpoint_fails_goes_whole_to_another(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.askers[0]._script = lambda rows, number: failed("server_error", 500)
        scene.add(*range(16))
        await scene.until_done()
        assert sorted(scene.results) == list(range(16))
        scene.check_vectors()
        assert {one.endpoint for one in scene.results.values()} == {"api1"}
        assert len({one.request_hash for one in scene.results.values()}) == 16
        assert sorted(scene.askers[1].asked) == [list(range(8)), list(range(8, 16))]

    play(main, endpoints=2)


def test_halves_may_go_to_different_endpoints(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.add(*range(16))
        await scene.until_done()
        assert sorted(scene.results) == list(range(16))
        scene.check_vectors([3])

    play(main, lambda rows, _: rejected() if 3 in rows else None, endpoints=2, slots=4)


def test_a_fatal_verdict_of_one_endpoint_sends_the_group_to_the_other(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.askers[0]._script = lambda rows, number: fatal()
        scene.add(*range(16))
        await scene.until_done()
        scene.check_vectors()
        assert len(scene.results) == 16 and {one.endpoint for one in scene.results.values()} == {
            "api1"
        }

    play(main, endpoints=2)
