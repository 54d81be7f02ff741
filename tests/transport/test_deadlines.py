"""When a request is written, how long it may take, and what ends it early."""

from __future__ import annotations

import asyncio
import time

import pytest

from penstock.transport.transport import Counters
from transport.conftest import Run
from transport.raw import Peer, RawServer, counted, echo


async def silence(peer: Peer) -> None:
    await peer.request()
    await peer.linger()


def test_ready_is_awaited_with_a_connection_in_hand_and_nothing_written(run: Run, client) -> None:
    async def main() -> None:
        async with RawServer(echo) as server, client() as it:

            async def ready() -> None:
                peer = await server.peer(0)
                untouched.append(peer.untouched())

            untouched: list[bool] = []
            await it.answer(server, ready=ready)
            assert untouched == [True]
            assert len(server.peers) == 1

    run(main)


@pytest.mark.parametrize("certificate", [None, "localhost"])
def test_a_request_that_waited_is_written_in_the_step_in_which_ready_returns(
    run: Run, client, certificate, authority
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        arrived: list[bytes] = []

        async def ready() -> None:
            opened = loop.create_future()
            loop.call_soon(open_the_gate, opened)
            await opened

        def open_the_gate(opened: asyncio.Future[None]) -> None:
            opened.set_result(None)
            loop.call_soon(look)  # runs right behind the step that `ready` returns in

        def look() -> None:
            arrived.append(server.peers[0].peek())
            server.peers[0].writer.transport.resume_reading()

        async with RawServer(echo, certificate) as server, client(ca_file=authority) as it:
            await it.answer(server)
            server.peers[0].writer.transport.pause_reading()
            await it.answer(server, ready=ready)
            assert len(arrived) == 1
            assert arrived[0]

    run(main)


@pytest.mark.parametrize("certificate", [None, "localhost"])
def test_a_new_connection_is_kept_when_ready_returns_at_once(
    run: Run, client, certificate, authority
) -> None:
    async def main() -> None:
        async def ready() -> None:
            pass

        async with RawServer(echo, certificate) as server, client(ca_file=authority) as it:
            await it.answer(server, ready=ready)
            assert it.transport.counters == Counters()
            assert len(server.peers) == 1

    run(main)


def test_ready_may_have_nothing_to_wait_for(run: Run, client) -> None:
    async def main() -> None:
        async with RawServer(echo) as server, client() as it:
            called: list[int] = []
            for body in (b"1", b"2", b"3"):
                answer = await it.answer(server, body, ready=lambda: called.append(1))
                assert answer.body == body
            assert called == [1, 1, 1]
            assert len(server.peers) == 1

    run(main)


def test_the_time_from_ready_to_the_write_is_short(run: Run, client) -> None:
    async def main() -> None:
        async with RawServer(echo) as server, client() as it:

            async def ready() -> None:
                returned.append(time.monotonic_ns())

            returned: list[int] = []
            sent = [(await it.answer(server, ready=ready)).sent_ns for _ in range(100)]
            late = sorted(went - came for went, came in zip(sent, returned, strict=True))
            assert 0 <= late[50] < 2_000_000

    run(main)


def test_what_ready_raises_is_raised_and_nothing_is_sent(run: Run, client) -> None:
    async def main() -> None:
        async with RawServer(echo) as server, client() as it:
            for error in (TimeoutError("mine"), OSError("mine"), ValueError("mine")):

                async def ready(error: Exception = error) -> None:
                    raise error

                with pytest.raises(type(error), match="mine"):
                    await it.ask(server, ready=ready)
            await it.answer(server)
            assert [len(peer.heads) for peer in server.peers] == [1]

    run(main)


@pytest.mark.parametrize("certificate", [None, "localhost"])
def test_a_connection_that_ends_while_waiting_for_ready_is_replaced(
    run: Run, client, certificate, authority
) -> None:
    async def main() -> None:
        async with RawServer(echo, certificate) as server, client(ca_file=authority) as it:

            async def ready() -> None:
                nonlocal asked
                asked += 1
                await (await server.peer(0)).close()

            asked = 0
            assert (await it.answer(server, b"1", ready=ready)).body == b"1"
            assert asked == 1
            assert [len(peer.heads) for peer in server.peers] == [0, 1]
            assert it.transport.counters.reconnects == 0

    run(main)


@pytest.mark.parametrize("seen", [True, False])
def test_bytes_that_come_while_waiting_for_ready_are_nobodys_answer(
    run: Run, client, seen: bool
) -> None:
    async def main() -> None:
        async with RawServer(echo) as server, client() as it:

            async def ready() -> None:
                peer = await server.peer(0)
                peer.slip(counted(b'"stale"'))
                if seen:
                    await peer.gone.wait()

            assert (await it.answer(server, b"1", ready=ready)).body == b"1"
            assert len(server.peers) == 2

    run(main)


def test_an_attempt_that_takes_too_long_is_a_failure_and_ends_its_connection(
    run: Run, client
) -> None:
    async def main() -> None:
        async with RawServer(silence) as server, client(timeout_seconds=0.05) as it:
            failure = await it.failure(server)
            assert (failure.kind, failure.sent_ns > 0) == ("timeout", True)
            assert 0.04e9 < failure.done_ns - failure.sent_ns < 5e9
            await server.peers[0].gone.wait()

    run(main)


def test_a_body_that_trickles_does_not_extend_the_time(run: Run, client) -> None:
    async def main() -> None:
        async def serve(peer: Peer) -> None:
            await peer.request()
            peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not peer.writer.is_closing():
                peer.say(b"x")
                await asyncio.sleep(0.005)

        async with RawServer(serve) as server, client(timeout_seconds=0.1) as it:
            assert (await it.failure(server)).kind == "timeout"
            await server.peers[0].gone.wait()

    run(main)


def test_a_timeout_on_a_reused_connection_is_not_tried_again(run: Run, client) -> None:
    async def main() -> None:
        async def serve(peer: Peer) -> None:
            peer.say(counted(await peer.request()))
            await silence(peer)

        async with RawServer(serve) as server, client(timeout_seconds=0.4) as it:
            await it.answer(server)
            assert (await it.failure(server)).kind == "timeout"
            assert len(server.peers) == 1

    run(main)


def test_the_time_goes_on_over_a_replaced_connection(run: Run, client) -> None:
    async def main() -> None:
        async def serve(peer: Peer) -> None:
            if peer.number == 0:
                peer.say(counted(await peer.request()))
                await peer.request()
                await asyncio.sleep(0.7)
                return
            await silence(peer)

        async with RawServer(serve) as server, client(timeout_seconds=1) as it:
            await it.answer(server)
            failure = await it.failure(server)
            assert (failure.kind, len(server.peers)) == ("timeout", 2)
            assert failure.done_ns - failure.sent_ns < 0.65e9

    run(main)


def test_waiting_for_ready_takes_none_of_the_time(run: Run, client) -> None:
    async def main() -> None:
        async with RawServer(echo) as server, client(timeout_seconds=0.4) as it:
            await it.answer(server, ready=lambda: asyncio.sleep(0.5))

    run(main)


def test_connecting_has_its_own_time(run: Run, client) -> None:
    async def main() -> None:
        async def never_greet(peer: Peer) -> None:
            await peer.linger()

        async with RawServer(never_greet) as server, client(connect_timeout_seconds=0.05) as it:
            server.url = server.url.replace("http:", "https:")
            failure = await it.failure(server)
            assert (failure.kind, failure.sent_ns) == ("connect_timeout", 0)
            await server.peers[0].gone.wait()

    run(main)


def test_cancelling_a_handshake_ends_the_connection(run: Run, client) -> None:
    async def main() -> None:
        async def never_greet(peer: Peer) -> None:
            await peer.reader.read(1)
            peer.asked.set()
            await peer.linger()

        async with RawServer(never_greet) as server, client() as it:
            server.url = server.url.replace("http:", "https:")
            asking = asyncio.create_task(it.ask(server))
            peer = await server.peer(0)
            await peer.asked.wait()
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await peer.gone.wait()

    run(main)


def test_cancelling_ends_the_connection(run: Run, client) -> None:
    async def main() -> None:
        async with RawServer(silence) as server, client() as it:
            asking = asyncio.create_task(it.ask(server))
            peer = await server.peer(0)
            await peer.asked.wait()
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await peer.gone.wait()

    run(main)


def test_cancelling_within_a_body_ends_the_connection(run: Run, client) -> None:
    async def main() -> None:
        async def serve(peer: Peer) -> None:
            await peer.request()
            await peer.say_and_be_heard(counted(bytes(20 << 20))[:-1])
            within.set()
            await peer.linger()

        within = asyncio.Event()
        async with RawServer(serve) as server, client(max_body_bytes=64 << 20) as it:
            asking = asyncio.create_task(it.ask(server))
            await within.wait()
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await server.peers[0].gone.wait()

    run(main)


def test_cancelling_while_waiting_for_ready_keeps_the_connection(run: Run, client) -> None:
    async def main() -> None:
        async with RawServer(echo) as server, client() as it:
            waiting = asyncio.Event()

            async def ready() -> None:
                waiting.set()
                await asyncio.Event().wait()

            asking = asyncio.create_task(it.ask(server, ready=ready))
            await waiting.wait()
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await it.answer(server)
            assert [len(peer.heads) for peer in server.peers] == [1]

    run(main)


def test_closing_fails_what_is_under_way(run: Run, client) -> None:
    async def main() -> None:
        async with RawServer(silence) as server, client() as it:
            asking = asyncio.create_task(it.failure(server))
            await (await server.peer(0)).asked.wait()
            await it.transport.close()
            assert (await asking).kind == "disconnected"
            await it.transport.close()

    run(main)
