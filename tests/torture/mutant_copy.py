"""A copy of the tree to break, with an interpreter of its own that imports nothing else.

Tests start processes (the command, workers, providers) by `sys.executable`, and some of them set
PYTHONPATH. The path to the copy is therefore not in the environment but in the interpreter: a
virtual environment without packages, whose one `.pth` file names the copy first and then the
packages that are installed here.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sysconfig
import venv
from pathlib import Path
from typing import Final

from torture.mutant import ROOT

FOLDERS: Final = ("src", "tests")
FILES: Final = ("pyproject.toml", "setup.py", "README.md", "LICENSE")
# A long run that a mutant keeps from ending is no proof: a test's own limit must be the first.
TEST_SECONDS: Final = 60
SECONDS: Final = 300

COMMAND = """\
#!{python}
import sys
from penstock.cli import main
sys.exit(main())
"""


class MutantCopy:
    """The tree, copied into `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in FOLDERS:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.pyc"))
        for name in FILES:
            shutil.copy(ROOT / name, folder / name)
        self.python = make_interpreter(folder)

    def build(self) -> None:
        """Build the extension from the copy's sources."""
        command = [self.python, "setup.py", "-q", "build_ext", "--inplace"]
        subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "PENSTOCK_QUICK": "1"},
            check=True,
            capture_output=True,
            timeout=SECONDS,
        )

    def test(self, tests: list[str], *options: str) -> Path:
        """Run some tests; returns pytest's report of them, which is missing if it came to none."""
        report = self.folder / "report.xml"
        report.unlink(missing_ok=True)
        command = [
            *(self.python, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("--hypothesis-seed=0", f"--timeout={TEST_SECONDS}"),
            *(f"--basetemp={self.folder / 'temporary'}", f"--junitxml={report}"),
            *("-o", "junit_family=xunit1", *options, *tests),
        ]
        with (self.folder / "pytest.txt").open("wb") as said:
            running = subprocess.Popen(
                command, cwd=self.folder, stdout=said, stderr=said, start_new_session=True
            )
        try:
            running.wait(SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()
        return report

    @property
    def said(self) -> str:
        """What pytest said last."""
        return (self.folder / "pytest.txt").read_text(errors="replace")


def make_interpreter(folder: Path) -> str:
    """An interpreter, and a `penstock` beside it, that import the tree in `folder`."""
    environment = folder / ".venv"
    venv.EnvBuilder(with_pip=False, symlinks=True).create(environment)
    (packages,) = environment.glob("lib/python*/site-packages")
    installed = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (packages / "copy.pth").write_text("\n".join([str(folder / "src"), *installed]) + "\n")
    python = environment / "bin" / "python"
    command = python.with_name("penstock")
    command.write_text(COMMAND.format(python=python))
    command.chmod(0o755)
    return str(python)
