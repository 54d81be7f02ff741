"""Takes snapshots of a run: from its supervisor's state, the tally of slabs and a window."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from penstock.observe.bottleneck import bottleneck, main_reason
from penstock.observe.limiting import limit_note, limiting, reason_sentence
from penstock.observe.slab_layout import C
from penstock.observe.snapshot import LimitUse, Snapshot
from penstock.observe.state import Limit, RunState
from penstock.observe.tally import Tally, Totals
from penstock.observe.window import Growth, Window

SECOND_NS = 1_000_000_000

# What is called "now": long enough for a steady figure, short enough to follow a change.
NOW_NS = 10 * SECOND_NS
# An ETA looks further back, so that a pause of some seconds doesn't make it jump.
ETA_NS = 60 * SECOND_NS
STEP_NS = SECOND_NS // 4
PUSD_PER_USD = 10**12

_COUNTED = {
    "requests": (C.REQUESTS_SENT,),
    "input_tokens": (C.UNCACHED_INPUT_TOKENS, C.CACHED_INPUT_TOKENS),
    "output_tokens": (C.VISIBLE_OUTPUT_TOKENS, C.REASONING_TOKENS),
    "tokens": (
        C.UNCACHED_INPUT_TOKENS,
        C.CACHED_INPUT_TOKENS,
        C.VISIBLE_OUTPUT_TOKENS,
        C.REASONING_TOKENS,
    ),
}


class Observer:
    """A run under observation; `state` is the supervisor's to change, `tally` takes the slabs."""

    def __init__(self, state: RunState) -> None:
        self.state = state
        self.tally = Tally()
        self._window = Window(ETA_NS, STEP_NS)
        self._means = MeanLimits()

    def sample(self, now_ns: int) -> Totals:
        """Remember the counters as of now, and return them; to be called a few times a second."""
        totals = self.tally.totals()
        self._window.add(now_ns, totals.cells)
        if self.state.running_since_ns is not None and self.state.running_until_ns is None:
            self._means.add(now_ns, self.state.limits)
        return totals

    def snapshot(self, now_ns: int) -> Snapshot:
        """The run at this instant."""
        totals = self.tally.totals()
        recent = self._window.growth(now_ns, totals.cells, NOW_NS)
        longer = self._window.growth(now_ns, totals.cells, ETA_NS)
        return take(self.state, totals, recent, longer, now_ns)

    def shares(self) -> tuple[dict[str, float], str]:
        """Over the whole epoch: the bottleneck's shares, and what limited most in words."""
        totals = self.tally.totals()
        shares = bottleneck(slot_cells(totals.cells))
        limits = self.limit_use(totals)
        reason = main_reason(shares)
        return shares, reason_sentence(reason, limits, 0) if reason else ""

    def limit_use(self, totals: Totals | None = None) -> dict[str, LimitUse]:
        """The share of each limit that was used from the first request to the last row's end.

        A limit that changed counts as what it was in the mean: of the last one alone, found low
        after it was higher, far more than all could have been used.
        """
        state = self.state
        totals = totals or self.tally.totals()
        if state.running_since_ns is None or state.running_until_ns is None:
            return {}
        span_ns = state.running_until_ns - state.running_since_ns
        whole = Growth(span_ns, totals.cells)
        uses = {one.resource: limit_use(one, whole) for one in state.limits}
        return {name: self._means.corrected(name, use) for name, use in uses.items()}


class MeanLimits:
    """What limits that change while a run goes on were in the mean, over the time they stood."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[int, int]] = {}  # limit times ns, and ns
        self._last_ns: int | None = None

    def add(self, now_ns: int, limits: Sequence[Limit]) -> None:
        """These were in force since the last call."""
        since_ns, self._last_ns = self._last_ns or now_ns, now_ns
        for one in limits:
            allowed, stood_ns = self._sums.get(one.resource, (0, 0))
            elapsed_ns = now_ns - since_ns
            self._sums[one.resource] = allowed + one.limit * elapsed_ns, stood_ns + elapsed_ns

    def corrected(self, resource: str, use: LimitUse) -> LimitUse:
        """`use`, which is of the limit as it is now, with its share of what it was in the mean."""
        allowed, stood_ns = self._sums.get(resource, (0, 0))
        if not allowed:
            return use
        return msgspec.structs.replace(use, share=use.share * use.limit * stood_ns / allowed)


def take(state: RunState, totals: Totals, recent: Growth, longer: Growth, now_ns: int) -> Snapshot:
    """A snapshot of what is known now; `recent` and `longer` are growths of the totals' cells."""
    done = state.succeeded + state.failed
    in_flight = totals[C.IN_FLIGHT]
    shares = bottleneck(slot_cells(recent.amounts))
    limits = {one.resource: limit_use(one, recent) for one in state.limits}
    ended = totals[C.RECORDS_SUCCEEDED] + totals[C.RECORDS_FAILED]
    is_new = not (ended or totals.requests())
    rate_mean = mean_rate(state, ended, now_ns)
    pending = None if state.total is None else max(0, state.total - done)
    return Snapshot(
        run_id=state.run_id,
        phase=state.phase,
        total=state.total,
        done=done,
        succeeded=state.succeeded,
        failed=state.failed,
        failed_by_class=dict(state.failed_by_class),
        resumed=state.resumed_succeeded + state.resumed_failed,
        resumed_failed=state.resumed_failed,
        in_flight=in_flight,
        queued=totals[C.QUEUED],
        retry_waiting=totals[C.RETRY_WAITING],
        reused=totals[C.RECORDS_REUSED],
        deduplicated=totals[C.RECORDS_DUPLICATE],
        requests=totals.requests(),
        retries=totals.retries(),
        throttles=totals[C.THROTTLES],
        tokens=totals.tokens(),
        cost_usd=cost_usd(state, totals),
        budget_usd=state.budget_usd,
        elapsed_seconds=(now_ns - state.started_ns) / 1e9,
        rate_now=record_rate(recent),
        rate_mean=rate_mean,
        eta_seconds=eta_seconds(pending, record_rate(longer) or rate_mean),
        p50_seconds=totals.request_seconds(0.5),
        p99_seconds=totals.request_seconds(0.99),
        bottleneck=shares,
        limiting=limiting(
            "starting" if is_new and main_reason(shares) == "cpu" else state.phase,
            shares,
            limits,
            state.endpoints,
            in_flight,
            now_ns,
        ),
        limits=limits,
        workers=state.workers,
        worker_restarts=state.worker_restarts,
        endpoint_up={name: one.up and not one.out for name, one in state.endpoints.items()},
        endpoint_traffic={name: one.traffic for name, one in state.endpoints.items()},
        started_at=state.started_at,
        last_checkpoint_at=state.last_checkpoint_at,
        warnings=list(state.warnings),
    )


def cost_usd(state: RunState, totals: Totals) -> float | None:
    """What the whole run has spent; None where no price is known."""
    spent = state.spent_before_pusd + totals[C.SPENT_PUSD]
    return spent / PUSD_PER_USD if spent or state.priced else None


def slot_cells(cells: Sequence[int]) -> dict[C, int]:
    """The cells by name."""
    return {cell: cells[cell] for cell in C}


def record_rate(growth: Growth) -> float:
    """Records that ended, per second."""
    return growth.per_second(C.RECORDS_SUCCEEDED) + growth.per_second(C.RECORDS_FAILED)


def mean_rate(state: RunState, ended: int, now_ns: int) -> float:
    """Records that ended, per second since the workers were ready."""
    if state.running_since_ns is None:
        return 0.0
    until_ns = now_ns if state.running_until_ns is None else state.running_until_ns
    span_ns = until_ns - state.running_since_ns
    return ended * 1e9 / span_ns if span_ns > 0 else 0.0


def eta_seconds(pending: int | None, rate: float) -> float | None:
    """When the last record should end; None while that can't be said."""
    if pending is None or (pending and rate <= 0):
        return None
    return pending / rate if pending else 0.0


def limit_use(limit: Limit, growth: Growth) -> LimitUse:
    """How much of a limit was used while the counters grew so."""
    share, note = used_share(limit, growth), limit_note(limit)
    return LimitUse(limit.limit, limit.window_seconds, share, note)


def used_share(limit: Limit, growth: Growth) -> float:
    """The part, 0..1, of what a limit allowed. Of the concurrency: slot time with a request out."""
    if growth.elapsed_ns <= 0:
        return 0.0
    if limit.counted == "concurrency":
        flying = growth.amounts[C.SLOT_BUSY_NS] + growth.amounts[C.SLOT_CONCURRENCY_NS]
        return flying / (growth.elapsed_ns * limit.limit)
    used = sum(growth.amounts[cell] for cell in _COUNTED[limit.counted])
    return used * limit.window_seconds / (growth.elapsed_ns / 1e9 * limit.limit)
