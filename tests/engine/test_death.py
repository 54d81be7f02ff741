"""A worker's life is tied to its supervisor's, and a terminal's signals don't reach it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

import pytest

IGNORING = """
import os, signal, sys
from penstock.engine.death import ignore_terminal
ignore_terminal()
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    os.kill(os.getpid(), number)
print("alive")
"""

FOLLOWING = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", '''
import os, sys, time
from penstock.engine import death
death.LAST_SECONDS = 0.05
death.follow_parent(os.getppid())
print(os.getpid(), flush=True)
time.sleep(60)
'''], stdout=sys.stdout)
time.sleep(60)
"""

DEAF = FOLLOWING.replace(
    "death.follow_parent(",
    "import signal; signal.signal(signal.SIGALRM, signal.SIG_IGN)\ndeath.follow_parent(",
)

ORPHANED = """
from penstock.engine.death import follow_parent
follow_parent(999_999_999)
print("still here")
"""


def python(program: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)


def test_a_worker_leaves_a_terminals_signals_to_its_supervisor() -> None:
    with python(IGNORING) as process:
        assert process.communicate(timeout=30)[0] == "alive\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has PR_SET_PDEATHSIG")
@pytest.mark.parametrize("program", [FOLLOWING, DEAF], ids=["", "also one that ignores alarms"])
def test_a_worker_dies_with_its_parent(program: str) -> None:
    with python(program) as parent:
        assert parent.stdout is not None
        assert int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
        ended, _, _ = select.select([parent.stdout], [], [], 30)
        assert ended  # the pipe ends when the child is gone, too
        assert parent.stdout.read() == ""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has PR_SET_PDEATHSIG")
def test_a_worker_ends_at_once_where_its_parent_is_dead_already() -> None:
    with python(ORPHANED) as orphan:
        assert orphan.communicate(timeout=30)[0] == ""
        assert orphan.returncode == 0
