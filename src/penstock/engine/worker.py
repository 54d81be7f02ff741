"""A worker process: `python -P -m penstock.engine.worker SOCKET REGION PARENT TIED`.

It inherits one end of a socket pair and the shared region, learns all else from the first message,
and lives until it is told to drain or the socket ends. Its heartbeat comes from the event loop
itself, since a thread would stay green while the loop is stuck.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
import traceback
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from penstock._core import PAUSED, REQUESTS, Limiter, monotonic_ns
from penstock.disk import Disk
from penstock.endpoints import dialect_of
from penstock.engine import credentials, descriptors
from penstock.engine.asker import Asker
from penstock.engine.attempt import Attempt
from penstock.engine.busy import busy_ns
from penstock.engine.channel import Channel
from penstock.engine.committer import Committer
from penstock.engine.death import follow_parent, ignore_terminal
from penstock.engine.decoding import records_of_lease
from penstock.engine.ending import Ending
from penstock.engine.grouping import Most, most_of
from penstock.engine.judge import judge_of
from penstock.engine.lane import Lane
from penstock.engine.leases import count
from penstock.engine.limiter_file import limiter_at
from penstock.engine.limits import buckets_of
from penstock.engine.messages import (
    Committed,
    Cut,
    Deferred,
    Drain,
    EndpointSetup,
    Exhausted,
    Failed,
    Failing,
    Fatal,
    FromSupervisor,
    Goodbye,
    Grant,
    Hello,
    Know,
    Lease,
    Named,
    NewKey,
    Out,
    Price,
    Setup,
    Want,
)
from penstock.engine.pacer import Pacer
from penstock.engine.purse import Purse
from penstock.engine.rates import pusd
from penstock.engine.region import Region
from penstock.engine.secret import Secret
from penstock.engine.unbought import Unbought
from penstock.engine.work import Work
from penstock.errors import JobError, LedgerError
from penstock.job import Job
from penstock.ledger.mark import ShardMark
from penstock.ledger.segment import SegmentWriter
from penstock.ledger.written import Written
from penstock.observe.bottleneck import SATURATED, Hold, slot_time
from penstock.observe.redactor import Redactor
from penstock.observe.slab_layout import C, H
from penstock.providers.provider import provider_for
from penstock.providers.rate_headers import RateLimit
from penstock.sources.attachments import attacher
from penstock.transport.choice import transport_for

BEAT_SECONDS = 0.05
PACE_NS = 250_000_000
LOOK_NS = 1_000_000_000  # between looks at the limits that an answer's headers name
ORPHAN_SECONDS = 1.5  # after the supervisor's end, to commit; then exit whatever is left
BEGUN = (C.REQUESTS_SENT, C.RECORDS_SUCCEEDED, C.RECORDS_FAILED)
COLLECTED_EVERY = 3_000  # objects that may be parts of cycles, of which hardly any is
CRASHED = 70  # the exit status after an exception that nothing handled (sysexits.h: EX_SOFTWARE)


class Worker:
    """One worker process, from its first message to its last."""

    def __init__(self, region_descriptor: int) -> None:
        self._region_descriptor = region_descriptor
        self._loop = asyncio.get_running_loop()
        self._channel: Channel[FromSupervisor] = Channel(FromSupervisor, self._received, self._lost)
        self._setup: asyncio.Future[Setup] = self._loop.create_future()
        self._ending = asyncio.Event()  # drain, cut, or the supervisor's end
        self._failure: BaseException | None = None
        self._grace_seconds = 0.0
        self._hidden: list[str] = []
        self._redactor = Redactor(())
        self._slots: list[asyncio.Task[None]] = []
        self._paced_ns = self._looked_ns = self._ended = 0
        self._exhausted = False
        self._leased = False  # whether anything ever was
        self._begun = False  # whether anything was sent, ended, or held back
        self._promised = 0  # rows asked for that have not come
        self._unbought: Unbought | None = None
        self._hello = False
        self._newer: Know | None = None

    async def live(self, ours: socket.socket) -> int:
        """Serve until the end; returns the process's exit status."""
        await self._loop.create_connection(lambda: self._channel, sock=ours)
        self._open(await self._setup)
        self._hello = True
        if self._newer is not None:
            self._know(self._newer)
        self._channel.send(Hello(os.getpid()))
        self._ask_for_more()  # now: rows go to those who have asked, and others may have already
        beat = self._loop.create_task(self._guarded(self._beat))
        self._start_slots()
        await self._ending.wait()
        beat.cancel()
        await self._close()
        return CRASHED if self._failure else 0

    # --- starting ---------------------------------------------------------------------------------

    def _open(self, setup: Setup) -> None:
        job = setup.job
        self._job = job
        self._most_slots = setup.slots
        self._seat = setup.seat
        region = Region(setup.layout, self._region_descriptor)
        self._grants = region.grants()
        self._meters = [region.meter(setup.seat, index) for index in range(len(setup.endpoints))]
        self._slab = region.slab(setup.seat)
        self._id_column = setup.id_column
        descriptors.allow(descriptors.needed_by_worker(setup.slots))
        self._transport = transport_for(job.timeout, ca_file=job.ca_file, proxy=job.proxy)
        self._purse = self._make_purse(setup)
        self._endpoints = setup.endpoints
        self._lanes = [
            self._make_lane(index, endpoint, limiter_of(region, index, endpoint))
            for index, endpoint in enumerate(setup.endpoints)
        ]
        self._key_numbers = [endpoint.key_number for endpoint in setup.endpoints]
        self._keys = [
            Secret(endpoint.key) if endpoint.key is not None else None
            for endpoint in setup.endpoints
        ]
        for lane in self._lanes:
            self._use_key(lane)
        self._take_places(monotonic_ns())
        writer = SegmentWriter(
            Disk(),
            Path(setup.run_directory) / "segments",
            setup.run_id,
            setup.epoch,
            setup.worker,
        )
        self._committer = Committer(writer, self._committed, self._fail)
        self._endings = ending_of(job)(
            self._committer,
            self._slab,
            [lane.name for lane in self._lanes],
            setup.generation,
            setup.keep_response,
        )
        self._unbought = unbought_of(setup, region)
        self._work = work_of(len(self._lanes), job, most_of(job))(
            slots=self._places,
            max_attempts=job.max_attempts,
            max_output_retries=job.max_output_retries,
            judge=judge_of(job),
            attach=attacher(job),
            budget_share=1 / setup.workers,
            lanes=self._lanes,
            slab=self._slab,
            ending=self._endings,
            on_fatal=self._fatal,
            on_taken=self._ask_for_more,
            on_down=lambda lane, cause: self._channel.send(Failing(cause, lane.index)),
            refresh_key=self._refresh_key,
            unbought=self._unbought,
        )
        self._queue_target = self._rows_in_slots

    def _make_purse(self, setup: Setup) -> Purse | None:
        """The worker's money; None where nothing has a price."""
        prices = setup.prices
        if prices is None:
            return None
        return Purse(
            self._slab,
            setup.endpoints[0].job.model,
            prices.rates,
            prices.usual,
            slots=setup.slots,
            budgeted=prices.budgeted,
            say=self._channel.send,
        )

    def _make_lane(self, index: int, endpoint: EndpointSetup, limiter: Limiter) -> Lane:
        job, first = endpoint.job, self._endpoints[0].job
        provider, pacer = provider_for(job), Pacer(limiter)
        asker = asker_of(job)(
            provider, self._transport, pacer, self._slab, job.base_url, self._purse
        )
        asker.on_limits = partial(self._named_limits, index)
        return Lane(
            index,
            endpoint.name,
            provider,
            asker,
            limiter,
            buckets_of(job, 1),
            endpoint.places,
            weight=endpoint.weight,
            dialect=dialect_of(job),
            of_first=None if dialect_of(job) == dialect_of(first) else provider_for(first),
            out=endpoint.out,
        )

    def _take_places(self, now_ns: int) -> None:
        """Learn how many requests may be in flight at each endpoint now."""
        for lane in self._lanes:
            lane.grant(self._grants.get(self._seat, lane.index), now_ns)
        self._places = max(1, min(self._most_slots, sum(lane.places for lane in self._lanes)))
        self._slab.set(C.SLOTS, self._places)

    @property
    def _rows_in_slots(self) -> int:
        """How many rows all slots have, where each has as many as it may."""
        return self._places * self._work.rows_at_once

    def _start_slots(self) -> None:
        """Have a slot for each place; one that there is no place for any more just waits."""
        self._work.slots = self._places
        for slot in range(len(self._slots), self._places):
            self._slots.append(self._loop.create_task(self._guarded(self._work.run_slot, slot)))

    def _named_limits(self, endpoint: int, told: Sequence[RateLimit]) -> None:
        """An endpoint names its limits."""
        named = [one.limit for one in told if one.counted in ("tokens", "input_tokens")]
        lane = self._lanes[endpoint]
        lane.token_limit = min(filter(None, (lane.token_limit, *named)), default=0)
        self._channel.send(Named(list(told), endpoint))

    def _use_key(self, lane: Lane) -> None:
        endpoint, key = self._endpoints[lane.index], self._keys[lane.index]
        headers = {**lane.provider.headers(key.reveal() if key else None), **endpoint.headers}
        # Former keys too: an answer to a request that was sent with one may still come.
        self._hidden += credentials.secrets_of(key, endpoint.job, endpoint.headers)
        self._redactor = Redactor(self._hidden)
        lane.asker.use_headers(headers, self._redactor)
        for other in self._lanes:
            other.asker.hide(self._redactor)

    def _refresh_key(self, lane: Lane, refused: Attempt) -> bool:
        """Look for another key than the refused one; True where there is one, or may be soon.

        A key file is read again here. A command is the supervisor's to run: until it has said what
        comes of it, nothing is sent there.
        """
        job = self._endpoints[lane.index].job
        file = job.api_key_file
        if not file and not (job.api_key_command and refused.verdict.error_class == "auth"):
            return False
        if refused.key_number < lane.asker.key_number:
            return True
        if not file:
            if not lane.asker.pacer.held:
                lane.asker.pacer.hold()
                self._tell_fatal(lane, refused)
            return True
        try:
            fresh = credentials.read_key_file(Path(file))
        except JobError:
            return False
        if fresh == self._keys[lane.index]:
            return False
        self._keys[lane.index] = fresh
        self._use_key(lane)
        return True

    # --- from the supervisor ----------------------------------------------------------------------

    def _received(self, message: FromSupervisor, payload: bytes) -> None:
        match message:
            case Setup():
                self._setup.set_result(message)
            case Lease():
                self._take(message, payload)
            case Know():
                self._exhausted = False  # a turn begins, with rows of its own
                self._know(message)
            case Exhausted():
                self._exhausted = True
            case Price():
                if self._purse is not None:
                    self._purse.learned(message.model, message.rates)
            case Grant():
                if self._purse is not None:
                    self._purse.funded(message.amount)
            case NewKey():
                self._take_key(message)
            case Out():
                self._lanes[message.endpoint].out = True
                self._lanes[message.endpoint].asker.pacer.release()
                self._work.dispatch()
            case Drain():
                self._grace_seconds = message.grace_seconds
                self._ending.set()
            case Cut():
                self._grace_seconds = 0.0
                self._ending.set()
                for task in self._slots:
                    task.cancel()

    def _know(self, message: Know) -> None:
        """Look things up on another shelf from now on."""
        if not self._hello:
            self._newer = message  # told while this worker was being set up
        elif self._unbought is not None:
            self._unbought.know(message.shelf, message.turn)

    def _lost(self) -> None:
        """The supervisor is gone: commit, and be gone within 2 s."""
        if not self._setup.done():
            os._exit(0)
        self._loop.call_later(ORPHAN_SECONDS, os._exit, 0)
        self._grace_seconds = 0.0
        self._ending.set()

    def _take_key(self, message: NewKey) -> None:
        """The supervisor has another key for an endpoint."""
        lane = self._lanes[message.endpoint]
        self._keys[message.endpoint] = Secret(message.key)
        self._key_numbers[message.endpoint] = message.number
        self._use_key(lane)
        lane.asker.pacer.release()
        self._work.dispatch()

    def _take(self, lease: Lease, payload: bytes) -> None:
        shard = ShardMark(lease.first_row, lease.rows, lease.checksum)
        self._promised -= count(lease.wanted)
        self._leased = True
        if lease.condemned is not None:
            for record in records_of_lease(lease, payload, self._id_column):
                self._endings.unasked(record, shard, "worker_crash", lease.condemned)
            return
        self._work.add(records_of_lease(lease, payload, self._id_column), shard)
        self._ask_for_more()

    def _ask_for_more(self) -> None:
        """Give the supervisor credit for what this worker can take.

        Not for a row or two: at full speed that was a message for nearly every record.
        """
        target = self._rows_in_slots + self._queue_target
        least = max(1, target // 4)
        missing = target - self._work.taken_up - self._promised
        if self._work.room and missing >= least:
            self._promised += missing
            self._channel.send(Want(missing))
        self._work.enough = target - self._promised - least + 1

    # --- to the supervisor ------------------------------------------------------------------------

    def _committed(self, written: list[Written]) -> None:
        if written:
            self._channel.send(Committed(written))
            if cost_usd := sum(one.spent.cost_usd for one in written):
                self._slab.add(C.UNTOLD_PUSD, -pusd(cost_usd))

    def _fatal(self, lane: Lane, attempt: Attempt) -> None:
        """An endpoint refuses for good; where it is the last one, nothing more is started."""
        if all(other.out for other in self._lanes if other is not lane):
            self._start_nothing_more()
        self._tell_fatal(lane, attempt)

    def _tell_fatal(self, lane: Lane, attempt: Attempt) -> None:
        message = attempt.refusal.message if attempt.refusal else ""
        error_class, number = attempt.verdict.error_class, self._key_numbers[lane.index]
        self._channel.send(Fatal(error_class, message, attempt.status, lane.index, number))

    def _start_nothing_more(self) -> None:
        self._work.drain()
        for lane in self._lanes:
            lane.asker.pacer.stop()
        if self._purse is not None:
            self._purse.stop()

    def _fail(self, error: BaseException) -> None:
        """Nothing goes on after this: say why, and end."""
        if self._failure is not None:
            return
        self._failure = error
        disk = isinstance(error, LedgerError | OSError)
        text = self._redactor.text("".join(traceback.format_exception(error)))
        reason = error.what if isinstance(error, LedgerError) else self._redactor.text(str(error))
        self._channel.send(Failed(reason, text, accuses=not disk, disk=disk))
        self._ending.set()

    def _tell_deferred(self) -> None:
        if self._unbought is not None and (rows := self._unbought.take_deferred()):
            self._channel.send(Deferred(rows))

    # --- living -----------------------------------------------------------------------------------

    async def _guarded(
        self, task: Callable[..., Coroutine[Any, Any, None]], *arguments: int
    ) -> None:
        try:
            await task(*arguments)
        except Exception as error:
            self._fail(error)

    async def _beat(self) -> None:
        """Say that the loop is alive, account for slot time, and see to whatever waits for time."""
        due_ns = last_ns = monotonic_ns()
        ran_ns = busy_ns()
        while True:
            due_ns += int(BEAT_SECONDS * 1e9)
            await asyncio.sleep(max(0.0, (due_ns - monotonic_ns()) / 1e9))
            now_ns = monotonic_ns()
            self._slab.record(H.LOOP_LAG_NS, max(0, now_ns - due_ns))
            if now_ns - due_ns > 1e9:  # stopped or starved: don't hurry after lost beats
                due_ns = now_ns
            self._account(now_ns - last_ns, busy_ns() - ran_ns)
            self._take_places(now_ns)
            self._start_slots()
            last_ns, ran_ns = now_ns, busy_ns()
            self._slab.set(C.HEARTBEAT_NS, now_ns)
            self._pace(now_ns)
            self._tell_deferred()
            self._committer.tick(now_ns, idle=self._work.held == 0)
            self._work.exhausted = self._exhausted
            if self._purse is not None and not self._work.held:
                self._purse.rest()
            self._work.dispatch()
            self._ask_for_more()

    def _pace(self, now_ns: int) -> None:
        """Queue as much as a quarter of a second takes, and at least a record for each slot."""
        if now_ns - self._paced_ns < PACE_NS:
            return
        ended = self._slab.get(C.RECORDS_SUCCEEDED) + self._slab.get(C.RECORDS_FAILED)
        self._queue_target = max(self._rows_in_slots, ended - self._ended)
        self._paced_ns, self._ended = now_ns, ended
        if now_ns - self._looked_ns >= LOOK_NS:
            self._looked_ns = now_ns
            for lane in self._lanes:
                lane.asker.looks_at_limits = True

    def _account(self, elapsed_ns: int, ran_ns: int) -> None:
        work, slab, hold = self._work, self._slab, self._hold()
        in_flight = sum(lane.asker.traffic.in_flight for lane in self._lanes)
        spent = slot_time(
            elapsed_ns,
            slots=self._places,
            in_flight=min(in_flight, self._places),
            queued=work.startable,
            hold=hold,
            loop_busy_ns=ran_ns,
            drained=self._exhausted and not work.queued,
        )
        wants = work.startable > 0 and ran_ns < SATURATED * elapsed_ns
        for lane, meter in zip(self._lanes, self._meters, strict=True):
            lane.write_meter(meter, elapsed_ns, wants=wants)
        # What is made ready before the first request says nothing of what limits a run.
        self._begun = self._begun or hold is not None or any(slab.get(cell) for cell in BEGUN)
        if self._leased and self._begun:
            for cell, ns in spent.items():
                slab.add(cell, ns)
        slab.set(C.IN_FLIGHT, in_flight)
        slab.set(C.QUEUED, work.queued)
        slab.set(C.RETRY_WAITING, work.retry_waiting)
        slab.set(C.RECONNECTS, self._transport.counters.reconnects)
        slab.set(C.SOILED_CONNECTIONS, self._transport.counters.soiled)
        slab.set(C.VOIDED_TICKETS, sum(lane.asker.pacer.voided for lane in self._lanes))

    def _hold(self) -> Hold | None:
        """What keeps the head record from being sent, but for slots."""
        if self._committer.congested:
            return "disk"
        now_ns = monotonic_ns()
        shut = [not lane.open(now_ns) for lane in self._lanes]
        if all(shut):
            return "throttled"
        if self._purse is not None and self._purse.short:
            return "budget"
        fullest = max(self._lanes, key=lambda lane: lane.asker.traffic.waiting)
        if fullest.asker.traffic.waiting:
            blocking = fullest.asker.pacer.blocking
            if blocking < 0:
                return "throttled" if blocking == PAUSED else None
            return "requests" if fullest.buckets[blocking].resource == REQUESTS else "tokens"
        return None if self._work.room and not any(shut) else "throttled"

    async def _close(self) -> None:
        """Let what is in flight finish within the grace, commit all, and say goodbye."""
        self._start_nothing_more()
        if self._slots and self._grace_seconds and not self._failure:
            await asyncio.wait(self._slots, timeout=self._grace_seconds)
        for task in self._slots:
            task.cancel()
        await asyncio.gather(*self._slots, return_exceptions=True)
        for lane, meter in zip(self._lanes, self._meters, strict=True):
            lane.write_meter(meter, 0, wants=False)
        await self._transport.close()
        try:
            await self._committer.close()
        except (LedgerError, OSError) as error:
            self._fail(error)
        self._channel.send(Goodbye())
        self._channel.close()
        await asyncio.sleep(0)


def unbought_of(setup: Setup, region: Region) -> Unbought | None:
    """What need not be bought; None where the job asks for nothing of the kind."""
    if not setup.shelves and not setup.dedupe:
        return None
    claims = region.claims() if setup.dedupe else None
    return Unbought(setup.shelves, claims, setup.turn)


def work_of(lanes: int, job: Job, most: Most) -> Callable[..., Work]:
    """What makes the work of a worker with so many lanes; what few jobs use is loaded late."""
    if job.embeds:
        from penstock.engine.grouped_work import GroupedWork, RoutedGroupedWork

        if lanes == 1:
            return partial(GroupedWork, most=most)
        return partial(RoutedGroupedWork, most=most, affinity_bytes=0)
    if lanes == 1:
        return Work
    from penstock.engine.routed_work import RoutedWork

    return partial(RoutedWork, affinity_bytes=job.affinity_bytes)


def asker_of(job: Job) -> Callable[..., Asker]:
    """What makes the asker of a lane."""
    if not job.embeds:
        return Asker
    from penstock.engine.grouped_asker import GroupedAsker

    return GroupedAsker


def ending_of(job: Job) -> Callable[..., Ending]:
    """What makes the ending of a worker."""
    if not job.embeds:
        return Ending
    from penstock.engine.grouped_ending import GroupedEnding

    return GroupedEnding


def limiter_of(region: Region, index: int, endpoint: EndpointSetup) -> Limiter:
    """The buckets of an endpoint: the run's, or those of a file."""
    descriptor = endpoint.limiter_descriptor
    return region.limiter(index) if descriptor is None else limiter_at(descriptor)


def main(arguments: list[str]) -> int:
    """The process's entry: the descriptors of socket and region, the parent, whether it is tied."""
    socket_descriptor, region_descriptor, parent, tied = map(int, arguments)
    gc.freeze()  # what was imported lives for ever: the collector need not look at it again
    gc.set_threshold(COLLECTED_EVERY)
    if tied:
        follow_parent(parent)
    ignore_terminal()

    async def live() -> int:
        return await Worker(region_descriptor).live(socket.socket(fileno=socket_descriptor))

    return uvloop.run(live())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
