"""A budget over all processes: kept by the provider's own count, whoever is killed."""

from __future__ import annotations

import os
import signal

import pytest

from conftest import Simulate
from integration.conftest import MakePlace
from integration.place import Ended, Place
from penstock.simulator import SimulatorProcess

ROWS = 600
WORKERS = 4
SLOTS = 32
INPUT_USD, OUTPUT_USD = 100.0, 200.0  # per million tokens
PRICE = f"input={INPUT_USD},output={OUTPUT_USD}"
# All answers are of one length, so that nothing is mispredicted but the first ones, and those for
# more than they cost. What the text's length leaves open is less than this, for all in flight.
MISPREDICTED_USD = SLOTS * 5 * INPUT_USD / 1e6
STEADY = {"ttft_seconds": 0.04, "ttft_spread": 0.0, "output_tokens_spread": 0.0}


def billed_usd(provider: SimulatorProcess) -> float:
    """What the provider would ask for all that it answered."""
    stats = provider.stats()
    return float(stats["prompt_tokens"] * INPUT_USD + stats["completion_tokens"] * OUTPUT_USD) / 1e6


def options(budget_usd: float, workers: int = WORKERS) -> dict[str, object]:
    return {
        "workers": workers,
        "max_concurrency": SLOTS,
        "price": PRICE,
        "budget_usd": budget_usd,
    }


def killing(
    run: Place,
    provider: SimulatorProcess,
    budget_usd: float,
    kills: int,
    workers: int,
    supervisor: bool,
) -> Ended:
    """A run in which some workers are killed while they spend, or at last the supervisor."""
    begun = provider.stats()["received"]
    with run.start(provider.base_url, **options(budget_usd, workers)) as live:
        for number in range(1, kills + 1):
            live.until(lambda: provider.stats()["received"] > begun + 30 * number)  # noqa: B023
            victims = live.workers()
            if supervisor:
                live.signal(signal.SIGKILL)
            elif victims:
                # The oldest: one that has just begun may have nothing under way to be lost.
                os.kill(min(victim.pid for victim in victims), signal.SIGKILL)
        return live.wait()


def test_a_budget_holds_over_workers_kills_and_resumes_and_all_is_counted(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(ROWS), simulate(**STEADY, output_tokens=40.0)
    ended = killing(run, provider, 1.0, kills=2, workers=WORKERS, supervisor=False)
    assert ended.code == 5, ended.stderr
    assert "--budget-usd" in ended.stderr and "Raise --budget-usd" in ended.summary["next_step"]
    first = ended.summary["cost_usd"]
    assert billed_usd(provider) <= 1.0 + MISPREDICTED_USD
    assert billed_usd(provider) - MISPREDICTED_USD <= first <= 1.0 + MISPREDICTED_USD
    assert first > 0.9  # nothing is left that another request could be bought for
    assert ended.summary["lost_usd"] > 0
    assert ended.summary["bottleneck"]["budget"] > 0, ended.summary["bottleneck"]

    killed = killing(run, provider, 2.0, kills=1, workers=2, supervisor=True)
    assert killed.code == -signal.SIGKILL
    ended = run.run(provider.base_url, **options(2.0, workers=1))
    assert ended.code == 5, ended.stderr
    assert billed_usd(provider) <= 2.0 + MISPREDICTED_USD
    assert billed_usd(provider) - MISPREDICTED_USD <= ended.summary["cost_usd"]
    assert first < ended.summary["cost_usd"] <= 2.0 + MISPREDICTED_USD

    status = run.penstock("status", run.run_dir)
    assert "of $2.00" in status.stdout


def test_a_budget_without_a_price_is_refused_before_the_first_request(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(3), simulate()
    ended = run.run(provider.base_url, budget_usd=1.0)
    assert ended.code == 2
    assert "--price" in ended.stderr and "m is not known" in ended.stderr
    assert provider.stats()["received"] == 0
    assert not run.run_dir.exists()


def test_without_a_budget_costs_are_summed_over_interruptions(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(200), simulate(**STEADY, output_tokens=40.0)
    known = {"model": "gpt-4o-mini", "max_concurrency": 8}
    with run.start(provider.base_url, **known) as live:
        live.until(lambda: provider.stats()["received"] > 60)
        live.signal(signal.SIGINT)
        ended = live.wait()
    assert ended.code == 130, ended.stderr
    before = ended.summary["cost_usd"]
    assert before > 0
    ended = run.run(provider.base_url, **known)
    assert ended.code == 0, ended.stderr
    stats = provider.stats()
    billed = (stats["prompt_tokens"] * 0.15 + stats["completion_tokens"] * 0.60) / 1e6
    assert ended.summary["cost_usd"] == pytest.approx(billed)
    assert ended.summary["lost_usd"] == pytest.approx(0.0, abs=1e-9)
    assert sum(row["cost_usd"] for row in run.results()) == pytest.approx(billed)
