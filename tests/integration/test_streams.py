"""Standard streams that are missing, full or left by their reader: the run does not care."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import Simulate
from integration.conftest import MakePlace
from integration.place import PENSTOCK, Place, text_rows
from integration.server import answering, echo, serving
from integration.shell import after, within

NOWHERE = "http://127.0.0.1:9/v1"
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A run that is complete, so that its command only exports anew."""
    run = Place(tmp_path_factory.mktemp("done"), text_rows(20))
    with serving(answering(echo)) as base_url:
        assert run.run(base_url).code == 0
    return run


def commands(run: Place) -> list[list[str]]:
    """Commands that say something on standard output."""
    return [run.command(NOWHERE), [PENSTOCK, "status", str(run.run_dir)], [PENSTOCK, "--help"]]


@needs_full
def test_a_full_device_as_standard_output_is_told_and_not_taken_for_a_fault(done: Place) -> None:
    for command in commands(done):
        ended = done.call(within('"$@" > /dev/full', command))
        assert ended.code == 6, ended.stderr
        assert "standard output" in ended.stderr and "No space left" in ended.stderr
        assert "Traceback" not in ended.stderr
    done.check_answers()


@needs_full
def test_streams_that_break_end_no_run(done: Place) -> None:
    for script in ("exec 2>/dev/full", "exec 2> >(exec <&-)"):
        ended = done.call(after(script, done.command(NOWHERE)))
        assert (ended.code, ended.stderr) == (0, ""), script
        assert ended.summary["succeeded"] == 20
    assert done.call(after("exec <&- >&- 2>&-", done.command(NOWHERE))).code == 0


def test_a_reader_that_leaves_early_is_no_failure(done: Place) -> None:
    script = '("$@"; echo $? >&2) | exec sh -c "exec <&-"'
    for command in commands(done):
        ended = done.call(within(f"{script}; wait", command))
        assert ended.stderr.splitlines()[-1] == "0", ended.stderr
        assert "Traceback" not in ended.stderr


ODD = {
    "no home": "unset HOME",
    "a dumb terminal": "export TERM=dumb",
    "an ASCII locale": "export LC_ALL=C LANG=C",
    "a strict mask": "umask 077",
    "a folder that is gone": 'mkdir x && cd x && rmdir "$PWD"',
    "no temporary folder": "export TMPDIR=/nonexistent/folder",
}


def test_odd_surroundings_change_nothing(tmp_path: Path, simulate: Simulate) -> None:
    folder = tmp_path / "r\u00e9sum\u00e9 \N{SNOWMAN}"
    folder.mkdir()
    run, provider = (
        Place(folder, [{"text": f"text {n}, na\u00efve"} for n in range(20)]),
        simulate(),
    )
    script = f"cd '{tmp_path}'; " + "; ".join(ODD.values())
    ended = run.call(after(script, run.command(provider.base_url)))
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert str(run.output) in ended.stderr


IMPORTED = """
import os, signal, sys
class Interrupter:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupter())
"""


@pytest.mark.parametrize("module", ["click", "penstock.cli.run", "pyarrow", "penstock.engine.run"])
def test_ctrl_c_while_modules_are_loaded_is_one_line_and_exit_130(
    place: MakePlace, module: str
) -> None:
    run = place(5)
    run.patched(IMPORTED.format(module=module))
    ended = run.run(NOWHERE)
    assert ended.code == 130, ended.stderr
    assert ended.stderr.strip() == "interrupted"
