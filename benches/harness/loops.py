"""The yardsticks: a bare loop in Go, one over aiohttp's ClientSession, and wrk as the floor."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from harness.client import CONNECTIONS, Client, Prepared, Task
from harness.payload import MODEL, text

PEERS = Path(__file__).parents[1] / "peers"
BUILD = Path(__file__).parents[2] / "build" / "peers"


def loop_arguments(task: Task) -> list[str]:
    """What every loop of peers/ understands."""
    given = ["--base-url", task.base_url, "--requests", str(task.requests)]
    given += ["--connections", str(CONNECTIONS)]
    return [*given, "--ca-file", str(task.ca_file)] if task.ca_file else given


def prepare_go(task: Task) -> Prepared:
    return Prepared([str(BUILD / "loop"), *loop_arguments(task)], {"GOMAXPROCS": "1"})


def go_version() -> str:
    said = subprocess.run(["go", "version"], capture_output=True, text=True, check=True).stdout
    return said.split()[2].removeprefix("go")


def build_go() -> str | None:
    """Build the loop in Go; why it can't be had, where it can't."""
    if shutil.which("go") is None:
        return "go is not installed"
    BUILD.mkdir(parents=True, exist_ok=True)
    command = ["go", "build", "-o", str(BUILD / "loop"), str(PEERS / "loop.go")]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    return built.stderr.strip() or "go build failed" if built.returncode else None


def prepare_aiohttp(task: Task) -> Prepared:
    return Prepared([sys.executable, str(PEERS / "aiohttp_loop.py"), *loop_arguments(task)])


WRK_SCRIPT = """
wrk.method, wrk.path = "POST", "/v1/chat/completions"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [[{"model":"%s","messages":[{"role":"user","content":"%s"}]}]]
"""


def prepare_wrk(task: Task) -> Prepared:
    """wrk goes by time; nginx counts how many requests that were."""
    script = task.folder / "wrk.lua"
    script.write_text(WRK_SCRIPT % (MODEL, text(0)))
    seconds = 1 + min(10, task.requests // 20_000)
    command = ["wrk", "--threads", "1", "--connections", str(CONNECTIONS)]
    return Prepared([*command, f"--duration={seconds}s", "--script", str(script), task.base_url])


def wrk_version() -> str:
    said = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False).stdout
    return said.split()[1] if said.startswith("wrk") else "?"


def go() -> Client:
    return Client(
        name="go",
        what="bare loop over Go's net/http and encoding/json, GOMAXPROCS=1",
        prepare=prepare_go,
        version=go_version,
        missing=build_go(),
    )


AIOHTTP = Client(
    name="aiohttp",
    what="bare loop over aiohttp's ClientSession, on uvloop",
    prepare=prepare_aiohttp,
    version=lambda: version("aiohttp"),
    weight=3,
)

WRK = Client(
    name="wrk",
    what="wrk (C): one body again and again, answers not parsed; the floor",
    prepare=prepare_wrk,
    version=wrk_version,
    tls=False,
    exact=False,
    missing=None if shutil.which("wrk") else "wrk is not installed",
)
