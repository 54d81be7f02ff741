"""A worker process as its supervisor sees it, with real processes that are tiny."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from engine.limiters import slab
from penstock.engine import worker_process
from penstock.engine.messages import Drain, FromWorker, Goodbye, Hello, Want
from penstock.engine.worker_process import STDERR_TAIL_BYTES, WorkerProcess
from penstock.observe.slab_layout import C

# Stands in for the interpreter, and so gets what the worker's module would.
PROGRAM = """#!{python} -IS
import os, socket, struct, sys, time
sys.path.append({packages!r})
import msgspec
flag, m, module, descriptor, region, parent, tied = sys.argv[1:]
ours = socket.socket(fileno=int(descriptor))
def send(**message):
    body = msgspec.msgpack.encode(message)
    ours.sendall(struct.pack("<II", len(body), 0) + body)
{body}
"""


class Seen:
    """A worker process, and what was heard of it."""

    def __init__(self) -> None:
        self.worker = WorkerProcess(3, 1, 8, slab())
        self.came: list[FromWorker] = []
        self.lost = asyncio.Event()
        self.changed = asyncio.Event()

    async def spawn(self, region: int, inherited: tuple[int, ...] = ()) -> None:
        await self.worker.spawn(region, inherited, self._received, lambda _: self.lost.set())

    def _received(self, worker: WorkerProcess, message: FromWorker) -> None:
        assert worker is self.worker
        self.came.append(message)
        self.changed.set()

    async def until(self, count: int) -> None:
        while len(self.came) < count:
            self.changed.clear()
            await self.changed.wait()


Play = Callable[..., None]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Spawn a process that runs `body`, and look at it with `main`."""

    def run(
        body: str,
        main: Callable[[Seen], Coroutine[Any, Any, None]],
        inherited: tuple[int, ...] = (),
    ) -> None:
        import msgspec

        program = tmp_path / "program"
        packages = str(Path(msgspec.__file__).parent.parent)
        program.write_text(PROGRAM.format(python=sys.executable, packages=packages, body=body))
        program.chmod(0o755)
        monkeypatch.setattr(worker_process.sys, "executable", str(program))

        async def begin() -> None:
            region = os.open(os.devnull, os.O_RDONLY)
            seen = Seen()
            try:
                await seen.spawn(region, inherited)
                async with asyncio.timeout(20):
                    await main(seen)
            finally:
                seen.worker.kill()
                seen.worker.end()
                seen.worker.close()
                os.close(region)

        asyncio.run(begin())

    return run


def test_messages_of_a_worker_arrive_and_its_end_is_noticed_after_them(play: Play) -> None:
    body = "send(type='Hello', pid=os.getpid()); send(type='Want', rows=5); send(type='Goodbye')"

    async def main(seen: Seen) -> None:
        await seen.lost.wait()
        assert seen.came == [Hello(seen.worker.pid), Want(5), Goodbye()]
        assert seen.worker.end() == 0

    play(body, main)


def test_it_inherits_the_lock_which_so_outlives_its_supervisor(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(seen: Seen) -> None:
        await seen.lost.wait()
        assert seen.came == [Want((tmp_path / "lock").stat().st_ino)]

    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    monkeypatch.setenv("LOCK", str(lock))
    try:
        body = "send(type='Want', rows=os.fstat(int(os.environ['LOCK'])).st_ino)"
        play(body, main, inherited=(lock,))
    finally:
        os.close(lock)


def test_it_is_told_its_parent_and_whether_to_follow_it(play: Play) -> None:
    async def main(seen: Seen) -> None:
        await seen.until(2)
        assert seen.came == [Want(os.getpid()), Want(1)]  # pytest's tests are in the main thread

    play("send(type='Want', rows=int(parent)); send(type='Want', rows=int(tied))", main)


def test_what_is_sent_reaches_the_worker(play: Play) -> None:
    body = """
size, payload = struct.unpack("<II", ours.recv(8, socket.MSG_WAITALL))
message = msgspec.msgpack.decode(ours.recv(size, socket.MSG_WAITALL))
assert message == {"type": "Drain", "grace_seconds": 2.5}, message
send(type="Want", rows=len(ours.recv(payload, socket.MSG_WAITALL)))
"""

    async def main(seen: Seen) -> None:
        seen.worker.send(Drain(2.5), b"payload")
        await seen.until(1)
        assert seen.came == [Want(7)]

    play(body, main)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_how_it_died_is_told_and_killing_the_dead_changes_nothing(
    play: Play, number: signal.Signals
) -> None:
    body = f"send(type='Hello', pid=1); os.kill(os.getpid(), {int(number)}); time.sleep(60)"

    async def main(seen: Seen) -> None:
        await seen.lost.wait()
        seen.worker.kill()
        assert seen.worker.end() == -number
        seen.worker.kill()
        seen.worker.send(Drain(0.0))

    play(body, main)


def test_a_worker_that_does_not_end_by_itself_is_killed(play: Play) -> None:
    async def main(seen: Seen) -> None:
        await seen.until(1)
        seen.worker.kill()
        await seen.lost.wait()
        assert seen.worker.end() == -signal.SIGKILL

    play("send(type='Hello', pid=1); time.sleep(60)", main)


def test_a_worker_that_hangs_after_its_socket_ended_is_killed_when_it_is_reaped(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_process, "LAST_WORDS_SECONDS", 0.05)

    async def main(seen: Seen) -> None:
        await seen.lost.wait()
        assert seen.worker.end() == -signal.SIGKILL

    play("ours.close(); time.sleep(60)", main)


def test_a_traceback_that_comes_after_the_sockets_end_is_not_lost(play: Play) -> None:
    async def main(seen: Seen) -> None:
        await seen.lost.wait()
        assert seen.worker.end() == 1
        assert seen.worker.last_words() == "too late"

    play("ours.close(); time.sleep(0.1); raise SystemExit('too late')", main)


def test_its_last_words_are_the_end_of_what_it_wrote(play: Play) -> None:
    body = "print('x' * 100_000, file=sys.stderr); raise SystemExit('it was the disk')"

    async def main(seen: Seen) -> None:
        await seen.lost.wait()
        assert seen.worker.end() == 1
        words = seen.worker.last_words()
        assert words.endswith("it was the disk")
        assert len(words) <= STDERR_TAIL_BYTES

    play(body, main)


def descriptors() -> set[str]:
    """What this process has open, as far as the system tells."""
    listed = Path("/proc/self/fd")
    return {one.name for one in listed.iterdir()} if listed.exists() else set()


def test_a_process_that_cannot_be_started_raises_and_leaves_no_descriptor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_process.sys, "executable", "/nowhere/python")

    async def main() -> None:
        gc.collect()  # what tests before left open is not closed meanwhile
        before = descriptors()
        seen = Seen()
        with pytest.raises(OSError, match="/nowhere/python"):
            await seen.spawn(0)
        assert descriptors() == before

    asyncio.run(main())


def test_silence_counts_from_the_last_beat_the_start_or_when_it_was_listened_to() -> None:
    worker = WorkerProcess(1, 0, 8, slab())
    began = worker.started_ns
    assert worker.silent_ns(began + 50, 0) == 50
    worker.slab.set(C.HEARTBEAT_NS, began + 30)
    assert worker.silent_ns(began + 50, 0) == 20
    assert worker.silent_ns(began + 50, began + 45) == 5
