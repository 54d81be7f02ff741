"""The supervisor with workers that are none: how rows, workers and a run end, whatever happens."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from engine.crew import DEAD_LETTER, FakeBooks, FakeWorker, World, written_of
from engine.limiters import slab
from engine.money import no_money
from engine.shards import shards
from engine.virtual_time import Clock, VirtualLoop
from penstock.engine import crew as crew_module
from penstock.engine.crew import HUNG_NS
from penstock.engine.leases import Grant
from penstock.engine.messages import Committed, Failed, Fatal, Goodbye
from penstock.engine.plan import EndpointPlan, Plan
from penstock.engine.stopping import Stopped
from penstock.engine.stuck import FRUITLESS_KILLS
from penstock.engine.supervisor import Supervisor
from penstock.errors import (
    EXIT_COMPLETE,
    EXIT_INTERNAL,
    EXIT_LIMIT,
    EXIT_PROVIDER,
    EXIT_USAGE,
    InputError,
    LedgerError,
)
from penstock.job import Job
from penstock.ledger.known import Shelf
from penstock.ledger.rows import RowSet
from penstock.observe import events
from penstock.observe.observer import Observer
from penstock.observe.slab_layout import C, started_rows
from penstock.observe.state import Endpoint, RunState
from penstock.sources.shard import Shard


class Scene:
    """A supervisor in a world."""

    def __init__(
        self,
        world: World,
        rows: int = 40,
        each: int = 8,
        workers: int = 2,
        slots: int = 6,
        source: Iterator[Shard] | None = None,
        done: RowSet | None = None,
        **job: Any,
    ) -> None:
        self.world = world
        self.books = FakeBooks(world, done)
        self.events: list[events.Event] = []
        made = Job(**job)
        plan = Plan(
            job=made,
            endpoints=(
                EndpointPlan(
                    name="api",
                    job=made,
                    key=None,
                    headers={},
                    buckets=[],
                    largest_tokens=1,
                    room=slots,
                    places=slots,
                    first_places=slots,
                ),
            ),
            run_id="run",
            run_directory="/nowhere",
            epoch=1,
            generation=0,
            target=None,
            books=self.books,  # type: ignore[arg-type]
            treasury=no_money(Job(**job)),
            shards=source or iter(shards(rows, each)),
            known_shards={},
            id_column=None,
            keep_response="failed",
            workers=workers,
            slots=slots,
            inherited=(),
            record_workers=world.recorded.append,
            total=rows,
        )
        state = RunState(run_id="run", started_ns=0, started_at=0.0, endpoints={"api": Endpoint()})
        self.observer = Observer(state)
        self.supervisor = Supervisor(plan, self.observer, self.events.append)

    async def run(self, most_seconds: float = 3600.0) -> Stopped:
        async with asyncio.timeout(most_seconds):
            stopped = await self.supervisor.run()
        assert self.world.alive == [], "a process is left"
        return stopped

    def told(self, kind: type[events.Event]) -> list[Any]:
        return [one for one in self.events if isinstance(one, kind)]


Play = Callable[..., None]


@pytest.fixture
def play(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Run `main(world)`; `settings` are the world's."""

    def run(
        main: Callable[[World], Coroutine[Any, Any, None]], seed: int = 0, **settings: Any
    ) -> None:
        async def begin(loop: VirtualLoop) -> None:
            world = World(loop, seed, **settings)
            monkeypatch.setattr(crew_module, "WorkerProcess", world.make)
            await main(world)

        clock.run(begin)

    return run


# --- a run that goes well ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "each", "workers", "slots"),
    [(40, 8, 2, 6), (1, 8, 4, 64), (0, 8, 2, 2), (30, 7, 1, 1), (500, 50, 3, 48)],
)
def test_every_row_ends_once_and_all_workers_end(
    play: Play, rows: int, each: int, workers: int, slots: int
) -> None:
    async def main(world: World) -> None:
        scene = Scene(world, rows, each, workers, slots)
        stopped = await scene.run()
        assert stopped.complete
        assert scene.books.done == RowSet([(0, rows)])
        assert world.served == dict.fromkeys(range(rows), 1)
        assert len(world.workers) == workers
        assert all(one.said_goodbye and one.told_exhausted for one in world.workers)
        assert scene.books.ends[-1:] == [one.next for one in shards(rows, each)][-1:]
        state = scene.observer.state
        assert (state.succeeded, state.total) == (rows, rows)
        assert state.running_until_ns is not None
        assert scene.told(events.WorkerReplaced) == scene.told(events.Draining) == []

    play(main)


def test_nothing_is_leased_before_all_workers_are_ready_or_one_has_waited_long_enough(
    play: Play,
) -> None:
    async def main(world: World) -> None:
        scene = Scene(world, workers=3)
        running = asyncio.ensure_future(scene.run())
        await world.until(lambda: any(one.ready for one in world.workers))
        while not all(one.ready for one in world.workers):
            assert all(one.leases == [] for one in world.workers)
            await asyncio.sleep(0.01)
        assert (await running).complete

    play(main)


def test_rows_that_are_done_are_not_asked_again(play: Play) -> None:
    async def main(world: World) -> None:
        scene = Scene(world, done=RowSet([(0, 17), (30, 35)]))
        assert (await scene.run()).complete
        assert sorted(world.served) == [*range(17, 30), *range(35, 40)]

    play(main)


def test_a_checkpoint_is_written_every_few_seconds_and_at_the_end(play: Play) -> None:
    async def main(world: World) -> None:
        world.answer_seconds = 8.0
        scene = Scene(world)
        await scene.run()
        lasted = (world.loop.now_ns - world.workers[0].started_ns) / 1e9
        assert lasted / 5 - 2 <= scene.books.checkpoints <= lasted / 5 + 2
        assert scene.books.rows_at_checkpoint == 40

    play(main)


def test_what_was_freed_is_given_back_after_each_checkpoint(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(world: World) -> None:
        given: list[int] = []
        scene = Scene(world)
        monkeypatch.setattr(
            "penstock.engine.supervisor.give_back", lambda: given.append(scene.books.checkpoints)
        )
        await scene.run()
        assert given == list(range(1, scene.books.checkpoints + 1))

    play(main, answer_seconds=8.0)


def test_one_checkpoint_is_written_at_a_time_however_slow_the_disk(play: Play) -> None:
    async def main(world: World) -> None:
        scene = Scene(world)
        scene.books.checkpoint_seconds = 7.0
        assert (await scene.run()).complete
        assert scene.books.checkpoints > 3
        assert scene.books.rows_at_checkpoint == 40

    play(main, answer_seconds=8.0)


# --- workers that die ----------------------------------------------------------------------------


def test_a_killed_worker_is_replaced_and_what_it_left_is_asked_again(play: Play) -> None:
    async def main(world: World) -> None:
        scene = Scene(world, 200)
        running = asyncio.ensure_future(scene.run())
        await world.until(lambda: len(scene.books.done) > 20)
        world.workers[0].die(-signal.SIGKILL)
        assert (await running).complete
        assert scene.books.succeeded == 200
        (replaced,) = scene.told(events.WorkerReplaced)
        assert replaced.cause == "killed by SIGKILL"
        assert len(world.workers) == 3
        assert world.workers[2].seat == world.workers[0].seat
        assert sum(world.served.values()) - 200 <= replaced.rows_leased_again
        assert scene.observer.state.worker_restarts == 1

    play(main)


def test_a_dead_workers_counts_are_kept_and_its_seat_is_filled_empty(play: Play) -> None:
    """A row that the dead one had started would be blamed for what the next one does."""

    async def main(world: World) -> None:
        scene = Scene(world, 200)
        running = asyncio.ensure_future(scene.run())
        await world.until(lambda: len(scene.books.done) > 20)
        dead = world.workers[0]
        dead.slab.add(C.THROTTLES, 5)
        dead.die(-signal.SIGKILL)
        assert started_rows(dead.slab)
        await world.until(lambda: len(world.workers) == 3)
        assert not any(world.workers[2].slab.counters())
        assert scene.observer.tally.totals()[C.THROTTLES] == 5
        await running

    play(main)


def test_what_a_dead_worker_had_written_and_not_told_is_not_asked_again(play: Play) -> None:
    async def main(world: World) -> None:
        scene = Scene(world, 200)
        running = asyncio.ensure_future(scene.run())
        await world.until(lambda: len(world.durable) > len(scene.books.done) + 5)
        for worker in world.alive:
            worker.die(-signal.SIGKILL)
        assert (await running).complete
        assert world.duplicates == 0

    play(main)


def test_a_worker_that_lives_on_without_its_socket_is_ended_before_its_segments_are_read(
    play: Play,
) -> None:
    """Else it would go on writing what is asked for elsewhere by then."""

    async def main(world: World) -> None:
        scene = Scene(world, 200)
        running = asyncio.ensure_future(scene.run())
        await world.until(lambda: len(world.durable) > len(scene.books.done) + 5)
        world.workers[0].cut_off()
        assert (await running).complete
        assert world.workers[0].status == -signal.SIGKILL
        assert world.duplicates == 0

    play(main)


def test_who_works_is_recorded_at_each_start_for_the_next_supervisor(play: Play) -> None:
    async def main(world: World) -> None:
        scene = Scene(world, 200)
        running = asyncio.ensure_future(scene.run())
        await world.until(lambda: len(scene.books.done) > 20)
        world.workers[0].die(-signal.SIGKILL)
        await running
        assert world.recorded == [[1001], [1001, 1002], [1002, 1003]]

    play(main)


def test_a_worker_that_failed_and_said_goodbye_may_have_written_what_it_did_not_tell(
    play: Play,
) -> None:
    async def main(world: World) -> None:
        scene = Scene(world, 200)
        running = asyncio.ensure_future(scene.run())
        await world.until(lambda: len(world.durable) > len(scene.books.done) + 5)
        for worker in world.alive:
            worker.tell(Failed("boom", "Traceback\n  ...\nKeyError: boom", accuses=False))
            worker.tell(Goodbye())
            worker.die(70)
        assert (await running).complete
        assert world.duplicates == 0

    play(main)


def test_workers_that_are_killed_again_and_again_end_the_run_where_no_row_is_done_in_between(
    play: Play,
) -> None:
    """A batch that adds no row, or the reading of what a dead one left, is no progress."""

    async def main(world: World) -> None:
        scene = Scene(world, 1, workers=1, slots=1)
        running = asyncio.ensure_future(scene.run())
        for _ in range(FRUITLESS_KILLS):
            await world.until(lambda: bool(world.serving))
            (worker,) = world.alive
            worker.tell(Committed([written_of(worker.number, 0, [])]))
            worker.die(-signal.SIGKILL)
        stopped = await running
        assert stopped.exit_code == EXIT_INTERNAL
        assert "row 0" in stopped.message

    play(main)


def test_a_row_that_is_done_between_two_kills_is_progress(play: Play) -> None:
    async def main(world: World) -> None:
        scene = Scene(world, 2 * FRUITLESS_KILLS, workers=1, slots=1)
        running = asyncio.ensure_future(scene.run())
        for kills in range(FRUITLESS_KILLS + 3):
            await world.until(lambda kills=kills: len(scene.books.done) > kills)
            await world.until(lambda: bool(world.serving))
            (worker,) = world.alive
            worker.die(-signal.SIGKILL)
        assert (await running).complete

    play(main)


def test_the_rows_that_crash_a_worker_are_found_and_all_others_are_answered(play: Play) -> None:
    async def main(world: World) -> None:
        scene = Scene(world, 120, slots=12)
        assert (await scene.run()).complete
        crashed = {row for row, name in scene.books.failed.items() if name == "worker_crash"}
        assert crashed == world.poisoned
        assert scene.books.succeeded == 117
        assert {one.message.partition(":")[0] for one in scene.told(events.Warned)} == {
            "row 7",
            "row 50",
            "row 119",
        }
        keepers = [one for one in world.workers if one.quarantine]
        assert keepers and all(one.slots == 1 for one in keepers)

    play(main, poisoned={7, 50, 119})


def test_a_worker_that_crashes_says_why_in_its_own_words(play: Play) -> None:
    async def main(world: World) -> None:
        scene = Scene(world)
        await scene.run()
        causes = {one.cause for one in scene.told(events.WorkerReplaced)}
        assert causes <= {"killed by SIGSEGV", "killed by SIGABRT", "KeyError: boom"}
        assert causes

    play(main, poisoned={3})


def test_the_quarantine_ends_without_being_called_a_replacement(play: Play) -> None:
    async def main(world: World) -> None:
        scene = Scene(world, 200)
        assert (await scene.run()).complete
        crashes = [one for one in world.workers if one.status not in (0, None)]
        assert len(scene.told(events.WorkerReplaced)) == len(crashes)

    play(main, poisoned={3})


def test_the_quarantines_worker_is_sent_away_as_soon_as_no_row_is_suspected(play: Play) -> None:
    async def main(world: World) -> None:
        scene = Scene(world, 400)
        running = asyncio.ensure_future(scene.run())
        await world.until(lambda: bool(scene.supervisor._isolation))
        await world.until(lambda: not scene.supervisor._isolation)
        began = world.loop.now_ns
        await world.until(lambda: not any(one.quarantine for one in world.alive))
        assert world.loop.now_ns - began < 1e9
        assert len(world.alive) == 2, "the others work on"
        assert (await running).complete

    play(main, poisoned={3})


def test_a_suspect_is_asked_whoever_asks_the_same(play: Play) -> None:
    """What asks the same may be the suspect itself, in the worker that it ended."""

    async def main(world: World) -> None:
        scene = Scene(world, 40, dedupe=True)
        world.poisoned = {7}
        assert (await scene.run()).complete
        asked = {one.setup.dedupe for one in world.workers if one.setup and one.quarantine}
        others = {one.setup.dedupe for one in world.workers if one.setup and not one.quarantine}
        assert (asked, others) == ({False}, {True})

    play(main)


def test_a_quarantine_worker_that_is_killed_from_outside_accuses_nobody(play: Play) -> None:
    async def main(world: World) -> None:
        scene = Scene(world, 40, slots=12)
        running = asyncio.ensure_future(scene.run())
        world.answer_seconds = 1.0
        for _ in range(5):
            await world.until(lambda: any(one.quarantine and one.ready for one in world.alive))
            for worker in world.alive:
                if worker.quarantine:
                    worker.die(-signal.SIGKILL)
            await asyncio.sleep(0.05)
        assert (await running).complete
        assert set(scene.books.failed) == {11}

    play(main, poisoned={11})


def test_a_quarantine_worker_that_never_gets_ready_ends_the_run_as_a_crash_loop(
    play: Play,
) -> None:
    async def main(world: World) -> None:
        scene = Scene(world)
        running = asyncio.ensure_future(scene.run())
        await world.until(lambda: bool(scene.supervisor._isolation))
        world.early_deaths = 100
        stopped = await running
        assert stopped.exit_code == EXIT_INTERNAL
        assert scene.books.failed == {}

    play(main, poisoned={11}, answer_seconds=20.0)


def test_a_quarantine_worker_that_crashes_before_it_is_ready_accuses_no_row(play: Play) -> None:
    async def main(world: World) -> None:
        scene = Scene(world, rows=1)
        running = asyncio.ensure_future(scene.run())
        await world.until(lambda: bool(scene.supervisor._isolation))
        world.poisoned.clear()
        world.early_deaths, world.early_status = 2, -signal.SIGSEGV
        assert (await running).complete
        assert world.early_deaths == 0
        assert scene.books.failed == {}

    play(main, poisoned={0}, answer_seconds=5.0, early_quarantine=True)


def test_rows_are_not_given_to_a_quarantine_worker_that_is_being_buried(play: Play) -> None:
    async def main(world: World) -> None:
        scene = Scene(world)
        supervisor, keeper = scene.supervisor, FakeWorker(world, 1, 2, 1, slab(), True)
        keeper.ready = keeper.gone = True
        supervisor._crew._workers[1] = keeper  # type: ignore[assignment]
        suspect = Grant(1, 1, shards(8, 8)[0], [(0, 8)])
        isolation = supervisor._isolation
        isolation.accuse([suspect], [3], "killed by SIGSEGV")
        await isolation.tend()
        assert isolation._quarantine.current is None, "its end would be blamed on this row"
        assert keeper.leases == []

    play(main)


def test_a_worker_that_starts_after_the_inputs_end_is_told_of_it(play: Play) -> None:
    async def main(world: World) -> None:
        scene = Scene(world)
        running = asyncio.ensure_future(scene.run())
        await world.until(lambda: {one.told_exhausted for one in world.workers} == {True})
        world.workers[0].die(-signal.SIGKILL)
        assert (await running).complete
        assert len(world.workers) == 3
        assert world.workers[2].told_exhausted

    play(main, answer_seconds=5.0)


def test_a_worker_that_starts_later_knows_what_was_asked_and_which_turn_it_is(play: Play) -> None:
    """Else it would ask, in its first life, for what is answered already."""

    async def main(world: World) -> None:
        scene = Scene(world, 200)
        running = asyncio.ensure_future(scene.run())
        await world.until(lambda: len(scene.books.done) > 20)
        shelf = Shelf("own.index", ["one.arrow"], "duplicate", 3)
        scene.supervisor._crew.know(shelf)
        world.workers[0].die(-signal.SIGKILL)
        assert (await running).complete
        setup = world.workers[2].setup
        assert setup is not None
        assert (setup.shelves, setup.turn) == ((shelf,), 1)

    play(main)


def test_workers_that_die_before_they_are_ready_end_the_run_with_their_last_words(
    play: Play,
) -> None:
    async def main(world: World) -> None:
        scene = Scene(world)
        stopped = await scene.run(60)
        assert stopped.exit_code == EXIT_INTERNAL
        assert "ImportError: its last words" in stopped.message
        assert len(world.workers) <= 5
        assert world.served == {}

    play(main, early_deaths=1000)


def test_a_few_early_deaths_are_no_crash_loop(play: Play) -> None:
    async def main(world: World) -> None:
        assert (await Scene(world).run()).complete

    play(main, early_deaths=2)


def test_a_process_that_the_system_does_not_give_ends_the_run_and_leaves_none(play: Play) -> None:
    async def main(world: World) -> None:
        scene = Scene(world, workers=3)
        stopped = await scene.run(60)
        assert stopped.exit_code == EXIT_INTERNAL
        assert "can't be started" in stopped.message

    play(main, unspawnable=1)


# --- workers that hang ---------------------------------------------------------------------------


def test_a_hung_worker_is_killed_replaced_and_accuses_no_row(play: Play) -> None:
    async def main(world: World) -> None:
        scene = Scene(world, 100)
        running = asyncio.ensure_future(scene.run())
        await world.until(lambda: bool(world.served))
        world.workers[1].hung = True
        assert (await running).complete
        (replaced,) = scene.told(events.WorkerReplaced)
        assert replaced.cause == "gave no heartbeat for 30 s"
        assert scene.told(events.RowQuarantined) == []
        assert scene.books.succeeded == 100
        assert world.loop.now_ns > HUNG_NS

    play(main)


@pytest.mark.parametrize("also_told", [False, True])
def test_when_the_whole_machine_was_suspended_no_worker_is_taken_for_hung(
    play: Play, also_told: bool
) -> None:
    async def main(world: World) -> None:
        world.answer_seconds = 5.0
        scene = Scene(world, 60)
        running = asyncio.ensure_future(scene.run(10_000))
        await world.until(lambda: len(world.served) > 5)
        for _ in range(10):
            world.loop.now_ns += 600_000_000_000
            if also_told:  # a message that came before the suspension is read first after it
                scene.supervisor._changed.set()
            await asyncio.sleep(1.0)
        assert (await running).complete
        assert scene.told(events.WorkerReplaced) == []

    play(main)


def test_a_slow_disk_under_the_checkpoint_hides_no_hung_worker(play: Play) -> None:
    async def main(world: World) -> None:
        scene = Scene(world, 60)

        async def slow() -> None:
            await asyncio.sleep(4.0)

        scene.books.checkpoint = slow  # type: ignore[method-assign]
        running = asyncio.ensure_future(scene.run(300))
        await world.until(lambda: bool(world.served))
        world.workers[1].hung = True
        assert (await running).complete
        assert len(scene.told(events.WorkerReplaced)) == 1

    play(main)


# --- a run that is stopped -----------------------------------------------------------------------


def test_the_first_signal_drains_and_what_is_in_flight_is_kept(play: Play) -> None:
    async def main(world: World) -> None:
        world.answer_seconds = 5.0
        scene = Scene(world, 200, grace="60s")
        running = asyncio.ensure_future(scene.run())
        await world.until(lambda: len(world.serving) == 6)
        await asyncio.sleep(2)
        flying = set(world.serving)
        began = world.loop.now_ns
        scene.supervisor.interrupt(signal.SIGINT)
        stopped = await running
        assert stopped.exit_code == 130
        assert flying <= set(scene.books.done)
        assert world.loop.now_ns - began < 15e9
        (draining,) = scene.told(events.Draining)
        assert draining.grace_seconds == 60
        assert scene.observer.state.phase == "draining"
        assert scene.books.checkpoints >= 1

    play(main)


def test_the_second_signal_cuts(play: Play) -> None:
    async def main(world: World) -> None:
        world.answer_seconds = 500.0
        scene = Scene(world, 200, grace="1h")
        running = asyncio.ensure_future(scene.run())
        await world.until(lambda: len(world.serving) == 6)
        scene.supervisor.interrupt(signal.SIGTERM)
        await asyncio.sleep(20)
        assert not running.done()
        began = world.loop.now_ns
        scene.supervisor.interrupt(signal.SIGTERM)
        assert (await running).exit_code == 143
        assert world.loop.now_ns - began < 4e9

    play(main)


def test_what_the_grace_does_not_suffice_for_is_cut_and_a_hung_worker_is_killed(
    play: Play,
) -> None:
    async def main(world: World) -> None:
        world.answer_seconds = 500.0
        scene = Scene(world, 200, grace="5s")
        running = asyncio.ensure_future(scene.run())
        await world.until(lambda: len(world.serving) == 6)
        world.workers[0].hung = True
        began = world.loop.now_ns
        scene.supervisor.interrupt(signal.SIGINT)
        assert (await running).exit_code == 130
        assert 5e9 < world.loop.now_ns - began < 10e9
        assert [one.status for one in world.workers] == [-signal.SIGKILL, 0]

    play(main)


@pytest.mark.parametrize("after_seconds", [0.0, 0.001, 0.05, 0.15, 0.21])
def test_a_signal_while_workers_start_ends_them_at_once(play: Play, after_seconds: float) -> None:
    async def main(world: World) -> None:
        scene = Scene(world, workers=4, grace="1h")
        running = asyncio.ensure_future(scene.run())
        await asyncio.sleep(after_seconds)
        began = world.loop.now_ns
        scene.supervisor.interrupt(signal.SIGINT)
        assert (await running).exit_code == 130
        assert world.loop.now_ns - began < 5e9

    play(main)


def test_a_worker_that_dies_while_draining_is_buried_and_not_replaced(play: Play) -> None:
    async def main(world: World) -> None:
        world.answer_seconds = 5.0
        scene = Scene(world, 200)
        running = asyncio.ensure_future(scene.run())
        await world.until(lambda: len(world.durable) > 10)
        scene.supervisor.interrupt(signal.SIGINT)
        await asyncio.sleep(0.1)
        world.workers[0].die(-signal.SIGSEGV)
        assert (await running).exit_code == 130
        assert set(world.durable) == set(scene.books.done)
        assert len(world.workers) == 2

    play(main)


def test_a_fatal_verdict_stops_the_run_with_rows_pending(play: Play) -> None:
    async def main(world: World) -> None:
        scene = Scene(world, 200)
        stopped = await scene.run()
        assert stopped.exit_code == EXIT_PROVIDER
        assert 20 not in scene.books.done
        assert scene.books.failed == {}

    play(main, fatal_row=20)


def test_too_many_dead_letters_stop_the_run(play: Play) -> None:
    async def main(world: World) -> None:
        scene = Scene(world, 1000, stop_failed="10%")
        stopped = await scene.run()
        assert stopped.exit_code == EXIT_LIMIT
        assert 100 <= len(scene.books.done) < 400
        assert set(scene.books.failures) == {DEAD_LETTER}

    play(main, failing=set(range(0, 1000, 2)))


def test_dead_letters_that_come_last_stop_nothing(play: Play) -> None:
    """Where every row has ended there is an output to be written, and nothing to be saved."""

    async def main(world: World) -> None:
        scene = Scene(world, 200, stop_failed="10%")
        stopped = await scene.run()
        assert stopped.exit_code == EXIT_COMPLETE, stopped
        assert len(scene.books.done) == 200

    play(main, failing=set(range(179, 200)))


# --- what is not as it should be -----------------------------------------------------------------


def test_an_input_that_fails_stops_the_run_and_keeps_what_was_answered(play: Play) -> None:
    def failing() -> Iterator[Shard]:
        yield from shards(200, 8)[:20]
        raise InputError("in.jsonl: is gone", "Bring it back.")

    async def main(world: World) -> None:
        scene = Scene(world, source=failing())
        stopped = await scene.run()
        assert (stopped.exit_code, stopped.message) == (EXIT_USAGE, "in.jsonl: is gone")
        assert set(scene.books.done) == set(world.durable)

    play(main)


def test_a_bug_in_reading_ends_the_run_instead_of_leaving_it_waiting(play: Play) -> None:
    def broken() -> Iterator[Shard]:
        yield from shards(40, 8)
        raise ZeroDivisionError

    async def main(world: World) -> None:
        scene = Scene(world, source=broken())
        with pytest.raises(ZeroDivisionError):
            await scene.run(60)
        assert world.alive == []

    play(main)


def test_a_disk_that_fails_under_a_worker_stops_the_run_at_once(play: Play) -> None:
    async def main(world: World) -> None:
        scene = Scene(world, 200, grace="60s")
        running = asyncio.ensure_future(scene.run(60))
        await world.until(lambda: len(world.durable) > 10)
        world.workers[0].tell(Failed("can't fsync it", "Traceback", accuses=False, disk=True))
        world.workers[0].die(70)
        stopped = await running
        assert (stopped.exit_code, stopped.message) == (EXIT_INTERNAL, "can't fsync it")
        assert world.workers[1].graces == [0.0]

    play(main)


def test_the_first_reason_to_stop_counts(play: Play) -> None:
    async def main(world: World) -> None:
        scene = Scene(world, 200)
        running = asyncio.ensure_future(scene.run())
        await world.until(lambda: len(world.durable) > 10)
        scene.supervisor.interrupt(signal.SIGTERM)
        world.workers[0].tell(Fatal("auth", "bad key", 401))
        assert (await running).exit_code == 128 + signal.SIGTERM
        assert len(scene.told(events.Draining)) == 1

    play(main)


def test_a_disk_that_fails_while_a_dead_workers_segments_are_read_stops_the_run(play: Play) -> None:
    async def main(world: World) -> None:
        scene = Scene(world, 200)
        scene.books.untold_error = LedgerError("can't fsync it")
        running = asyncio.ensure_future(scene.run(60))
        await world.until(lambda: len(world.durable) > 10)
        world.workers[0].die(-signal.SIGKILL)
        stopped = await running
        assert (stopped.exit_code, stopped.message) == (EXIT_INTERNAL, "can't fsync it")

    play(main)


def test_a_checkpoint_that_can_not_be_written_stops_the_run(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(world: World) -> None:
        scene = Scene(world, 200)

        async def checkpoint() -> None:
            raise LedgerError("no space left")

        monkeypatch.setattr(scene.books, "checkpoint", checkpoint)
        stopped = await scene.run(60)
        assert (stopped.exit_code, stopped.message) == (EXIT_INTERNAL, "no space left")

    play(main, answer_seconds=5.0)


def test_a_bug_in_a_burial_ends_the_run_instead_of_leaving_it_waiting(play: Play) -> None:
    async def main(world: World) -> None:
        scene = Scene(world, 200)
        scene.books.untold_error = ZeroDivisionError()
        running = asyncio.ensure_future(scene.run(60))
        await world.until(lambda: len(world.durable) > 10)
        world.workers[0].die(-signal.SIGKILL)
        with pytest.raises(ZeroDivisionError):
            await running
        assert world.alive == []

    play(main)


def test_the_run_is_not_over_while_rows_are_left_for_another_turn(play: Play) -> None:
    async def main(world: World) -> None:
        scene = Scene(world)
        assert (await scene.run()).complete
        leasing = scene.supervisor._leasing
        assert leasing.done
        leasing.table.deferred.add(3)
        assert not leasing.done

    play(main)


def test_the_run_is_not_over_while_the_last_rows_are_still_being_read(play: Play) -> None:
    async def main(world: World) -> None:
        world.loop.seconds["_read"] = 20.0
        scene = Scene(world, 100, 4)
        assert (await scene.run()).complete
        assert scene.books.succeeded == 100

    play(main)


@pytest.mark.parametrize("seed", range(24))
def test_whatever_happens_to_workers_every_row_ends_once(play: Play, seed: int) -> None:
    async def main(world: World) -> None:
        dice = world.dice
        rows = dice.randrange(1, 150)
        world.poisoned = {row for row in range(rows) if dice.random() < 0.03}
        world.failing = {row for row in range(rows) if dice.random() < 0.1} - world.poisoned
        world.kill_chance = dice.choice([0.0, 0.005, 0.02])
        world.hang_chance = dice.choice([0.0, 0.002])
        world.answer_seconds = dice.choice([0.01, 0.2, 1.0])
        world.loop.seconds["_read"] = dice.choice([0.0, 0.3])
        scene = Scene(
            world,
            rows,
            each=dice.randrange(1, 20),
            workers=dice.randrange(1, 5),
            slots=dice.randrange(5, 20),
            stop_failed="100%",
        )
        stopped = await scene.run(36_000)
        assert stopped.complete, stopped
        crashed = {row for row, name in scene.books.failed.items() if name == "worker_crash"}
        assert crashed == world.poisoned
        assert scene.books.done == RowSet([(0, rows)])
        assert set(scene.books.failed) == world.poisoned | world.failing
        assert world.duplicates == 0

    play(main, seed)


@pytest.mark.parametrize("seed", range(10))
def test_whenever_a_run_is_interrupted_it_ends_in_time_and_keeps_what_was_written(
    play: Play, seed: int
) -> None:
    async def main(world: World) -> None:
        dice = world.dice
        world.kill_chance, world.hang_chance = 0.01, 0.005
        world.poisoned = {row for row in range(100) if dice.random() < 0.05}
        scene = Scene(world, 100, workers=3, slots=9, grace="2s")
        running = asyncio.ensure_future(scene.run())
        await asyncio.sleep(dice.random() * 5)
        began = world.loop.now_ns
        scene.supervisor.interrupt(signal.SIGINT)
        stopped = await running
        assert stopped.exit_code == 130 or stopped.complete
        assert world.loop.now_ns - began < 10e9
        assert set(scene.books.done) == set(world.durable)

    play(main, seed)
