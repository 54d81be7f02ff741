"""A connection that ends at each byte of an answer: never half of it, and never another's."""

from __future__ import annotations

import asyncio
import json

import pytest

from penstock.providers.openai_answers import shape_for
from penstock.providers.provider import Answer, BadResponse
from penstock.transport.failure import Failure
from penstock.transport.transport import Response
from transport.conftest import Client, Run
from transport.raw import Peer, RawServer, chunked, chunked_zipped, counted, until_end, zipped

PATH = "/chat/completions"
TEXT = "an answer\r\n\r\nwith two lines"
MESSAGE = {"message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
BODY = json.dumps({"choices": [MESSAGE]}).encode()
FRAMINGS = [counted, chunked, zipped, chunked_zipped, until_end]
AT_ONCE = 64


def until_end_zipped(body: bytes) -> bytes:
    head, _, packed = zipped(body).partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]
    return b"\r\n".join(lines) + b"\r\n\r\n" + packed


async def outcomes(it: Client, server: RawServer, count: int) -> list[Response | Failure]:
    """What comes of so many requests, by their numbers; each on a connection of its own."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> Response | Failure:
        async with turns:
            return await it.ask(server, b"%d" % number)

    return await asyncio.gather(*(one(number) for number in range(count)))


def text_of(response: Response) -> str | None:
    """The text that the engine would take for the answer; None where it would ask again."""
    try:
        answer = shape_for(PATH).answer(response.body)
    except BadResponse:
        return None
    assert isinstance(answer, Answer)
    return answer.output


@pytest.mark.parametrize("ending", ["close", "reset"])
@pytest.mark.parametrize("framing", [*FRAMINGS, until_end_zipped])
def test_of_an_answer_that_is_cut_at_any_byte_all_or_nothing_is_read(
    run: Run, client, framing, ending: str
) -> None:
    whole = framing(BODY)

    async def main() -> None:
        async def serve(peer: Peer) -> None:
            peer.say(whole[: int(await peer.request())])
            await getattr(peer, ending)()

        async with RawServer(serve) as server, client() as it:
            came = await outcomes(it, server, len(whole))
            for length, outcome in enumerate(came):
                if isinstance(outcome, Failure):
                    assert outcome.kind == "disconnected", length
                    assert outcome.sent_ns > 0
                    continue
                assert framing in (until_end, until_end_zipped), length
                text = text_of(outcome)
                assert text is None or text == TEXT, length
            assert it.transport.counters.reconnects == 0

    run(main)


@pytest.mark.parametrize("framing", FRAMINGS[:-1])
def test_of_a_kept_connection_that_ends_at_any_byte_no_answer_is_taken_for_another(
    run: Run, client, framing
) -> None:
    """Nothing at all of the second answer: asked once more, unseen; something of it: a failure."""
    first, whole = framing(b'"first"'), framing(BODY)

    async def main() -> None:
        async def serve(peer: Peer) -> None:
            while (body := await peer.request()) in (b"first", b"0"):
                if body == b"0" and peer.number == 0:
                    return
                peer.say(first if body == b"first" else whole)
            peer.say(whole[: int(body)])

        async with RawServer(serve) as server:
            for length in range(len(whole)):
                async with client() as it:
                    assert (await it.answer(server, b"first")).body == b'"first"'
                    outcome = await it.ask(server, b"%d" % length)
                    reconnects = it.transport.counters.reconnects
                    if length:
                        assert isinstance(outcome, Failure)
                        assert (outcome.kind, reconnects) == ("disconnected", 0)
                    else:
                        assert isinstance(outcome, Response)
                        assert (outcome.body, reconnects) == (BODY, 1)

    run(main)


def test_of_an_encrypted_answer_that_is_cut_anywhere_all_or_nothing_is_read(
    run: Run, client, authority: str
) -> None:
    """Every seventh byte: a handshake costs a hundred times a connection."""
    whole = chunked(BODY)

    async def main() -> None:
        async def serve(peer: Peer) -> None:
            peer.say(whole[: 7 * int(await peer.request())])
            await peer.writer.drain()
            peer.writer.transport.abort()  # no farewell: as if it was cut on its way

        async with RawServer(serve, "localhost") as server, client(ca_file=authority) as it:
            came = await outcomes(it, server, len(whole) // 7)
            assert {one.kind for one in came if isinstance(one, Failure)} == {"disconnected"}
            assert not any(isinstance(one, Response) for one in came)

    run(main)
