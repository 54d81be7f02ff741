"""Fewer file descriptors than the concurrency asks for: said, and no record pays for it."""

from __future__ import annotations

import pytest

from conftest import Simulate
from integration.conftest import MakePlace
from integration.shell import after


def test_a_low_soft_limit_is_raised_without_a_word(place: MakePlace, simulate: Simulate) -> None:
    run, provider = place(300), simulate(ttft_seconds=0.2)
    command = run.command(provider.base_url, max_concurrency=150)
    ended = run.call(after("ulimit -Sn 48", command))
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert ended.summary["warnings"] == []
    assert provider.stats()["in_flight_most"] > 100


@pytest.mark.parametrize(("limit", "most"), [(100, 50), (40, 12)])
def test_a_low_hard_limit_lowers_the_concurrency_with_a_word_about_it(
    place: MakePlace, simulate: Simulate, limit: int, most: int
) -> None:
    run, provider = place(150), simulate(ttft_seconds=0.05, ttft_spread=0.0)
    command = run.command(provider.base_url, max_concurrency=150)
    ended = run.call(after(f"ulimit -n {limit}", command))
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert provider.stats()["in_flight_most"] <= most
    assert ended.summary["retries"] == 0
    (warning,) = ended.summary["warnings"]
    assert "150" in warning and str(most) in warning and "ulimit" in warning
    assert warning in ended.stderr
    assert [one["message"] for one in run.events() if one["event"] == "warned"] == [warning]


def test_so_few_that_nothing_works_is_said_before_anything_is_sent(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(20), simulate()
    ended = run.call(after("ulimit -n 20", run.command(provider.base_url)))
    assert ended.code == 6, ended.stderr
    assert "20 files" in ended.stderr and "ulimit" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not run.run_dir.exists()
    assert provider.stats()["received"] == 0


# Another library of the process keeps files open, from the first rows on.
USED_UP = """
import sys
if "penstock.engine.worker" in sys.orig_argv:
    import os, resource
    from penstock.engine import asker
    judge, taken = asker.Asker._judge, []
    def judge_and_take(self, ask, *judged):
        if not taken:
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
            try:
                while True:
                    taken.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                self_loop = __import__("asyncio").get_running_loop()
                self_loop.call_later(1.5, lambda: [os.close(one) for one in taken])
        return judge(self, ask, *judged)
    asker.Asker._judge = judge_and_take
"""


def test_descriptors_that_others_use_up_meanwhile_are_no_row_s_fault(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(200), simulate(ttft_seconds=0.02, disconnect=0.2)
    run.patched(USED_UP)
    ended = run.run(provider.base_url, max_concurrency=8, max_attempts=9)
    if ended.code == 6:  # a file of the ledger's could not be opened: nothing is lost
        assert "Too many open files" in ended.stderr
        assert ended.summary["failed"] == 0
        run.environment.pop("PYTHONPATH")
        ended = run.run(provider.base_url, max_concurrency=8)
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert run.dead_letters() == []
