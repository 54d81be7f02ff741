"""The endpoints of a run as its supervisor sees them: up, down or out, and asked by which key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from penstock._core import Limiter
from penstock.engine.capacity import shares
from penstock.engine.messages import EndpointSetup, Failing, Fatal, Message, NewKey, Out
from penstock.engine.plan import Plan
from penstock.engine.retry import FAILURES_UNTIL_DOWN
from penstock.engine.secret import Secret
from penstock.engine.stopping import Stopped, fatal_verdict
from penstock.engine.worker_process import WorkerProcess
from penstock.errors import JobError
from penstock.observe import events
from penstock.observe.state import RunState

LONG_PAUSE_NS = 10_000_000_000  # one that is told of, where there are other endpoints


class RunEndpoints:
    """One for each epoch. `send` goes to every worker; `hide` is told of each new secret."""

    def __init__(
        self,
        plan: Plan,
        state: RunState,
        tell: Callable[[events.Event], None],
        *,
        send: Callable[[Message], None],
        hide: Callable[[str], None],
        on_stop: Callable[[Stopped], None],
        on_ended: Callable[[asyncio.Task[None]], None],
    ) -> None:
        self._plans = plan.endpoints
        self._workers = plan.workers
        self._states = [state.endpoints[one.name] for one in plan.endpoints]
        self._tell = tell
        self._send = send
        self._hide = hide
        self._on_stop = on_stop
        self._on_ended = on_ended
        self._keys: list[Secret | None] = [one.key for one in plan.endpoints]
        self._key_numbers = [0] * len(plan.endpoints)
        self._renewed_ns = [0] * len(plan.endpoints)
        self._renewing: dict[int, asyncio.Task[None]] = {}

    def setups(self, worker: WorkerProcess) -> tuple[EndpointSetup, ...]:
        """The endpoints as a worker is told of them, with its own places at each."""
        places = [one.room for one in self._plans]
        own = [1] * len(places)
        if not worker.quarantine:
            own = shares(places, self._workers)[worker.seat]
        return tuple(
            EndpointSetup(
                one.name,
                one.job,
                key.reveal() if key else None,
                one.headers,
                number,
                count,
                one.weight,
                state.out,
                one.limiter_file.descriptor if one.limiter_file else None,
            )
            for one, key, number, count, state in zip(
                self._plans, self._keys, self._key_numbers, own, self._states, strict=True
            )
        )

    # --- how they fare ----------------------------------------------------------------------------

    def watch(self, limiters: Sequence[Limiter], now_ns: int) -> None:
        """Say which went down, came back, or pauses; see to keys that are to be renewed."""
        for index, limiter in enumerate(limiters):
            self._watch(index, limiter, now_ns)
            self._renew_in_time(index, now_ns)

    def _watch(self, index: int, limiter: Limiter, now_ns: int) -> None:
        endpoint, name = self._states[index], self._plans[index].name
        paused_ns, endpoint.paused_until_ns = endpoint.paused_until_ns, limiter.paused_until()
        several = len(self._plans) > 1
        if several and paused_ns <= now_ns and endpoint.paused_until_ns >= now_ns + LONG_PAUSE_NS:
            seconds = (endpoint.paused_until_ns - now_ns) / 1e9
            self._tell(events.EndpointPaused(endpoint=name, seconds=seconds))
        down = limiter.failures_in_a_row() >= FAILURES_UNTIL_DOWN
        if down and endpoint.up:
            endpoint.up, endpoint.down_since_ns = False, now_ns
            self._tell(events.EndpointDown(endpoint=name, cause=endpoint.cause))
        elif not down and not endpoint.up:
            endpoint.up = True
            seconds = (now_ns - endpoint.down_since_ns) / 1e9
            self._tell(events.EndpointUp(endpoint=name, down_seconds=seconds))

    def failing(self, message: Failing) -> None:
        """A worker says why one counts as down."""
        self._states[message.endpoint].cause = message.cause

    def refused(self, fatal: Fatal) -> None:
        """One refuses for good: it is out, unless there is another key; the last one ends the run.

        A worker that was refused by an older key than it has been sent meanwhile says nothing new.
        """
        index = fatal.endpoint
        if self._states[index].out:
            return
        if self._plans[index].renew is None or fatal.error_class != "auth":
            self._take_out(fatal)
        elif fatal.key_number == self._key_numbers[index] and index not in self._renewing:
            self._start_renewing(index, fatal)

    def _take_out(self, fatal: Fatal) -> None:
        state, plan = self._states[fatal.endpoint], self._plans[fatal.endpoint]
        name, why = plan.name, fatal_verdict(fatal, plan.name, plan.job)
        state.out, state.cause = True, why.message.removeprefix(f"{name} ")
        if all(one.out for one in self._states):
            self._on_stop(why)
            return
        self._tell(events.EndpointOut(endpoint=name, cause=state.cause, next_step=why.next_step))
        self._send(Out(fatal.endpoint))

    # --- keys that a command prints ---------------------------------------------------------------

    def _renew_in_time(self, index: int, now_ns: int) -> None:
        """Renew a key before it expires, where the job says when."""
        seconds = self._plans[index].job.api_key_refresh
        if seconds is None or self._states[index].out or index in self._renewing:
            return
        self._renewed_ns[index] = self._renewed_ns[index] or now_ns
        if now_ns - self._renewed_ns[index] >= seconds * 1e9:
            self._renewed_ns[index] = now_ns
            self._start_renewing(index, None)

    def _start_renewing(self, index: int, fatal: Fatal | None) -> None:
        task = asyncio.create_task(self._renew(index, fatal))
        self._renewing[index] = task
        task.add_done_callback(self._on_ended)

    async def _renew(self, index: int, fatal: Fatal | None) -> None:
        """Run the command; a key that was refused and is printed again has the last word."""
        endpoint = self._plans[index]
        assert endpoint.renew is not None
        try:
            fresh = await asyncio.to_thread(endpoint.renew)
        except JobError as error:
            self._tell(events.Warned(message=f"endpoint {endpoint.name}: {error}"))
            fresh = self._keys[index] or Secret("")
        del self._renewing[index]
        if fresh != self._keys[index]:
            self._keys[index] = fresh
            self._key_numbers[index] += 1
            self._hide(fresh.reveal())
            self._send(NewKey(index, fresh.reveal(), self._key_numbers[index]))
        elif fatal is not None:
            self._take_out(fatal)

    def close(self) -> None:
        """Wait for no command any more."""
        for task in self._renewing.values():
            task.cancel()
