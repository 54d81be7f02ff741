"""An endpoint that goes away and comes back, or was never there: no row pays for it."""

from __future__ import annotations

import signal
from typing import Any

from conftest import Simulate
from integration.conftest import MakePlace
from integration.server import answering, asked, echo, refusal, serving

ROWS = 800
NOWHERE = "http://127.0.0.1:9/v1"
IMPATIENT = "import penstock.engine.retry as retry; retry.ALONE_NS = 2_000_000_000"  # not a minute


def test_an_outage_costs_no_row_and_the_run_goes_on_by_itself(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(ROWS), simulate(ttft_seconds=0.05)
    port = int(provider.base_url.rsplit(":")[-1].split("/")[0])
    with run.start(provider.base_url, max_concurrency=16, max_attempts=2) as live:
        live.until(lambda: provider.stats()["answered_bodies"] > 200)
        provider.stop()
        live.until(lambda: happened(live.events(), "endpoint_down"))
        simulate(port=port)
        ended = live.wait()
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert run.dead_letters() == []
    assert happened(run.events(), "endpoint_up")
    assert "down" in ended.stderr


def test_rows_that_no_server_can_answer_end_as_dead_letters_and_the_run_with_them(
    place: MakePlace,
) -> None:
    """They were the last ones, failed ten times between them, and were taken for an outage."""
    run = place(60)
    run.patched(IMPATIENT)
    poisoned = {row["text"] for row in run.rows[-4:]}

    def answer(head: str, body: dict[str, Any]) -> bytes:
        return refusal(500, "no") if asked(body) in poisoned else echo(head, body)

    with serving(answering(answer)) as base_url:
        ended = run.run(base_url, max_attempts=3)
    assert ended.code == 3, ended.stderr
    run.check_answers(dead=range(56, 60))
    assert not happened(run.events(), "endpoint_down")


def happened(events: list[dict[str, object]], name: str) -> bool:
    return any(one["event"] == name for one in events)


def test_nobody_listening_is_said_and_a_signal_ends_it_at_once(place: MakePlace) -> None:
    run = place(ROWS)
    with run.start(NOWHERE) as live:
        live.until(lambda: happened(live.events(), "endpoint_down"))
        live.signal(signal.SIGINT)
        ended = live.wait(10.0)
    assert ended.code == 130, ended.stderr
    assert "refused" in ended.stderr
    assert (ended.summary["succeeded"], ended.summary["failed"]) == (0, 0)
