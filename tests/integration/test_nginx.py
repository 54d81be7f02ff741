"""A real web server as the provider: connections that are kept, and closed when it likes."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import find
from integration.conftest import MakePlace
from integration.server import chat

ROWS = 4000
LEAST_PER_SECOND = 300  # slower by far than on any machine that is not stuck

CONFIG = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 50;
  server {{
    listen 127.0.0.1:{port};
    location = /v1/chat/completions {{ default_type application/json; return 200 '{answer}'; }}
  }}
}}
"""


@contextmanager
def nginx(folder: Path, answer: bytes) -> Iterator[str]:
    """An nginx that gives one answer to all; gives its base URL."""
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(folder=folder, port=port, answer=answer.decode()))
    with (folder / "said").open("wb") as said:
        server = subprocess.Popen(
            [str(find("nginx")), "-p", str(folder), "-c", str(config)], stdout=said, stderr=said
        )
    try:
        wait_until_listening(port)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait()


def wait_until_listening(port: int) -> None:
    deadline = time.monotonic() + 10.0
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port)):
                return
        except ConnectionError:
            assert time.monotonic() < deadline, "nginx does not listen"
            time.sleep(0.02)


@pytest.mark.requires_nginx
def test_a_server_that_closes_each_connection_after_some_requests_costs_no_row(
    place: MakePlace,
) -> None:
    run = place(ROWS)
    with nginx(run.folder / "nginx", chat("hello")) as base_url:
        ended = run.run(base_url, max_concurrency=32)
    assert ended.code == 0, ended.stderr
    assert [one["output"] for one in run.results()] == ["hello"] * ROWS
    assert {one["attempts"] for one in run.results()} == {1}
    assert ended.summary["requests"] == ROWS
    assert ROWS / ended.summary["wall_seconds"] > LEAST_PER_SECOND
