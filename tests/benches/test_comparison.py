"""A small comparison from end to end, so that the benchmarks work when they are wanted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harness.client import Client, Prepared, Task
from harness.comparison import Miscounted, Plan, compare
from harness.loops import AIOHTTP
from harness.nginx import nginx
from harness.result import read
from publish import section

ENGINE = Path(__file__).parents[2] / "benches" / "engine.py"

pytestmark = [
    pytest.mark.requires_nginx,
    pytest.mark.skipif(sys.platform != "linux", reason="benchmarks are for Linux"),
    pytest.mark.timeout(300),
]


@pytest.fixture(autouse=True)
def tools() -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core for the client and one for the server are needed")


def test_the_engine_and_a_loop_are_compared_and_shown(tmp_path: Path) -> None:
    command = [sys.executable, ENGINE, "--records", "1000", "--pairs", "1", "--scheme", "http"]
    subprocess.run([*command, "--only", "penstock,aiohttp", "--save", tmp_path], check=True)
    (path,) = tmp_path.iterdir()
    result = read(path)
    assert {one.client for one in result.figures} == {"penstock", "aiohttp"}
    assert [run.requests for run in result.runs] == [200, 1200, 200, 1200]
    assert result.wire["penstock"].requests == result.wire["aiohttp"].requests == 1280
    assert result.wire["penstock"].connections <= 128
    assert "Penstock" in section([result])


def test_a_client_that_leaves_requests_out_is_found(tmp_path: Path) -> None:
    def lazy(task: Task) -> Prepared:
        return AIOHTTP.prepare(task._replace(requests=task.requests - 1))

    client = Client(name="lazy", what="", prepare=lazy, version=str)
    first, second, *_ = sorted(os.sched_getaffinity(0))
    with nginx(tmp_path / "nginx", {second}) as server:
        plan = Plan(200, 1, False, {first}, {second})
        with pytest.raises(Miscounted, match="was to make 200 requests; nginx saw 199"):
            compare(plan, server, [client], tmp_path, lambda run: None)
