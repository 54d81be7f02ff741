"""Mayhem: what a signal from outside can do to the processes of a run, at any moment."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from random import Random

from integration.place import Live
from penstock.ledger.process import Process, is_alive
from torture import tree
from torture.chamber import COMMAND_SECONDS, MOST_AGAIN, MOST_AGAIN_ORPHANED, WORKERS, Chamber

# A worker that is ready and silent for so long counts as hung. One that still starts is spared: on
# a busy machine that takes its time.
HUNG_SECONDS = 3
IMPATIENT = f"""
import sys
if "penstock.engine.worker" not in sys.orig_argv:
    from penstock.engine import crew, worker_process
    crew.HUNG_NS = {HUNG_SECONDS}_000_000_000
    silent_ns = worker_process.WorkerProcess.silent_ns
    worker_process.WorkerProcess.silent_ns = (
        lambda self, *times: silent_ns(self, *times) if self.ready else 0
    )
"""

# A row that aborts the worker which asks for it.
POISON = """
import os, sys
if "penstock.engine.worker" in sys.orig_argv:
    from penstock.providers.openai import OpenAI
    ask = OpenAI.request
    def request(self, record, *more):
        asked = ask(self, record, *more)
        if {text!r} in asked.body:
            os.abort()
        return asked
    OpenAI.request = request
"""


class Mayhem:
    """A run under way in a chamber, and what is done to it. `done` counts the deeds by kind."""

    def __init__(self, chamber: Chamber, random: Random) -> None:
        self.chamber = chamber
        self.random = random
        self.done: Counter[str] = Counter()
        self.history: list[str] = []
        self._lost = 0  # workers that died with more than what was in flight
        self._live = self._start()

    def wreak(self, deeds: int) -> None:
        """So many deeds, at moments spread over the run, and then to its end in peace."""
        choice: list[tuple[Callable[[], None], int]] = [
            (self.kill_worker, 4),
            (self.kill_supervisor, 2),
            (self.kill_all, 1),
            (self.hang_worker, 1),
            (self.stop_worker_for_a_moment, 1),
            (self.stop_supervisor, 1),
            (self.terminate_worker, 1),
            (self.terminate, 1),
            (self.kill_supervisor_over_a_stopped_worker, 1),
        ]
        names, weights = zip(*choice, strict=True)
        rows = len(self.chamber.place.rows)
        for _ in range(deeds):
            self.wait_for_a_moment(rows // deeds)
            if self._live.process.poll() is not None:
                break
            deed = self.random.choices(names, weights)[0]
            self.history.append(deed.__name__)
            deed()
            self.chamber.check_outputs_are_whole()
            self.kill_the_quarantine_s_worker()
        ended = self._live.wait(COMMAND_SECONDS)
        assert ended.code in (0, 3), ended.stderr

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell what was done, should a check fail."""
        try:
            yield
        except BaseException:
            print("deeds:", *self.history, dict(self.done))
            raise

    # --- deeds ------------------------------------------------------------------------------------

    def kill_worker(self) -> None:
        if found := self.workers():
            self._kill(self.random.choice(found).pid)

    def kill_the_quarantine_s_worker(self) -> None:
        """If there is one just now."""
        alone = {one["pid"] for one in self._live.events() if one.get("slots") == 1}
        for worker in self.workers():
            if worker.pid in alone and self.random.random() < 0.5:
                self._kill(worker.pid)

    def kill_supervisor(self) -> None:
        self._kill(self._live.process.pid)
        self._live.wait()
        self._live = self._start()

    def kill_all(self) -> None:
        self._lost += WORKERS
        self._live.signal_all(signal.SIGKILL)
        self._count_kill()
        self._live.wait()
        self._live = self._start()

    def hang_worker(self) -> None:
        """A worker is stopped for too long, and woken late: by then it was replaced."""
        if not (worker := self._stopped()):
            return
        with suppress(AssertionError):  # the run may end meanwhile: the other worker does all
            self._live.until(lambda: not is_alive(worker))
        tree.send(worker.pid, signal.SIGCONT)

    def stop_worker_for_a_moment(self) -> None:
        if worker := self._stopped():
            self.wait_for_a_moment(20)
            tree.send(worker.pid, signal.SIGCONT)

    def stop_supervisor(self) -> None:
        """A second one, started meanwhile, is refused, naming the first."""
        pid = self._live.process.pid
        self.done["stops"] += 1
        tree.send(pid, signal.SIGSTOP)
        second = self.chamber.start(self.chamber.run_command()).wait(COMMAND_SECONDS)
        tree.send(pid, signal.SIGCONT)
        assert second.code == 6, second.stderr
        assert f"pid {pid}" in second.stderr

    def terminate_worker(self) -> None:
        """It ignores that: a service manager signals every process of a service."""
        if found := self.workers():
            worker = self.random.choice(found)
            self.done["terms"] += tree.send(worker.pid, signal.SIGTERM)
            self.wait_for_a_moment(10)

    def terminate(self) -> None:
        self.done["terms"] += 1
        self._live.signal(signal.SIGTERM)
        ended = self._live.wait(COMMAND_SECONDS)
        assert ended.code in (0, 3, 143), ended.stderr
        self._live = self._start()

    def kill_supervisor_over_a_stopped_worker(self) -> None:
        """The next supervisor waits for the worker, which wakes late, or is killed for it."""
        worker = self._stopped()
        if worker:
            self._lost += 1
        self.kill_supervisor()
        if worker and self.random.random() < 0.5:
            with suppress(AssertionError):
                self._live.until(lambda: not is_alive(worker), self.random.random() * 3)
            tree.send(worker.pid, signal.SIGCONT)

    # --- what is known ----------------------------------------------------------------------------

    def workers(self) -> list[Process]:
        return self._live.workers()

    def wait_for_a_moment(self, requests: int) -> None:
        """Until the provider has got some requests more; less long where the run ends."""
        some = self.random.randint(1, max(1, requests))
        before = self.received()
        with suppress(AssertionError):
            self._live.until(lambda: self.received() >= before + some, COMMAND_SECONDS)

    def received(self) -> int:
        return int(self.chamber.provider.stats()["received"])

    def most_again(self) -> int:
        """How many rows may have been bought twice: see `chamber`."""
        replaced = sum(one["event"] == "worker_replaced" for one in self._live.events())
        orphans = self.done["supervisors"] * WORKERS
        return (replaced + self._lost) * MOST_AGAIN + orphans * MOST_AGAIN_ORPHANED

    # --- acting -----------------------------------------------------------------------------------

    def _start(self) -> Live:
        return self.chamber.start(self.chamber.run_command())

    def _stopped(self) -> Process | None:
        if not (found := self.workers()):
            return None
        worker = self.random.choice(found)
        self.done["stops"] += tree.send(worker.pid, signal.SIGSTOP)
        return worker

    def _kill(self, pid: int) -> None:
        if pid == self._live.process.pid:
            self.done["supervisors"] += 1
        if tree.send(pid, signal.SIGKILL):
            self._count_kill()

    def _count_kill(self) -> None:
        stats = self.chamber.provider.stats()
        ended = stats["answered_bodies"] + stats["rejected"]
        self.done["kills"] += 1
        self.done["kills_mid_run"] += 0 < ended < len(self.chamber.place.rows)
