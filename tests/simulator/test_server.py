from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from penstock.errors import UsageError
from penstock.simulator import Settings, Simulator
from penstock.simulator.server import base_url
from simulator.raw_client import ask, connected, with_simulator


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80/v1"),
        ("0.0.0.0", "http://127.0.0.1:80/v1"),
        ("::1", "http://[::1]:80/v1"),
        ("::", "http://[::1]:80/v1"),
        ("localhost", "http://localhost:80/v1"),
    ],
)
def test_the_base_url_can_be_used_by_a_client_on_this_machine(host: str, url: str) -> None:
    assert base_url(Settings(host=host), 80) == url


def test_a_free_port_is_taken_and_told() -> None:
    async def talk(simulator: Simulator) -> None:
        assert simulator.port > 0
        assert simulator.base_url == f"http://127.0.0.1:{simulator.port}/v1"
        assert (await ask(simulator, "/healthz", method="GET")).status == 200

    with_simulator(Settings(), talk)


def test_a_port_that_is_taken_is_an_error_that_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"127.0.0.1:{port}") as caught:
            asyncio.run(Simulator(Settings(port=port)).start())
    assert "another port" in caught.value.next_step


def test_a_certificate_that_is_missing_is_an_error(tmp_path: Path) -> None:
    missing = str(tmp_path / "none.pem")
    with pytest.raises(UsageError, match="can't listen"):
        asyncio.run(Simulator(Settings(certfile=missing, keyfile=missing)).start())


def test_stopping_cuts_open_connections_and_can_be_repeated() -> None:
    async def talk(simulator: Simulator) -> None:
        async with connected(simulator) as (reader, _):
            assert (await ask(simulator, "/healthz", method="GET")).status == 200
            await simulator.stop()
            assert await reader.read() == b""
            await simulator.stop()

    with_simulator(Settings(), talk)


def test_reset_is_a_method_too() -> None:
    async def talk(simulator: Simulator) -> None:
        await ask(simulator, "/v1/models", method="GET")
        assert simulator.stats()["received"] == 1
        simulator.reset()
        assert simulator.stats()["received"] == 0

    with_simulator(Settings(), talk)
