"""The accountant sees all CPU that a command's processes use, whoever waits for them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from harness.account import Group
from harness.usage import RunFailed, Usage, measured

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="benchmarks are for Linux")

# Each process writes down what the system says that it alone has used. The daemon outlives the
# command, and is nobody's child by then.
TREE = """
import os, subprocess, sys, threading, time

def burn(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass

def note(name):
    with open(os.path.join(sys.argv[1], name), "w") as file:
        file.write(str(time.process_time()))

if len(sys.argv) > 2:
    burn(0.15)
    note("child")
    sys.exit()
thread = threading.Thread(target=burn, args=(0.1,))
thread.start()
subprocess.run([sys.executable, __file__, sys.argv[1], "child"], check=True)
thread.join()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        burn(0.2)
        note("daemon")
    os._exit(0)
note("parent")
"""

MARKED = """
import subprocess, sys, time
burn = "import time\\nwhile time.process_time() < 0.2: pass\\n"
pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child = subprocess.Popen([sys.executable, "-c", burn + "print(flush=True); input()"], **pipes)
child.stdout.readline()  # it has burnt, and is alive
dead = subprocess.Popen([sys.executable, "-c", burn], **pipes)
dead.stdout.read()  # it has ended, and nobody has waited for it
while time.process_time() < 0.2:
    pass
open(sys.argv[1], "w").close()
child.communicate(b"\\n")
until = time.process_time() + 0.3
while time.process_time() < until:
    pass
"""


def used(script: str, folder: Path, argument: Path, mark: Path | None = None) -> Usage:
    program = folder / "program.py"
    program.write_text(script)
    core = {min(os.sched_getaffinity(0))}
    return measured(
        [sys.executable, str(program), str(argument)],
        cores=core,
        accountant_cores=core,
        mark=str(mark) if mark else None,
    )


def test_threads_children_and_daemons_are_counted(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    usage = used(TREE, tmp_path, notes)
    told = [float(note.read_text()) for note in notes.iterdir()]
    assert len(told) == 3
    assert sum(told) <= usage.cpu_seconds < sum(told) + 0.15  # their ends, after the last word


def test_what_anyone_used_before_the_mark_is_told_apart(tmp_path: Path) -> None:
    usage = used(MARKED, tmp_path, tmp_path / ".out.7.tmp", tmp_path / ".out.*.tmp")
    assert usage.at_mark_seconds is not None
    assert 0.57 <= usage.at_mark_seconds <= usage.cpu_seconds - 0.2  # three times 0.2, in ticks


def test_a_mark_that_never_comes_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="never seen"):
        used(MARKED, tmp_path, tmp_path / "other", tmp_path / ".out.*.tmp")


def test_a_command_that_fails_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match=r"exit 1(?s:.)*No such file"):
        used(MARKED, tmp_path, tmp_path / "no" / "folder")


FORGETFUL = """
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system forgets what children took
child = os.fork()
until = time.process_time() + (0.4 if child == 0 else 0.05)
while time.process_time() < until:
    pass
if child:
    try:
        os.waitpid(child, 0)
    except ChildProcessError:
        pass
"""


def test_what_the_system_forgets_a_control_group_knows(tmp_path: Path) -> None:
    group = Group.made()
    if group is None:
        pytest.skip("no control group can be made here")
    group.close()
    usage = used(FORGETFUL, tmp_path, tmp_path)
    assert usage.user_seconds + usage.system_seconds < 0.4
    assert 0.45 <= usage.cpu_seconds < 0.6
