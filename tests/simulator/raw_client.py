"""A client that sees bytes: what the simulator sends is judged without any HTTP library."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar

import uvloop

from penstock.simulator import Settings, Simulator

T = TypeVar("T")
CHAT = "/v1/chat/completions"
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Response(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def chat(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "some-model", "messages": [{"role": "user", "content": text}], **fields}


def request_bytes(path: str, payload: Any = None, *, method: str = "POST", **headers: str) -> bytes:
    body = payload if isinstance(payload, bytes) else b""
    if payload is not None and not isinstance(payload, bytes):
        body = json.dumps(payload).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


async def read_response(reader: asyncio.StreamReader) -> Response:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *rest = head[:-4].split("\r\n")
    headers = dict(one.split(": ", 1) for one in rest)
    if headers.get("transfer-encoding") == "chunked":
        body = await read_chunks(reader)
    elif "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    else:
        body = await reader.read()
    return Response(int(line.split(" ")[1]), headers, body)


async def read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        assert await reader.readexactly(2) == b"\r\n"
    assert await reader.readexactly(2) == b"\r\n"
    return body


@asynccontextmanager
async def connected(
    simulator: Simulator, **options: Any
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port, **options)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def ask(simulator: Simulator, path: str, payload: Any = None, **options: Any) -> Response:
    """One request on a connection of its own."""
    async with connected(simulator) as (reader, writer):
        writer.write(request_bytes(path, payload, **options))
        return await read_response(reader)


async def all_bytes(simulator: Simulator, path: str, payload: Any) -> tuple[bytes, bool]:
    """All that one request brings until the connection ends, and whether it ended by a reset."""
    async with connected(simulator) as (reader, writer):
        writer.write(request_bytes(path, payload))
        received = b""
        try:
            while data := await reader.read(65536):
                received += data
        except ConnectionResetError:
            return received, True
        return received, False


async def until(done: Callable[[], bool]) -> None:
    """Gives way to the loop until `done()`; the conversation's time limit ends it too."""
    for _ in iter(done, True):
        await asyncio.sleep(0)


def with_simulator(
    settings: Settings,
    conversation: Callable[[Simulator], Awaitable[T]],
    loop: str = "uvloop",
) -> T:
    """Runs a conversation with a simulator in this process, for at most 20 s."""

    async def main() -> T:
        async with Simulator(settings) as simulator, asyncio.timeout(20):
            return await conversation(simulator)

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(main())
