from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from shutil import which
from urllib.request import Request, urlopen

import pytest

from penstock.errors import EngineError, UsageError
from penstock.simulator import Settings, spawn

TOLD = "http://127.0.0.1"


def wait_until(done: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    """Whether a process has ended; a zombie has."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"


def post_chat(base_url: str, text: str, key: str) -> str:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()
    request = Request(
        f"{base_url}/chat/completions", body, {"Authorization": f"Bearer {key}"}, method="POST"
    )
    with urlopen(request, timeout=10) as answer:
        return str(json.load(answer)["choices"][0]["message"]["content"])


def test_a_simulator_runs_in_its_own_process_and_session_without_the_key_in_argv() -> None:
    with spawn(Settings(key="sk-canary")) as simulator:
        assert simulator.base_url.startswith(TOLD)
        assert post_chat(simulator.base_url, "hello", "sk-canary").startswith("echo: hello")
        assert simulator.stats()["requests"] == {"POST /v1/chat/completions": {"200": 1}}
        simulator.reset()
        assert simulator.stats()["received"] == 0
        assert os.getsid(simulator.pid) == simulator.pid
        shown = subprocess.run(
            ["ps", "-ww", "-o", "args=", "-p", str(simulator.pid)], capture_output=True, check=True
        )
        assert b"penstock.simulator" in shown.stdout and b"sk-canary" not in shown.stdout
    assert is_gone(simulator.pid)
    simulator.stop()


def test_a_simulator_dies_with_the_process_that_wanted_it() -> None:
    script = (
        "import sys, time\n"
        "from penstock.simulator import spawn\n"
        "simulator = spawn()\n"
        "print(simulator.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent:
        pid = int(parent.stdout.readline())
        assert not is_gone(pid)
        parent.kill()
    wait_until(lambda: is_gone(pid))


def test_a_port_that_is_taken_is_told_by_the_child() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"127.0.0.1:{port}") as caught:
            spawn(Settings(port=port))
    assert "another port" in caught.value.next_step


def test_a_child_that_can_not_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", which("false"))
    with pytest.raises(EngineError, match="exit status 1"):
        spawn()


def test_serve_runs_until_a_signal() -> None:
    script = (
        "from penstock.simulator import Settings, serve\n"
        "serve(Settings(), lambda url: print(url, flush=True))\n"
        "print('ended', flush=True)\n"
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            url = process.stdout.readline().decode().strip()
            assert url.startswith(TOLD)
            with urlopen(url.removesuffix("/v1") + "/healthz", timeout=10) as answer:
                assert answer.status == 200
            process.send_signal(number)
            assert process.stdout.read() == b"ended\n"
        assert process.returncode == 0
