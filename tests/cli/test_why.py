from __future__ import annotations

import msgspec
import pytest

from cli.conftest import Penstock
from ledger.ledger_rows import RUN, answer
from ledger.ledger_run import Run
from penstock.cli.reasons import raises
from penstock.disk import Disk
from penstock.ledger.generation import begin_redo
from penstock.ledger.rows import RowSet
from penstock.observe.snapshot import LimitUse
from penstock.observe.use import Use

EPOCH = Use(
    running_seconds=60.0,
    slot_seconds={"busy": 10.0, "requests": 30.0},
    requests=11,
    retries={"timeout": 1, "server_error": 1},
    throttles=2,
)


def log(run: Run, *epochs: Use) -> None:
    """The log of some epochs, each with two checkpoints, of which the later one counts."""
    lines = [b"no JSON"]
    for use in epochs:
        early = msgspec.structs.replace(use, running_seconds=1.0, requests=1)
        lines.append(b'{"event":"run_started"}')
        for one in (early, use):
            lines.append(msgspec.json.encode({"event": "checkpoint_written", "use": one}))
    run.run_dir.log_path.write_bytes(b"\n".join(lines) + b'\n{"event":"checkpoint_wr')


def test_time_is_told_over_all_calls_of_a_run(penstock: Penstock, complete: Run) -> None:
    log(complete, EPOCH, EPOCH)
    place = complete.run_dir.path
    found = penstock("why", place)
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith(f"{place}: 75 % of its time went by waiting for a limit of request")
    assert "2:00 running, in 2 calls" in found.out
    assert "25 %  asking: time well spent" in found.out
    assert "(estimate)" in found.out and "about 30 s in place of 2:00" in found.out
    assert "4 retries and 4 throttles of 22" in found.out
    fields = penstock("why", place, "--json").json
    assert fields["shares"] == {"requests": 0.75, "busy": 0.25}
    assert fields["raising"][0]["factor"] == pytest.approx(4.0)
    # Of 4 retries, the 2 after a timeout may have had an answer: 9 of 10 rows had 10 tokens in.
    assert fields["retried_input_tokens"] == 4 * (100 // 9)
    assert fields["retried_output_tokens"] == 2 * (sum(n % 7 for n in range(10) if n != 5) // 9)


def test_a_run_without_a_log_says_what_the_ledger_knows(penstock: Penstock, stopped: Run) -> None:
    stopped.run_dir.log_path.unlink(missing_ok=True)
    found = penstock("why", stopped.run_dir.path)
    assert found.code == 0 and "its log tells nothing yet" in found.out
    assert "no answer was bought twice" in found.out


def test_what_was_bought_twice_is_told_with_its_tokens(penstock: Penstock, complete: Run) -> None:
    place = complete.run_dir.path
    before = penstock("why", place, "--json").json
    complete.put([answer(row) for row in range(3)], worker=3)
    found = penstock("why", place, "--json").json
    assert found["duplicates"] == 3 and found["tokens"] == before["tokens"]
    assert (found["uncounted"]["input_tokens"], found["uncounted"]["output_tokens"]) == (30, 3)
    assert found["uncounted"]["cost_usd"] == pytest.approx(0.75)
    assert "3 answers were bought again after a crash" in penstock("why", place).out


def test_rows_that_a_redo_asked_are_told(penstock: Penstock, complete: Run) -> None:
    begin_redo(Disk(), complete.run_dir, RUN, RowSet([(1, 3)]), {}, "2026-03-02")
    assert "2 rows were asked again by a redo" in penstock("why", complete.run_dir.path).out


def test_raising_gives_no_more_than_the_other_limits_leave() -> None:
    limits = {
        "requests_per_minute": LimitUse(600, 60, 0.99),
        "tokens_per_minute": LimitUse(100_000, 60, 0.5),
        "concurrency": LimitUse(64, 0, 0.1),
    }
    one, two = raises({"requests": 0.8, "busy": 0.1, "cpu": 0.06, "disk": 0.04}, limits)
    assert (one.reason, one.factor, one.then) == ("requests", 2.0, "100,000 tokens/min")
    assert "600 requests/min" in one.words
    assert (two.reason, two.factor) == ("cpu", pytest.approx(1 / 0.99, rel=0.02))
    assert raises({"concurrency": 0.5}, {})[0].words.startswith("a higher --max-concurrency,")


def test_a_directory_without_a_run_is_refused(penstock: Penstock, stopped: Run) -> None:
    assert penstock("why", stopped.path).code == 2
