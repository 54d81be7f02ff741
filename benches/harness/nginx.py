"""The server that all clients ask: nginx, which answers a chat completion of 0.5 KB from memory.

It listens four times: plain and over TLS, and of both once more with a log of what each request
weighs on the wire, for a look at every client before anything is measured. It counts its requests,
so that a client that leaves some out is found.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from harness.account import pinned
from harness.certificate import Certificate
from harness.payload import ANSWER

CONFIG = """
daemon off;
master_process off;
error_log stderr crit;
pid {folder}/nginx.pid;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    log_format wire '$request_length $content_length $bytes_sent $connection';
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    default_type application/json;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_session_tickets off;
    server {{
        listen 127.0.0.1:{ports[0]} backlog=4096;
        listen 127.0.0.1:{ports[1]} ssl backlog=4096;
        location /served {{ stub_status; }}
        location / {{ return 200 '{answer}'; }}
    }}
    server {{
        listen 127.0.0.1:{ports[2]};
        listen 127.0.0.1:{ports[3]} ssl;
        access_log {folder}/wire.log wire;
        location / {{ return 200 '{answer}'; }}
    }}
}}
"""


class Wire(msgspec.Struct, frozen=True):
    """What a client's requests weighed: means over a short run of their own."""

    requests: int
    head_bytes: float
    body_bytes: float
    answer_bytes: float
    connections: int


class Nginx:
    """A running nginx. URLs end in /v1."""

    def __init__(self, folder: Path, ports: list[int], certificate: Certificate) -> None:
        self._wire_log = folder / "wire.log"
        self._ports = ports
        self.ca_file = certificate.path

    def url(self, *, tls: bool, logged: bool = False) -> str:
        port = self._ports[tls + 2 * logged]
        return f"{'https' if tls else 'http'}://127.0.0.1:{port}/v1"

    def served(self) -> int:
        """Requests so far, this one too."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._ports[0]}/served") as page:
            return int(re.split(r"\s+", page.read().decode().splitlines()[2].strip())[2])

    def wire(self) -> Wire:
        """What came to the logged ports since the last call; a body that is answered unread, as
        here, is not in nginx's $request_length."""
        rows = [list(map(int, line.split())) for line in self._wire_log.read_text().splitlines()]
        os.truncate(self._wire_log, 0)
        return Wire(
            requests=len(rows),
            head_bytes=statistics.fmean(row[0] for row in rows),
            body_bytes=statistics.fmean(row[1] for row in rows),
            answer_bytes=statistics.fmean(row[2] for row in rows),
            connections=len({row[3] for row in rows}),
        )


@contextmanager
def nginx(folder: Path, cores: set[int]) -> Iterator[Nginx]:
    """nginx on these cores, in a folder of its own, until the context ends."""
    folder.mkdir()
    certificate = Certificate.made(folder)
    ports = free_ports(4)
    config = folder / "nginx.conf"
    config.write_text(
        CONFIG.format(
            folder=folder,
            ports=ports,
            answer=json.dumps(ANSWER, separators=(",", ":")),
            certificate=certificate.path,
            key=certificate.key_path,
        )
    )
    process = subprocess.Popen(
        [shutil.which("nginx") or "nginx", "-c", str(config), "-p", str(folder)],
        preexec_fn=pinned(cores),
    )
    try:
        wait_until_listening(process, ports)
        yield Nginx(folder, ports, certificate)
    finally:
        process.terminate()
        process.wait()


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody has now."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def wait_until_listening(process: subprocess.Popen[bytes], ports: list[int]) -> None:
    deadline = time.monotonic() + 10
    for port in ports:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
