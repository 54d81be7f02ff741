"""A worker inside the test, in virtual time: what it asks for, what it does, and how it ends."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from engine.shards import lease_of, shard
from engine.transports import FakeTransport, Served, chat, error
from engine.virtual_time import Clock, VirtualLoop
from ledger.ledger_rows import RUN, run_directory
from penstock.engine import worker as worker_module
from penstock.engine.channel import Channel
from penstock.engine.leases import Grant, Ranges
from penstock.engine.limits import buckets_of
from penstock.engine.messages import (
    Committed,
    Cut,
    Drain,
    EndpointSetup,
    Exhausted,
    Failed,
    Failing,
    Fatal,
    FromWorker,
    Goodbye,
    Hello,
    Know,
    Message,
    NewKey,
    Prices,
    Setup,
    Want,
)
from penstock.engine.rates import Rates, pusd
from penstock.engine.region import Layout, Region, configure
from penstock.engine.worker import CRASHED, Worker
from penstock.errors import LedgerError
from penstock.job import Job
from penstock.ledger.known import Shelf
from penstock.ledger.recovery import survey
from penstock.ledger.segment import SegmentWriter
from penstock.ledger.written import Written
from penstock.observe.slab_layout import C, started_rows
from penstock.providers.rate_headers import RateLimit
from penstock.sources.shard import Shard
from penstock.transport.transport import Request

SLOTS = 4
M = TypeVar("M", bound=Message)


def text_of(request: Request) -> str:
    """What the record of a request said."""
    return str(msgspec.json.decode(request.body)["messages"][0]["content"])


class Scene:
    """A worker, and its supervisor's side of the socket."""

    def __init__(self, loop: VirtualLoop, path: Path, transport: FakeTransport, job: Job) -> None:
        self.loop = loop
        self.transport = transport
        self.run_dir = run_directory(path)
        buckets = buckets_of(job, 1)
        self.region = Region.make(Layout((len(buckets),), 1, SLOTS, job.dedupe))
        configure(self.region.limiter(), buckets, loop.now_ns)
        self.slab = self.region.slab(0)
        self.came: list[FromWorker] = []
        self.rows: list[int] = []
        self.lost = asyncio.Event()
        self.channel: Channel[FromWorker] = Channel(FromWorker, self._received, self.lost.set)
        self.prices: Prices | None = None
        self.at_once: list[Message] = []  # said behind the setup, before anything comes of it
        self._job = job
        self._leases = 0

    async def start(self, key: str | None = None) -> None:
        ours, theirs = socket.socketpair()
        for one in (ours, theirs):
            one.setblocking(False)
        self.worker = Worker(self.region.descriptor)
        self.living = self.loop.create_task(self.worker.live(theirs))
        await self.loop.create_connection(lambda: self.channel, sock=ours)
        self.channel.send(
            Setup(
                self._job,
                (EndpointSetup("api", self._job, key, {}, 0, SLOTS),),
                RUN,
                str(self.run_dir.path),
                1,
                1,
                0,
                SLOTS,
                1,
                self.region.layout,
                0,
                None,
                "failed",
                dedupe=self._job.dedupe,
                prices=self.prices,
            )
        )
        for message in self.at_once:
            self.channel.send(message)
        await self.until(lambda: bool(self.of(Want)))

    def _received(self, message: FromWorker, _: bytes) -> None:
        self.came.append(message)
        if isinstance(message, Committed):
            for one in message.written:
                self.rows += memoryview(one.rows).cast("q").tolist()

    def of(self, kind: type[M]) -> list[M]:
        return [one for one in self.came if isinstance(one, kind)]

    @property
    def credit(self) -> int:
        """What the worker asked for in all."""
        return sum(one.rows for one in self.of(Want))

    def lease(self, one: Shard, wanted: Ranges | None = None, condemned: str | None = None) -> None:
        self._leases += 1
        every = [(one.first_row, one.first_row + one.rows)]
        grant = Grant(self._leases, 1, one, wanted or every, condemned)
        self.channel.send(lease_of(grant), one.payload)

    async def until(self, true: Callable[[], bool], most_seconds: float = 1000.0) -> None:
        async with asyncio.timeout(most_seconds):
            while not true():  # noqa: ASYNC110  # time is virtual
                await asyncio.sleep(0.01)

    async def ended(self) -> int:
        """The exit status."""
        status = await asyncio.wait_for(self.living, 1000)
        await self.lost.wait()
        return status


Main = Callable[[Scene], Coroutine[Any, Any, None]]
Play = Callable[..., None]


@pytest.fixture
def play(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    monkeypatch.setattr(worker_module, "monotonic_ns", clock)
    monkeypatch.setattr("penstock.engine.worker.os._exit", lambda status: None)
    monkeypatch.setattr("penstock.engine.work.random.random", lambda: 0.5)

    def run(
        main: Main,
        serve: Served = lambda request: chat(text_of(request)),
        *,
        seconds: float = 0.1,
        prices: Prices | None = None,
        at_once: Sequence[Message] = (),
        **job: Any,
    ) -> None:
        transport = FakeTransport(serve, seconds)
        monkeypatch.setattr(worker_module, "transport_for", lambda *_, **__: transport)
        made = Job(model="m", prompt="{{ text }}", base_url="http://127.0.0.1:1/v1", **job)

        async def begin(loop: VirtualLoop) -> None:
            scene = Scene(loop, tmp_path, transport, made)
            scene.prices = prices
            scene.at_once += at_once
            await scene.start()
            try:
                await main(scene)
            finally:
                scene.channel.send(Cut())
                scene.channel.close()
                await asyncio.wait([scene.living], timeout=100)
                scene.region.close()

        clock.run(begin)

    return run


def test_it_greets_asks_for_what_it_can_take_and_no_more(play: Play) -> None:
    async def main(scene: Scene) -> None:
        assert isinstance(scene.came[0], Hello)
        await asyncio.sleep(60)
        assert scene.credit == 2 * SLOTS
        assert scene.slab.get(C.HEARTBEAT_NS) >= scene.loop.now_ns - 60_000_000
        assert scene.slab.get(C.SLOTS) == SLOTS

    play(main)


@pytest.mark.parametrize("sizes", [[8] * 10, [1] * 80, [80], [3, 50, 7, 20]])
def test_every_leased_row_ends_once_is_committed_and_credit_never_leaks(
    play: Play, sizes: list[int]
) -> None:
    async def main(scene: Scene) -> None:
        granted = first = 0
        for size in sizes:
            await scene.until(lambda: scene.credit > granted)  # noqa: B023
            scene.lease(shard(first, size))
            first += size
            granted += size
        await scene.until(lambda: len(scene.rows) == 80)
        assert sorted(scene.rows) == list(range(80))
        await asyncio.sleep(5)
        assert scene.credit - granted >= 2 * SLOTS, "the worker would never be given a row again"

    play(main)


def test_what_a_row_cost_is_its_own_from_its_answer_to_the_telling_and_no_longer(
    play: Play,
) -> None:
    """What a run spent beyond its rows is told by that: once, whenever it is looked at."""
    each = pusd(0.01)
    rates = Rates(each, each, each, each, each)

    async def main(scene: Scene) -> None:
        scene.lease(shard(0, 4))
        await scene.until(lambda: scene.slab.get(C.RECORDS_SUCCEEDED) == 4)
        assert scene.rows == []  # answered, and not told yet
        assert scene.slab.get(C.SPENT_PUSD) == 4 * 5 * each
        assert scene.slab.get(C.UNTOLD_PUSD) == 4 * 5 * each
        await scene.until(lambda: len(scene.rows) == 4)
        assert scene.slab.get(C.UNTOLD_PUSD) == 0
        assert scene.slab.get(C.SPENT_PUSD) == 4 * 5 * each

    play(
        main,
        lambda request: chat(prompt_tokens=3, completion_tokens=2),
        prices=Prices({"m": rates, "m-1": rates}, rates, False),
    )


def test_it_does_not_send_a_message_for_each_row_that_it_takes(play: Play) -> None:
    """A shard larger than the credit left it overdrawn, and every row taken asked for one more."""

    async def main(scene: Scene) -> None:
        scene.lease(shard(0, 80))
        await scene.until(lambda: len(scene.rows) == 80)
        assert scene.credit >= 80
        assert len(scene.of(Want)) <= 80 // (2 * SLOTS // 4) + 1

    play(main)


def test_it_takes_the_places_that_it_is_granted(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.region.grants().give(0, 0, 1)
        await asyncio.sleep(1)
        scene.lease(shard(0, 8))
        most = 0
        while len(scene.rows) < 8:
            await asyncio.sleep(0.01)
            most = max(most, scene.slab.get(C.IN_FLIGHT))
        assert most == 1

    play(main)


def test_a_record_is_too_large_for_the_least_limit_that_an_endpoint_names(play: Play) -> None:
    async def main(scene: Scene) -> None:
        (lane,) = scene.worker._lanes
        found = []
        for named in (9000, 500, 7000):
            told = [RateLimit("requests", 5, 60), RateLimit("tokens", named, 60)]
            scene.worker._named_limits(0, told)
            found.append(lane.token_limit)
        assert found == [9000, 500, 500]

    play(main)


def test_what_is_told_while_it_is_being_set_up_is_known(play: Play, tmp_path: Path) -> None:
    """The next turn may begin while a worker that replaces another one is starting."""
    index = tmp_path / "own.index"
    index.write_bytes(b"")

    async def main(scene: Scene) -> None:
        unbought = scene.worker._unbought
        assert unbought is not None
        assert (unbought._turn, list(unbought._shelves)) == (1, ["duplicate"])

    play(main, at_once=[Know(Shelf(str(index), [], "duplicate"), 1)], dedupe=True)


def test_rows_that_nobody_wants_are_not_asked_for(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.lease(shard(10, 8), [(11, 13), (16, 17)])
        await scene.until(lambda: len(scene.rows) == 3)
        assert sorted(map(text_of, scene.transport.requests)) == ["text 11", "text 12", "text 16"]

    play(main)


def test_a_condemned_row_is_a_dead_letter_and_is_not_asked_for(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.lease(shard(0, 8), [(3, 4)], "it crashed a worker twice")
        await scene.until(lambda: scene.rows == [3])
        assert scene.transport.requests == []
        assert list(survey(scene.run_dir, RUN).account.failed["worker_crash"]) == [3]
        assert scene.credit >= 2 * SLOTS

    play(main)


def test_a_payload_that_cannot_be_decoded_ends_as_dead_letters_not_the_worker(play: Play) -> None:
    async def main(scene: Scene) -> None:
        broken = msgspec.structs.replace(shard(0, 4), kind="columns", payload=b"nonsense")
        scene.lease(broken)
        scene.lease(shard(4, 4))
        await scene.until(lambda: len(scene.rows) == 8)
        account = survey(scene.run_dir, RUN).account
        assert account.failures == {"invalid_input": 4}
        assert account.succeeded == 4

    play(main)


def test_the_last_rows_are_told_at_once_for_nobody_else_is_to_come(play: Play) -> None:
    async def main(scene: Scene) -> None:
        began = scene.loop.now_ns
        scene.lease(shard(0, 4))
        await scene.until(lambda: len(scene.rows) == 4)
        assert scene.loop.now_ns - began < 400_000_000

    play(main)


def test_slots_that_have_nothing_to_do_wait_for_input_until_there_is_no_more(play: Play) -> None:
    async def main(scene: Scene) -> None:
        await asyncio.sleep(10)
        scene.lease(shard(0, 4))
        await asyncio.sleep(10)
        waited_ns = scene.slab.get(C.SLOT_INPUT_NS)
        assert waited_ns == pytest.approx(10e9 * SLOTS, rel=0.05)
        assert scene.slab.get(C.SLOT_DRAINED_NS) == 0
        scene.channel.send(Exhausted())
        await asyncio.sleep(10)
        assert scene.slab.get(C.SLOT_INPUT_NS) - waited_ns < 0.1e9 * SLOTS
        assert scene.slab.get(C.SLOT_DRAINED_NS) == pytest.approx(10e9 * SLOTS, rel=0.05)

    play(main)


@pytest.mark.parametrize(
    ("limits", "cell"),
    [({"rps": 4}, C.SLOT_REQUESTS_NS), ({"tpm": 60}, C.SLOT_TOKENS_NS)],
)
def test_slot_time_goes_to_the_limit_that_holds_the_slots(
    play: Play, limits: dict[str, int], cell: C
) -> None:
    async def main(scene: Scene) -> None:
        scene.lease(shard(0, 200))
        await asyncio.sleep(20)
        spent = {one: scene.slab.get(one) for one in C if one.name.startswith("SLOT_")}
        assert max(spent, key=spent.__getitem__) == cell

    play(main, **limits)


def test_a_drain_lets_requests_in_flight_finish_and_commits_them(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.lease(shard(0, 20))
        await scene.until(lambda: len(scene.transport.requests) == SLOTS)
        scene.channel.send(Drain(60.0))
        assert await scene.ended() == 0
        assert sorted(scene.rows) == list(range(SLOTS))
        assert isinstance(scene.came[-1], Goodbye)
        assert scene.transport.closed

    play(main, seconds=30)


@pytest.mark.parametrize("message", [Drain(2.0), Drain(0.0), Cut()])
def test_what_the_grace_does_not_suffice_for_is_dropped_and_what_was_answered_is_committed(
    play: Play, message: Message
) -> None:
    async def main(scene: Scene) -> None:
        scene.lease(shard(0, SLOTS))
        await scene.until(lambda: scene.slab.get(C.RECORDS_SUCCEEDED) == SLOTS)
        scene.transport.seconds = 1000
        scene.lease(shard(SLOTS, SLOTS))
        await scene.until(lambda: scene.slab.get(C.REQUESTS_SENT) == 2 * SLOTS)
        began = scene.loop.now_ns
        scene.channel.send(message)
        assert await scene.ended() == 0
        assert scene.loop.now_ns - began < 3e9
        assert sorted(scene.rows) == list(range(SLOTS))
        assert started_rows(scene.slab) == []

    play(main)


def test_a_cut_ends_a_drain(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.lease(shard(0, SLOTS))
        await scene.until(lambda: scene.slab.get(C.REQUESTS_SENT) == SLOTS)
        scene.channel.send(Drain(500.0))
        await asyncio.sleep(5)
        began = scene.loop.now_ns
        scene.channel.send(Cut())
        assert await scene.ended() == 0
        assert scene.loop.now_ns - began < 1e9

    play(main, seconds=1000)


def test_a_worker_whose_supervisor_is_gone_commits_what_was_answered_and_ends(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.lease(shard(0, 2))
        await scene.until(lambda: scene.slab.get(C.RECORDS_SUCCEEDED) == 2)
        scene.channel.close()
        assert await asyncio.wait_for(scene.living, 2) == 0
        assert survey(scene.run_dir, RUN).account.succeeded == 2

    play(main)


def test_a_fatal_verdict_is_told_with_what_the_provider_says_and_nothing_more_is_sent(
    play: Play,
) -> None:
    async def main(scene: Scene) -> None:
        scene.lease(shard(0, 40))
        await scene.until(lambda: bool(scene.of(Fatal)))
        await asyncio.sleep(10)
        assert scene.of(Fatal)[0] == Fatal("auth", "it says why", 401)
        assert len(scene.transport.requests) == SLOTS
        scene.channel.send(Drain(1.0))
        assert await scene.ended() == 0
        assert scene.rows == []

    play(main, lambda request: error(401))


def test_the_tenth_failure_in_a_row_is_told_with_its_cause(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.lease(shard(0, 40))
        await asyncio.sleep(30)
        assert scene.of(Failing) == [Failing("HTTP 500: it says why")]
        assert scene.rows == []

    play(main, lambda request: error(500))


def test_a_key_file_that_changed_is_read_again_and_all_that_was_refused_is_asked_again(
    play: Play, tmp_path: Path
) -> None:
    path = tmp_path / "key"
    path.write_text("sk-old-0001")

    async def main(scene: Scene) -> None:
        path.write_text("sk-new-0002")
        scene.lease(shard(0, 20))
        await scene.until(lambda: len(scene.rows) == 20)
        assert scene.of(Fatal) == []
        assert survey(scene.run_dir, RUN).account.succeeded == 20
        refused = len(scene.transport.requests) - 20
        assert refused == SLOTS  # those that were in flight with the old key, once each

    def serve(request: Request) -> Any:
        known = request.headers.get("Authorization") == "Bearer sk-new-0002"
        return chat() if known else error(401)

    play(main, serve, api_key_file=str(path))


def test_a_key_that_a_command_printed_is_asked_for_anew_and_nothing_sent_until_it_comes(
    play: Play,
) -> None:
    async def main(scene: Scene) -> None:
        scene.lease(shard(0, 20))
        await scene.until(lambda: bool(scene.of(Fatal)))
        await asyncio.sleep(30)
        assert scene.of(Fatal) == [Fatal("auth", "it says why", 401)]
        assert len(scene.transport.requests) <= 2 * SLOTS
        assert scene.slab.get(C.REQUESTS_SENT) == SLOTS
        scene.channel.send(NewKey(0, "sk-new-0002", 1))
        await scene.until(lambda: len(scene.rows) == 20)
        assert survey(scene.run_dir, RUN).account.succeeded == 20
        assert len(scene.of(Fatal)) == 1

    def serve(request: Request) -> Any:
        known = request.headers.get("Authorization") == "Bearer sk-new-0002"
        return chat(text_of(request)) if known else error(401)

    play(main, serve, api_key_command="get-token")


def test_a_key_file_that_is_gone_stops_the_run_and_accuses_no_row(
    play: Play, tmp_path: Path
) -> None:
    async def main(scene: Scene) -> None:
        scene.lease(shard(0, 4))
        await scene.until(lambda: bool(scene.of(Fatal)))
        assert scene.of(Failed) == []

    play(main, lambda request: error(401), api_key_file=str(tmp_path / "gone"))


def test_a_key_file_that_still_holds_the_refused_key_stops_the_run(
    play: Play, tmp_path: Path
) -> None:
    path = tmp_path / "key"
    path.write_text("sk-old-0001")

    async def main(scene: Scene) -> None:
        scene.lease(shard(0, 4))
        await asyncio.sleep(5)
        assert scene.of(Fatal), "a refused key was sent again and again"
        assert len(scene.transport.requests) <= 2 * SLOTS

    play(main, lambda request: error(401), api_key_file=str(path))


def test_a_former_key_that_is_echoed_late_is_written_nowhere(play: Play, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("sk-old-0001")

    def asked_with(scene: Scene, key: str) -> bool:
        return any(key in one.headers.get("Authorization", "") for one in scene.transport.requests)

    async def main(scene: Scene) -> None:
        scene.lease(shard(0, 4))
        await scene.until(lambda: asked_with(scene, "sk-old-0001"))
        path.write_text("sk-new-0002")
        await scene.until(lambda: len(scene.rows) == 4)
        (segment,) = scene.run_dir.segments.iterdir()
        assert segment.read_bytes().count(b"the key was ***") == 4

    def serve(request: Request) -> Any:
        known = request.headers.get("Authorization") == "Bearer sk-new-0002"
        return chat("the key was sk-old-0001") if known else error(401)

    play(main, serve, api_key_file=str(path))


def test_an_unhandled_exception_ends_the_worker_and_accuses_the_row_that_raised_it(
    play: Play,
) -> None:
    async def main(scene: Scene) -> None:
        scene.lease(shard(0, 20))
        assert await scene.ended() == CRASHED
        (failure,) = scene.of(Failed)
        assert failure.accuses
        assert not failure.disk
        assert "ZeroDivisionError" in failure.traceback
        assert started_rows(scene.slab) == [2]

    def serve(request: Request) -> Any:
        return 1 // 0 if text_of(request) == "text 2" else chat()

    play(main, serve)


def test_a_bug_in_the_beat_ends_the_worker_for_its_heart_would_stand_still(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(scene: Scene) -> None:
        monkeypatch.setattr(scene.worker, "_account", lambda *_: 1 // 0)
        assert await scene.ended() == CRASHED
        assert "ZeroDivisionError" in scene.of(Failed)[0].traceback

    play(main)


def test_a_disk_that_fails_is_said_and_accuses_no_row(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(scene: Scene) -> None:
        (scene.run_dir.segments).rmdir()
        scene.lease(shard(0, 4))
        assert await scene.ended() == CRASHED
        failure = scene.of(Failed)[0]
        assert failure.disk
        assert not failure.accuses
        assert "segments" in failure.reason

    play(main)


def test_of_several_failures_the_first_is_told(play: Play) -> None:
    """The others follow from it: what a disk began must not end as an accusation of rows."""

    async def main(scene: Scene) -> None:
        scene.worker._fail(LedgerError("the first"))
        scene.worker._fail(KeyError("the second"))
        assert await scene.ended() == CRASHED
        assert [one.reason for one in scene.of(Failed)] == ["the first"]

    play(main)


def test_a_disk_that_fails_under_the_last_commit_is_said_too(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    def close(writer: SegmentWriter) -> list[Written]:
        raise LedgerError("can't fsync it")

    monkeypatch.setattr(SegmentWriter, "close", close)

    async def main(scene: Scene) -> None:
        scene.channel.send(Cut())
        assert await scene.ended() == CRASHED
        (failure,) = scene.of(Failed)
        assert (failure.reason, failure.disk, failure.accuses) == ("can't fsync it", True, False)
        assert isinstance(scene.came[-1], Goodbye)

    play(main)
