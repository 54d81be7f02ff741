"""The run as Prometheus metrics, made anew at each scrape from one snapshot and the slabs' sums.

Only the classic text format is served: the names hold both `penstock_records_total`, a counter, and
`penstock_records`, a gauge, which OpenMetrics takes for two metrics of one name.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from penstock._core import bucket_of, bucket_upper
from penstock.observe.observer import PUSD_PER_USD
from penstock.observe.slab_layout import C, H
from penstock.observe.snapshot import Snapshot
from penstock.observe.tally import Totals

# Wished bounds, in seconds; what is served are the slab's own bounds nearest above them, because
# only there is the count below a bound known exactly.
REQUEST_BOUNDS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
    *(2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0),
)
LAG_BOUNDS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.02, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)

# What connections and tickets went through: a counter's name, its cell, its words.
MISHAPS: Final = (
    ("reconnects", C.RECONNECTS, "Requests sent again because a reused connection had ended."),
    ("soiled_connections", C.SOILED_CONNECTIONS, "Connections closed for bytes nobody asked for."),
    ("voided_tickets", C.VOIDED_TICKETS, "Tickets that were void when they were to be used."),
    ("probes", C.PROBES, "Requests that tried whether an endpoint that is down is back."),
)


class Labels(msgspec.Struct, frozen=True):
    """What doesn't change while a run goes."""

    version: str
    provider: str
    model: str


class RunCollector(Collector):
    """Gives all metrics of a run. `look` is called once per scrape."""

    def __init__(self, look: Callable[[], tuple[Snapshot, Totals]], labels: Labels) -> None:
        self._look = look
        self._labels = labels

    def describe(self) -> list[Metric]:
        """Nothing: so that registering doesn't take a look before there is something to see."""
        return []

    def collect(self) -> Iterator[Metric]:
        snapshot, totals = self._look()
        yield from about(snapshot, self._labels)
        yield from records(snapshot)
        yield from requests(snapshot, totals, self._labels)
        yield from usage(snapshot, totals)
        yield from limits(snapshot)
        yield from health(snapshot, totals)


def exposition(collector: RunCollector) -> Callable[[], bytes]:
    """A function that renders all metrics as text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return lambda: generate_latest(registry)


def about(snapshot: Snapshot, labels: Labels) -> Iterator[Metric]:
    run = {"run_id": snapshot.run_id}
    yield InfoMetricFamily("penstock_run", "The run that these metrics are of.", run)
    build = {"version": labels.version, "python": platform.python_version()}
    yield InfoMetricFamily("penstock_build", "The program that these metrics are of.", build)
    yield gauge("run_start_timestamp_seconds", "When this epoch began.", snapshot.started_at)
    if snapshot.last_checkpoint_at is not None:
        help_text = "When the newest checkpoint was written."
        yield gauge("run_last_checkpoint_timestamp_seconds", help_text, snapshot.last_checkpoint_at)


def records(snapshot: Snapshot) -> Iterator[Metric]:
    resumed_succeeded = snapshot.resumed - snapshot.resumed_failed
    ended = {
        "succeeded": snapshot.succeeded - resumed_succeeded,
        "failed": snapshot.failed - snapshot.resumed_failed,
    }
    yield counter("records", "Records that ended, durably, in this epoch.", "outcome", ended)
    states = {"succeeded": snapshot.succeeded, "failed": snapshot.failed}
    if snapshot.pending is not None:
        states["pending"] = snapshot.pending
        yield gauge("records_pending", "Records without an end yet.", snapshot.pending)
    yield gauges("records", "Records of the whole run, by state.", "state", states)
    if snapshot.eta_seconds is not None:
        yield gauge("eta_seconds", "Time until the last record should end.", snapshot.eta_seconds)


def requests(snapshot: Snapshot, totals: Totals, labels: Labels) -> Iterator[Metric]:
    ended = CounterMetricFamily(
        "penstock_requests",
        "Requests that ended.",
        labels=["provider", "model", "status_class", "error_class"],
    )
    # There from the start, so that a rate over it has a first value.
    counts = {("2xx", "success"): 0, **totals.requests_by_class()}
    for (status_class, error_class), count in counts.items():
        ended.add_metric([labels.provider, labels.model, status_class, error_class], count)
    yield ended
    yield histogram(
        "request_duration_seconds",
        "From a request's first byte sent to its answer's last.",
        totals,
        H.REQUEST_US,
        REQUEST_BOUNDS,
        units_per_second=1_000_000,
    )
    retries = totals.retries_by_reason()
    yield counter("retries", "Requests made again, by the reason.", "reason", retries)
    waited = totals[C.LIMIT_WAIT_NS] / 1e9
    yield single_counter("ratelimit_wait_seconds", "Time that requests waited for limits.", waited)
    yield gauge("requests_in_flight", "Requests under way.", snapshot.in_flight)


def usage(snapshot: Snapshot, totals: Totals) -> Iterator[Metric]:
    yield counter("tokens", "Tokens used; the types are disjoint.", "type", totals.tokens())
    if snapshot.cost_usd is not None:
        spent = totals[C.SPENT_PUSD] / PUSD_PER_USD
        yield single_counter("cost_usd", "Dollars spent in this epoch, lost answers too.", spent)
        yield gauge("run_cost_usd", "Dollars spent over the whole run.", snapshot.cost_usd)
    if snapshot.budget_usd is not None:
        yield gauge("budget_usd", "What the whole run may spend.", snapshot.budget_usd)


def limits(snapshot: Snapshot) -> Iterator[Metric]:
    values = {resource: use.limit for resource, use in snapshot.limits.items()}
    yield gauges("limit", "The limits, by resource and window.", "resource", values)
    help_text = "Share of slot time that waited, by what for, over the last seconds."
    yield gauges("bottleneck", help_text, "reason", snapshot.bottleneck)


def health(snapshot: Snapshot, totals: Totals) -> Iterator[Metric]:
    yield histogram(
        "event_loop_lag_seconds",
        "How late the workers' event loops were.",
        totals,
        H.LOOP_LAG_NS,
        LAG_BOUNDS,
        units_per_second=1_000_000_000,
    )
    restarts = snapshot.worker_restarts
    yield single_counter("worker_restarts", "Workers that died and were replaced.", restarts)
    for name, cell, help_text in MISHAPS:
        yield single_counter(name, help_text, totals[cell])
    up = {name: int(is_up) for name, is_up in snapshot.endpoint_up.items()}
    yield gauges("endpoint_up", "Whether an endpoint answers.", "endpoint", up)
    ended = CounterMetricFamily(
        "penstock_endpoint_requests",
        "Requests by endpoint; one that refused a record alone is in none of the outcomes.",
        labels=["endpoint", "outcome"],
    )
    for name, traffic in snapshot.endpoint_traffic.items():
        for outcome in ("answered", "throttled", "failed"):
            ended.add_metric([name, outcome], getattr(traffic, outcome))
    yield ended
    flying = {name: traffic.in_flight for name, traffic in snapshot.endpoint_traffic.items()}
    yield gauges("endpoint_requests_in_flight", "Requests under way.", "endpoint", flying)


def gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"penstock_{name}", help_text, value)


def single_counter(name: str, help_text: str, value: float) -> Metric:
    return CounterMetricFamily(f"penstock_{name}", help_text, value)


def gauges(name: str, help_text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"penstock_{name}", help_text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def counter(name: str, help_text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(f"penstock_{name}", help_text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def histogram(
    name: str,
    help_text: str,
    totals: Totals,
    which: H,
    bounds: tuple[float, ...],
    *,
    units_per_second: int,
) -> Metric:
    """A slab's histogram as Prometheus counts: cumulative, by upper bound."""
    counts = totals.histograms[which]
    buckets = [
        (repr(bucket_upper(last) / units_per_second), float(sum(counts[: last + 1])))
        for last in (bucket_of(round(bound * units_per_second)) for bound in bounds)
    ]
    buckets.append(("+Inf", float(sum(counts))))
    family = HistogramMetricFamily(f"penstock_{name}", help_text)
    family.add_metric([], buckets, totals.sums[which] / units_per_second)
    return family
