from __future__ import annotations

import subprocess

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from observe.samples import a_snapshot
from penstock._core import bucket_of
from penstock.observe.metrics import Labels, RunCollector, exposition
from penstock.observe.slab_layout import C, H, open_slab, request_cell, retry_cell, slab_bytes
from penstock.observe.snapshot import Snapshot
from penstock.observe.tally import Tally, Totals

LABELS = Labels(version="0.1.0", provider="openai", model='a "quoted"\nmodel\\')
API = "http://127.0.0.1:8000/v1"

DURATIONS_US = [0, 900, 1007, 1008, 5_000, 420_000, 1_930_000, 301_989_887, 10**12]


def some_totals() -> Totals:
    slab = open_slab(bytearray(slab_bytes(1)), 0, 1)
    slab.add(request_cell(200, "success"), 500)
    slab.add(request_cell(429, "rate_limit"), 6)
    slab.add(request_cell(-1, "connect"), 2)
    slab.add(retry_cell("connect"), 2)
    slab.add(C.UNCACHED_INPUT_TOKENS, 42_100)
    slab.add(C.SPENT_PUSD, 1_250_000_000_000)
    slab.add(C.LIMIT_WAIT_NS, 1_500_000_000)
    slab.set(C.RECONNECTS, 3)
    slab.set(C.SOILED_CONNECTIONS, 4)
    slab.set(C.VOIDED_TICKETS, 5)
    slab.add(C.PROBES, 6)
    for value in DURATIONS_US:
        slab.record(H.REQUEST_US, value)
    slab.record(H.LOOP_LAG_NS, 2_000_000)
    tally = Tally()
    tally.attach(0, slab)
    return tally.totals()


def text_of(snapshot: Snapshot | None = None) -> str:
    look = snapshot or a_snapshot(), some_totals()
    return exposition(RunCollector(lambda: look, LABELS))().decode()


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families: list[Metric] = list(text_string_to_metric_families(text))
    return {
        (one.name.removeprefix("penstock_"), tuple(sorted(one.labels.items()))): one.value
        for family in families
        for one in family.samples
    }


def test_every_metric_has_its_name_its_labels_and_base_units() -> None:
    found = samples(text_of())
    expected = {
        ("records_total", (("outcome", "succeeded"),)): 609 - 99,
        ("records_total", (("outcome", "failed"),)): 2,
        ("records", (("state", "succeeded"),)): 609,
        ("records", (("state", "failed"),)): 3,
        ("records", (("state", "pending"),)): 388,
        ("records_pending", ()): 388,
        ("requests_in_flight", ()): 12,
        ("tokens_total", (("type", "uncached_input"),)): 42_100,
        ("retries_total", (("reason", "connect"),)): 2,
        ("retries_total", (("reason", "timeout"),)): 0,
        ("ratelimit_wait_seconds_total", ()): 1.5,
        ("limit", (("resource", "requests_per_minute"),)): 600,
        ("limit", (("resource", "concurrency"),)): 64,
        ("eta_seconds", ()): 39.6,
        ("bottleneck", (("reason", "requests"),)): 0.82,
        ("event_loop_lag_seconds_count", ()): 1,
        ("worker_restarts_total", ()): 1,
        ("reconnects_total", ()): 3,
        ("soiled_connections_total", ()): 4,
        ("voided_tickets_total", ()): 5,
        ("probes_total", ()): 6,
        ("endpoint_up", (("endpoint", API),)): 1,
        ("endpoint_requests_total", (("endpoint", API), ("outcome", "answered"))): 500,
        ("endpoint_requests_total", (("endpoint", API), ("outcome", "throttled"))): 6,
        ("endpoint_requests_total", (("endpoint", API), ("outcome", "failed"))): 2,
        ("endpoint_requests_in_flight", (("endpoint", API),)): 12,
        ("run_info", (("run_id", "5eed"),)): 1,
        ("run_start_timestamp_seconds", ()): 1_800_000_000,
        ("run_last_checkpoint_timestamp_seconds", ()): 1_800_000_055.5,
    }
    assert {key: found.get(key) for key in expected} == expected
    assert any(name == "build_info" and ("version", "0.1.0") in labels for name, labels in found)


def test_dollars_are_there_where_a_price_is_known() -> None:
    assert not [name for name, _ in samples(text_of()) if "usd" in name]
    found = samples(text_of(a_snapshot(cost_usd=3.5, budget_usd=5.0)))
    assert found["cost_usd_total", ()] == 1.25
    assert found["run_cost_usd", ()] == 3.5
    assert found["budget_usd", ()] == 5.0


def test_requests_are_counted_by_what_became_of_them() -> None:
    found = samples(text_of())
    ends = {
        (dict(labels)["status_class"], dict(labels)["error_class"]): value
        for (name, labels), value in found.items()
        if name == "requests_total"
    }
    assert ends == {("2xx", "success"): 500, ("4xx", "rate_limit"): 6, ("transport", "connect"): 2}
    models = {dict(labels).get("model") for name, labels in found if name == "requests_total"}
    assert models == {LABELS.model}


def test_successes_are_there_before_the_first() -> None:
    look = a_snapshot(), Tally().totals()
    text = exposition(RunCollector(lambda: look, LABELS))().decode()
    zero = [key for key, value in samples(text).items() if key[0] == "requests_total" and not value]
    assert len(zero) == 1


def test_the_counts_of_the_duration_histogram_are_exact() -> None:
    found = samples(text_of())
    buckets = {
        dict(labels)["le"]: value
        for (name, labels), value in found.items()
        if name == "request_duration_seconds_bucket"
    }
    assert buckets.pop("+Inf") == len(DURATIONS_US)
    assert "0.001007" in buckets
    for bound, count in buckets.items():
        assert count == sum(value <= round(float(bound) * 1e6) for value in DURATIONS_US), bound
    assert list(buckets.values()) == sorted(buckets.values())
    assert found["request_duration_seconds_count", ()] == len(DURATIONS_US)


def test_every_bound_is_the_last_value_of_a_slabs_bucket() -> None:
    for (name, labels), _ in samples(text_of()).items():
        if name.endswith("_bucket") and dict(labels)["le"] != "+Inf":
            units = 10**6 if name.startswith("request") else 10**9
            last = round(float(dict(labels)["le"]) * units)
            assert bucket_of(last) + 1 == bucket_of(last + 1)


def test_what_is_not_known_is_left_out() -> None:
    bare = a_snapshot(total=None, eta_seconds=None, last_checkpoint_at=None)
    names = {name for name, _ in samples(text_of(bare))}
    unknown = {"records_pending", "eta_seconds"}
    assert not names & (unknown | {"run_last_checkpoint_timestamp_seconds"})
    assert "records" in names


def test_a_scrape_takes_one_look() -> None:
    looks = []
    totals = some_totals()

    def look() -> tuple[Snapshot, Totals]:
        looks.append(1)
        return a_snapshot(), totals

    render = exposition(RunCollector(look, LABELS))
    assert looks == []
    render()
    assert looks == [1]


def test_no_label_but_the_runs_own_info_holds_the_run_id() -> None:
    lines = [line for line in text_of().splitlines() if "5eed" in line]
    assert lines == ['penstock_run_info{run_id="5eed"} 1.0']


@pytest.mark.requires_prometheus
def test_promtool_finds_nothing_to_complain_about() -> None:
    text = text_of()
    check = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (check.returncode, check.stdout, check.stderr) == (0, "", "")
