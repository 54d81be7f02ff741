"""Runs one command and says what it cost: CPU of the process and of all that it ever started.

    python benches/harness/account.py --cores 0 [--mark 'out/.x.*.tmp'] -- COMMAND...

A process of its own, so that the system's own sum over waited-for children (RUSAGE_CHILDREN) holds
the command's tree and nothing else. It is a subreaper: a daemon that the command leaves behind
becomes its child, is waited for too, and is counted. Threads count in their process. Whoever
ignores the end of its children (SIGCHLD) has the system forget what they took; a control group
around the tree, where one can be made, knows of them all the same. One line of JSON goes to stdout,
what the command says to stderr.

`--mark` names a file that appears when a part begins that is to be told apart (the export): the
CPU until then is read off the command's clock, so at most one look (5 ms) of that part counts as
the rest, never the other way round. Linux only.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LOOK_SECONDS = 0.005
PATIENCE_SECONDS = 60.0  # for what the command left behind, until it is killed
TICKS = os.sysconf("SC_CLK_TCK")


def set_process(option: int, value: int) -> None:
    """prctl(2). Raises OSError."""
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def pinned(cores: set[int]) -> Callable[[], None]:
    """What a new process does first: keep to these cores, and end when its parent does."""

    def pin() -> None:
        os.sched_setaffinity(0, cores)
        set_process(PR_SET_PDEATHSIG, signal.SIGKILL)

    return pin


def cpu_so_far(pid: int) -> float:
    """CPU seconds, in ticks of 10 ms, of a process and all below it: alive, dead or waited for."""
    while True:
        try:
            return tree_cpu(pid)
        except FileNotFoundError:  # something ended meanwhile, and counts elsewhere now
            continue


def tree_cpu(pid: int) -> float:
    """One look. Raises FileNotFoundError where a process or a thread is gone."""
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, stat[11:15])) / TICKS + sum(map(tree_cpu, children(pid)))


def wait_for(process: subprocess.Popen[bytes], mark: Path | None) -> float | None:
    """Wait for the command's end; the CPU it had used when `mark` appeared, None if it did not."""
    while mark is not None:
        if any(mark.parent.glob(mark.name)):
            return cpu_so_far(process.pid) if process.poll() is None else None
        if process.poll() is not None:
            return None
        time.sleep(LOOK_SECONDS)
    return None


def children(pid: int) -> list[int]:
    """A process's children, those too that nobody has waited for yet."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for one in threads for child in (one / "children").read_text().split()]


def bury_orphans() -> int:
    """Wait for all that the command left behind; returns how many had to be killed."""
    deadline, killed = time.monotonic() + PATIENCE_SECONDS, 0
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return killed
        if pid:
            continue
        if time.monotonic() > deadline:
            for orphan in children(os.getpid()):
                os.kill(orphan, signal.SIGKILL)
                killed += 1
            deadline = time.monotonic() + PATIENCE_SECONDS
        time.sleep(LOOK_SECONDS)


class Group:
    """A control group (v2), whose CPU is that of all that was ever in it."""

    def __init__(self, mounted: Path) -> None:
        """Raises OSError where none can be made: that takes root, and a file system to write."""
        self._path = mounted / f"penstock-bench-{os.getpid()}"
        self._path.mkdir()

    @classmethod
    def made(cls) -> Group | None:
        """One where that can be had."""
        for line in Path("/proc/mounts").read_text().splitlines():
            _, where, kind, *_ = line.split()
            if kind == "cgroup2":
                with contextlib.suppress(OSError):
                    return cls(Path(where))
        return None

    def enter(self) -> None:
        """Be in it from here on, with all children to come."""
        (self._path / "cgroup.procs").write_text("0")

    def close(self) -> float:
        """Its CPU seconds; it is gone then. All that was in it must have ended."""
        lines = (self._path / "cpu.stat").read_text().splitlines()
        used = dict(line.split() for line in lines)["usage_usec"]
        self._path.rmdir()
        return int(used) / 1e6


def account(command: list[str], cores: set[int], mark: Path | None) -> dict[str, object]:
    """Run a command on these cores; what it took."""
    set_process(PR_SET_CHILD_SUBREAPER, 1)
    group, pin = Group.made(), pinned(cores)

    def prepare() -> None:
        pin()
        if group is not None:
            group.enter()

    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=sys.stderr, preexec_fn=prepare)
    at_mark = wait_for(process, mark)
    code = process.wait()
    wall = time.perf_counter() - began
    killed = bury_orphans()
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    waited_for = usage.ru_utime + usage.ru_stime
    return {
        "exit_code": code,
        "user_seconds": usage.ru_utime,
        "system_seconds": usage.ru_stime,
        "at_mark_seconds": at_mark,
        "wall_seconds": wall,
        "largest_resident_bytes": usage.ru_maxrss * 1024,
        "preemptions": usage.ru_nivcsw,
        "killed": killed,
        "forgotten_seconds": max(0.0, group.close() - waited_for) if group is not None else 0.0,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", required=True, help="with commas")
    parser.add_argument("--mark", type=Path, help="a file name, with * where it is not known")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    cores = {int(core) for core in given.cores.split(",")}
    print(json.dumps(account(given.command, cores, given.mark)))


if __name__ == "__main__":
    main()
