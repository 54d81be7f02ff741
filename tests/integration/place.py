"""A folder with a run in it: its input, its command as a real process, and what came out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from penstock.ledger.lock import read_crew
from penstock.ledger.process import Process, is_alive, kill
from penstock.ledger.run_directory import RunDirectory

PENSTOCK = str(Path(sys.executable).with_name("penstock"))
PROMPT = "{{ text }}"
PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.02


class Ended(NamedTuple):
    """A command that ran to its end."""

    code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def summary(self) -> dict[str, Any]:
        """What --json printed."""
        return dict(json.loads(self.stdout))


class Live:
    """A command under way; a context manager that leaves nothing of it behind."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], run_dir: Path, scratch: Path
    ) -> None:
        self.run_dir = run_dir
        self._paths = [scratch / f"{name}.{time.monotonic_ns()}" for name in ("stdout", "stderr")]
        self._began = time.monotonic()
        self._known: set[Process] = set()
        with self._paths[0].open("wb") as stdout, self._paths[1].open("wb") as stderr:
            self.process = subprocess.Popen(
                command,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )

    @property
    def stderr(self) -> str:
        return self._paths[1].read_text()

    def workers(self) -> list[Process]:
        """The worker processes that the run recorded and that live."""
        crew = read_crew(RunDirectory(self.run_dir))
        found = [one for one in crew.workers if is_alive(one)] if crew else []
        self._known.update(found)
        return found

    def events(self) -> list[dict[str, Any]]:
        """The run's log so far."""
        return events_of(self.run_dir)

    def until(self, condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
        """Wait, while the process lives, for `condition` to be true; returns what it gave."""
        deadline = time.monotonic() + seconds
        while True:
            ended = self.process.poll()
            if found := condition():
                return found
            assert ended is None, f"it ended with {ended}:\n{self.stderr}"
            assert time.monotonic() < deadline, f"not within {seconds} s:\n{self.stderr}"
            time.sleep(POLL_SECONDS)

    def until_running(self, workers: int) -> list[Process]:
        """Wait until so many workers are there and have said so."""

        def ready() -> list[Process]:
            started = sum(one["event"] == "worker_started" for one in self.events())
            found = self.workers()
            return found if started >= workers and len(found) >= workers else []

        return list(self.until(ready))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the supervisor alone."""
        self.process.send_signal(number)

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to supervisor and workers, as a terminal does, or a service manager."""
        os.killpg(self.process.pid, number)

    def wait(self, seconds: float = PATIENCE_SECONDS) -> Ended:
        """Wait for its end."""
        code = self.process.wait(seconds)
        took = time.monotonic() - self._began
        return Ended(code, self._paths[0].read_text(), self.stderr, took)

    def __enter__(self) -> Live:
        return self

    def __exit__(self, *_: object) -> None:
        self.workers()
        self.process.kill()
        self.process.wait()
        for worker in self._known:
            kill(worker)


class Place:
    """A folder with an input `in.jsonl` of some rows, and a run of it into `out.jsonl`."""

    def __init__(self, folder: Path, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self.folder = folder
        self.input = folder / "in.jsonl"
        self.output = folder / "out.jsonl"
        self.run_dir = folder / "out.jsonl.run"
        self.environment = clean_environment()
        self.rows = [dict(row) for row in rows]
        self.input.write_text("".join(json.dumps(row) + "\n" for row in self.rows))

    @classmethod
    def of(
        cls, folder: Path, rows: Iterable[Mapping[str, Any]], output: Path | None = None
    ) -> Place:
        """A run that others made in `folder`."""
        place = cls(folder, rows)
        place.output = output or place.output
        return place

    def command(self, base_url: str, **options: Any) -> list[str]:
        """The command of the run. Options are the flags; None leaves one out, True has no value."""
        inputs = options.pop("inputs", [self.input])
        chosen = {
            "output": self.output,
            "model": "m",
            "prompt": PROMPT,
            "base_url": base_url,
            "workers": 1,
            "progress": "lines",
            "metrics_port": "off",
            "json": True,
            **options,
        }
        return [PENSTOCK, "run", *map(str, inputs), *flags(chosen)]

    def run(self, base_url: str, **options: Any) -> Ended:
        """Run to the end."""
        return self.call(self.command(base_url, **options))

    def start(self, base_url: str, **options: Any) -> Live:
        """Start a run."""
        return Live(self.command(base_url, **options), self.environment, self.run_dir, self.folder)

    def call(
        self, command: Sequence[str], stdin: bytes = b"", seconds: float = PATIENCE_SECONDS
    ) -> Ended:
        """Any command, to its end."""
        began = time.monotonic()
        ended = subprocess.run(
            command,
            input=stdin,
            env=self.environment,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
        took = time.monotonic() - began
        return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode(), took)

    def penstock(self, *arguments: Any) -> Ended:
        """Another of penstock's commands."""
        return self.call([PENSTOCK, *map(str, arguments)])

    def patched(self, source: str) -> None:
        """Have every process of the run execute `source` as it starts."""
        folder = self.folder / "patch"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(source)
        self.environment["PYTHONPATH"] = str(folder)

    def results(self) -> list[dict[str, Any]]:
        """The rows of the output."""
        return read_lines(self.output)

    def dead_letters(self) -> list[dict[str, Any]]:
        """The rows of the dead letters' file; none where there is no such file."""
        path = self.output.with_name(self.output.name + ".failed.jsonl")
        return read_lines(path) if path.exists() else []

    def events(self) -> list[dict[str, Any]]:
        """The run's log."""
        return events_of(self.run_dir)

    def check_answers(self, dead: Iterable[int] = ()) -> None:
        """Every row is there once, in order, with its own input beside its own answer."""
        results, failed = self.results(), set(dead)
        assert [one["row"] for one in results] == list(range(len(self.rows)))
        for given, one in zip(self.rows, results, strict=True):
            assert {name: one[name] for name in given} == given
            if one["row"] in failed:
                assert one["outcome"] == "failed"
            else:
                assert one["outcome"] == "succeeded"
                assert one["output"].startswith(f"echo: {given['text']}"), one


def text_rows(count: int) -> list[dict[str, Any]]:
    """Rows whose texts are all different, and none the beginning of another."""
    return [{"id": f"t-{n}", "text": f"text {n}, of the run"} for n in range(count)]


def flags(options: Mapping[str, Any]) -> list[str]:
    """Options as the command line takes them."""
    given = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if isinstance(value, dict):
            given += [part for key, one in value.items() for part in (flag, f"{key}={one}")]
        elif value is True:
            given.append(flag)
        elif value is not None and value is not False:
            given += [flag, str(value)]
    return given


def clean_environment() -> dict[str, str]:
    """This process's environment without what would change a run."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PENSTOCK_") and not name.lower().endswith("_proxy")
    }


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def events_of(run_dir: Path) -> list[dict[str, Any]]:
    """The log of a run, without a line that is still being written."""
    path = run_dir / "log.jsonl"
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
