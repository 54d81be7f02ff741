"""A server on a thread of its own that answers as a function says, for what no simulator does."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from transport.raw import Peer, RawServer, Serve, counted


@contextmanager
def serving(serve: Serve, certificate: str | None = None) -> Iterator[str]:
    """Run `serve` on every connection, while the context lasts; gives the base URL."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = RawServer(serve, certificate)
    try:
        asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
        yield f"http://127.0.0.1:{server.port}/v1"
        asyncio.run_coroutine_threadsafe(server.__aexit__(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def answering(answer: Callable[[str, dict[str, Any]], bytes]) -> Serve:
    """Serve with `answer(head, body)`, request for request on each connection."""

    async def serve(peer: Peer) -> None:
        while True:
            body = json.loads(await peer.request())
            peer.say(answer(peer.heads.pop().decode(), body))

    return serve


def chat(text: str, **more: Any) -> bytes:
    """A good chat completion, as JSON."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": more.pop("finish_reason", "stop")}
    usage = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
    return json.dumps(
        {"object": "chat.completion", "choices": [choice], "usage": usage, **more}
    ).encode()


def echo(head: str, body: dict[str, Any]) -> bytes:
    """What the simulator would answer, without its filler."""
    return counted(chat(f"echo: {asked(body)}"))


def asked(body: dict[str, Any]) -> str:
    """The text of a chat request."""
    return str(body["messages"][-1]["content"])


def refusal(status: int, message: str, **more: Any) -> bytes:
    """An error in OpenAI's shape."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return counted(json.dumps({"error": {**error, **more}}).encode(), status)
