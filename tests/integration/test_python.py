"""The Python API: from a script, a thread and a running loop, over paths, dicts and tables."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import penstock
from conftest import Simulate
from integration.conftest import MakePlace
from integration.place import Live, Place, text_rows

QUIET: dict[str, Any] = {
    "model": "m",
    "prompt": "{{ text }}",
    "progress": "off",
    "metrics_port": "off",
    "workers": 1,
}

SCRIPT = """
import sys
import penstock
report = penstock.run(sys.argv[1], sys.argv[2], base_url=sys.argv[3], model="m",
                      prompt="{{ text }}", metrics_port="off", workers=2)
print(report.exit_code, report.succeeded)
"""


def test_a_script_needs_no_main_guard(place: MakePlace, simulate: Simulate) -> None:
    run, provider = place(50), simulate()
    script = run.folder / "script.py"
    script.write_text(SCRIPT)
    ended = run.call(
        [sys.executable, str(script), str(run.input), str(run.output), provider.base_url]
    )
    assert ended.stdout.split() == ["0", "50"], ended.stderr
    run.check_answers()


def test_a_table_in_a_running_loop_which_goes_on_meanwhile(
    tmp_path: Path, simulate: Simulate
) -> None:
    rows, provider, turns = text_rows(50), simulate(ttft_seconds=0.05), 0

    async def main() -> penstock.Report:
        nonlocal turns
        asked = penstock.arun(
            pa.Table.from_pylist(rows), tmp_path / "out.jsonl", base_url=provider.base_url, **QUIET
        )
        running = asyncio.create_task(asked)
        while not running.done():
            await asyncio.sleep(0.01)
            turns += 1
        return await running

    report = asyncio.run(main())
    assert (report.exit_code, report.succeeded) == (0, 50)
    assert turns > 20
    run = Place.of(tmp_path, rows)
    run.check_answers()


def test_dicts_in_a_thread_and_again_to_resume(tmp_path: Path, simulate: Simulate) -> None:
    rows, provider = text_rows(60), simulate()
    reports: list[penstock.Report] = []

    def work() -> None:
        for limit in (20, None):
            report = penstock.run(
                (dict(row) for row in rows),
                tmp_path / "out.jsonl",
                base_url=provider.base_url,
                limit=limit,
                **QUIET,
            )
            reports.append(report)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert [(one.exit_code, one.succeeded, one.resumed) for one in reports] == [
        (0, 20, 0),
        (0, 60, 20),
    ]
    assert provider.stats()["received"] == 60
    Place.of(tmp_path, rows).check_answers()


def test_run_inside_a_running_loop_works_too_and_its_report_is_a_table(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(30), simulate(reject=0.2)

    async def main() -> penstock.Report:
        return penstock.run([run.input], run.output, base_url=provider.base_url, **QUIET)

    report = asyncio.run(main())
    assert report.exit_code == 3
    assert report.failed == provider.stats()["rejected"]
    assert "invalid_request" in report.table()
    assert "<table" in report._repr_html_()


def test_a_run_that_is_stopped_raises_what_stopped_it_with_the_report_on_it(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(200), simulate(quota_after=50)
    with pytest.raises(penstock.ProviderStopped) as raised:
        penstock.run(run.input, run.output, base_url=provider.base_url, **QUIET)
    assert raised.value.exit_code == 4
    assert (raised.value.report.succeeded, raised.value.report.pending) == (50, 150)
    with pytest.raises(penstock.JobError) as refused:
        penstock.run(run.input, run.output, base_url=provider.base_url, **QUIET, rpn=3)
    assert "rpn" in str(refused.value)
    with pytest.raises(penstock.LedgerError):
        list(penstock.results(run.run_dir))
    done = pa.Table.from_batches(penstock.results(run.run_dir, partial=True))
    assert done.num_rows == 50


def test_a_cancelled_task_stops_its_run_which_the_same_call_resumes(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(400), simulate(ttft_seconds=0.2)
    options = {**QUIET, "base_url": provider.base_url, "max_concurrency": 16}

    async def main() -> None:
        running = asyncio.create_task(penstock.arun(run.input, run.output, **options))
        await asyncio.to_thread(wait_for, lambda: provider.stats()["answered_bodies"] >= 50)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
    bought = provider.stats()["answered_bodies"]
    assert bought < 200
    report = penstock.run(run.input, run.output, **{**options, "max_concurrency": 200})
    assert report.resumed == bought
    assert provider.stats()["asked_again"] == 0


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


IN_A_LOOP = """
import asyncio
import sys
import penstock

async def cell():
    return penstock.run(sys.argv[1], sys.argv[2], base_url=sys.argv[3], model="m",
                        prompt="{{ text }}", metrics_port="off", max_concurrency=8)

try:
    asyncio.run(cell())
except penstock.Interrupted as error:
    print(error.exit_code, error.report.pending > 0)
"""


def test_ctrl_c_stops_a_run_that_blocks_a_running_loop_as_in_a_notebook(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(400), simulate(ttft_seconds=0.2)
    script = run.folder / "script.py"
    script.write_text(IN_A_LOOP)
    arguments = [str(script), str(run.input), str(run.output), provider.base_url]
    with Live([sys.executable, *arguments], run.environment, run.run_dir, run.folder) as live:
        live.until(lambda: provider.stats()["answered_bodies"] > 20)
        live.signal(signal.SIGINT)
        ended = live.wait()
    assert ended.stdout.split() == ["130", "True"], ended.stderr


def test_what_is_done_of_a_live_run_can_be_read_exported_and_told(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(600), simulate(ttft_seconds=0.1)
    with run.start(provider.base_url, max_concurrency=16) as live:
        live.until(lambda: rows_done(run) > 100)
        sofar = run.folder / "sofar.jsonl"
        exported = run.penstock("export", run.run_dir, "-o", sofar, "--partial")
        status = run.penstock("status", run.run_dir, "--json")
        assert live.process.poll() is None
        assert live.wait().code == 0
    assert exported.code == 0, exported.stderr
    some = Place.of(run.folder, run.rows, output=sofar)
    rows = [one["row"] for one in some.results()]
    assert 100 < len(rows) < 600
    assert rows == sorted(set(rows))
    assert all(one["output"].startswith("echo: ") for one in some.results())
    assert status.code == 0, status.stderr
    assert status.summary["succeeded"] > 0
    run.check_answers()
    whole = pa.Table.from_batches(penstock.results(run.run_dir))
    assert whole["row"].to_pylist() == list(range(600))
    assert run.penstock("verify", run.run_dir).code == 0


def rows_done(run: Place) -> int:
    try:
        return sum(batch.num_rows for batch in penstock.results(run.run_dir, partial=True))
    except penstock.RunDirectoryError:
        return 0  # not there yet


def test_importing_penstock_loads_nothing_heavy() -> None:
    said = subprocess.run(
        [sys.executable, "-c", "import penstock, sys; print('pyarrow' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "False"
