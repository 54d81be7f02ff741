"""The chamber: a run that is killed again and again and must come out whole.

It tells a story of three commands: a run fed by standard input, a redo of its dead letters, and
another export. Each is given again after every death until it ends in order. Then all that was
promised is checked, against the input and against the provider's own record.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from integration.place import PENSTOCK, Ended, Live, Place, flags, read_lines
from penstock.ledger.run_directory import RunDirectory
from penstock.simulator import SimulatorProcess
from torture import striker, tree
from torture.steps import FUNCTIONS

WORKERS = 2
SLOTS = 8  # over both workers
TTFT_SECONDS = 0.03
WIDTH = 300  # characters of a text: the spool takes several blocks
COMMAND_SECONDS = 90.0
MOST_COMMANDS = 60

# So that little happens often: checkpoints every 5 s, and a seat that stays empty for longer after
# each death, would make most of a trial a wait.
SHRUNK = {
    "penstock.engine.supervisor:CHECKPOINT_NS": 200_000_000,
    "penstock.engine.respawn:LONGEST_DELAY_NS": 100_000_000,
    "penstock.sources.spool:BLOCK_BYTES": 64 << 10,
    "penstock.engine.retry:FIRST_DELAY_SECONDS": 0.2,
}
SHRUNK_IN = {
    "penstock.engine.supervisor": ("supervisor",),
    "penstock.engine.respawn": ("supervisor",),
    "penstock.sources.spool": ("supervisor",),
    "penstock.engine.retry": ("worker",),
}

BEHAVIOUR: dict[str, Any] = {
    "ttft_seconds": TTFT_SECONDS,
    "ttft_spread": 0.0,
    "error_500": 0.01,
    "disconnect": 0.01,
    "throttle": 0.01,
    "truncated": 0.005,
    "retry_after_seconds": 0.1,
}

# What may be bought twice for each worker that was killed: what was in flight, and what was
# answered since the last write and during the write under way. A batch is written after 256 results
# or 250 ms, seen to every 50 ms; meanwhile a slot gets an answer each time to the first token.
EACH_SLOTS = SLOTS // WORKERS
SINCE_LAST_WRITE = min(256, EACH_SLOTS * (math.ceil((0.25 + 0.05) / TTFT_SECONDS) + 1))
MOST_AGAIN = EACH_SLOTS + 2 * SINCE_LAST_WRITE
# A worker whose supervisor died writes what it has: only what was in flight is lost.
MOST_AGAIN_ORPHANED = EACH_SLOTS


class Order(NamedTuple):
    """Where to strike: see `striker.Order`.

    A `warm` one waits until rows have ended. One that `helps` others, by their numbers, strikes
    only as long as one of them has not, and never a worker whose supervisor is dead.
    """

    role: str
    step: str
    side: str = "before"
    nth: int = 1
    deed: str = "kill"
    warm: bool = True
    helps: tuple[int, ...] = ()


class Chamber:
    """One trial. `orders` strike in it, each once."""

    def __init__(
        self,
        folder: Path,
        provider: SimulatorProcess,
        rows: int,
        orders: Sequence[Order] = (),
        *,
        record: bool = False,
        stdin: bool = True,
        words: str = "",
    ) -> None:
        self.place = Place(folder, torture_rows(rows))
        self.provider = provider
        self.orders = list(orders)
        self.epochs = 0
        self._stdin = stdin
        self._running = ExitStack()
        self._sessions: list[int] = []
        self._accounted = 0  # strikes that explained how a command ended
        self._scratch = folder / "chamber"
        self._scratch.mkdir()
        numbered = [{"number": n, **one._asdict()} for n, one in enumerate(self.orders)]
        plan = {
            "run_dir": str(self.place.run_dir),
            "functions": {name: [step.role, step.name] for name, step in FUNCTIONS.items()},
            "record": record,
            "orders": numbered,
            "shrunk": SHRUNK,
            "shrunk_in": SHRUNK_IN,
        }
        (self._scratch / "plan.json").write_text(json.dumps(plan))
        source = Path(striker.__file__).read_text()
        self.place.patched(f"{source}\n\nstrike_in({str(self._scratch)!r})\n{words}")

    # --- commands ---------------------------------------------------------------------------------

    def run_command(self, **options: Any) -> list[str]:
        """The run's command. What is free to change in a job changes each time."""
        self.epochs += 1
        chosen = {
            "max_concurrency": SLOTS,
            "workers": WORKERS,
            "grace": f"{20 + self.epochs}s",
            "max_attempts": 20,
            **options,
        }
        if not self._stdin:
            return self.place.command(self.provider.base_url, **chosen)
        command = self.place.command(self.provider.base_url, inputs=["-"], **chosen)
        return ["sh", "-c", f'exec "$@" < {shlex.quote(str(self.place.input))}', "sh", *command]

    def redo_command(self, provider: SimulatorProcess) -> list[str]:
        chosen = {
            "base_url": provider.base_url,
            "progress": "lines",
            "metrics_port": "off",
            "max_attempts": 20,
            "json": True,
        }
        return [PENSTOCK, "redo", str(self.place.run_dir), *flags(chosen)]

    def start(self, command: Sequence[str]) -> Live:
        """A command under way. What it leaves behind lives on until the trial's end."""
        live = Live(command, self.place.environment, self.place.run_dir, self.place.folder)
        self._sessions.append(live.process.pid)
        return self._running.enter_context(live)

    def until_complete(self, command: Callable[[], list[str]], codes: Sequence[int]) -> Ended:
        """Give a command again and again, until it ends in order: with one of `codes`."""
        for _ in range(MOST_COMMANDS):
            ended = self.start(command()).wait(COMMAND_SECONDS)
            if ended.code in codes:
                return ended
            strikes = self.strikes()[self._accounted :]
            self._accounted += len(strikes)
            deeds = {self.orders[one["order"]].deed for one in strikes}
            assert deeds, f"exit {ended.code}, and nothing had struck:\n{ended.stderr}"
            possible = {-9, 6} if "fail" in deeds else {-9}
            assert ended.code in possible, f"exit {ended.code}:\n{ended.stderr}"
            self.check_outputs_are_whole()
        raise AssertionError(f"not complete after {MOST_COMMANDS} commands")

    # --- what is known ----------------------------------------------------------------------------

    def strikes(self) -> list[dict[str, Any]]:
        """What struck so far, in order."""
        found = [json.loads(path.read_text()) for path in self._scratch.glob("struck.*")]
        return sorted(found, key=lambda one: int(one["at"]))

    def steps(self) -> set[str]:
        """The steps that were met, with their role, where they were to be written down."""
        return set((self._scratch / "steps").read_text().splitlines())

    def unstruck(self) -> list[Order]:
        """The orders that were not carried out, but for those that only help."""
        done = {one["order"] for one in self.strikes()}
        every = enumerate(self.orders)
        return [one for number, one in every if number not in done and not one.helps]

    def rejected(self) -> list[int]:
        """The rows that the provider refused for good: by its own record, the only dead ones."""
        refused = set(self.provider.stats()["rejected_texts"])
        return [n for n, row in enumerate(self.place.rows) if row["text"] in refused]

    def struck(self) -> list[Order]:
        """The orders that were carried out, in order."""
        return [self.orders[one["order"]] for one in self.strikes()]

    def counts(self) -> dict[str, int]:
        """What was done, for the figures. A warm order strikes when rows have ended already."""
        kills = [one for one in self.struck() if one.deed != "fail"]
        return {
            "kills": len(kills),
            "kills_mid_run": sum(one.warm for one in kills),
            "disk_faults": len(self.struck()) - len(kills),
            "rows_through_kills": len(self.place.rows),
        }

    @contextmanager
    def trial(self, replay: str) -> Iterator[None]:
        """A whole trial. One that fails says how to play it again, and where its folder is."""
        try:
            with self._running:
                yield
        except BaseException:
            print(f"replay: python -m pytest {replay}\nfolder: {self.place.folder}")
            print("struck:", *self.struck(), sep="\n  ")
            print("not struck:", *self.unstruck(), sep="\n  ")
            raise

    # --- checks -----------------------------------------------------------------------------------

    def check(self, dead: Iterable[int]) -> None:
        """All that must hold once the story is at an end."""
        self.place.check_answers(dead)
        verified = self.place.penstock("verify", self.place.run_dir)
        assert verified.code == 0, verified.stdout
        self.check_nothing_is_left()

    def check_outputs_are_whole(self) -> None:
        """An output has its name when all of it is there, whatever died meanwhile."""
        for path in self.place.folder.glob("out*.jsonl"):
            rows = [one["row"] for one in read_lines(path) if "row" in one]
            whole = path.name.endswith(".failed.jsonl") or rows == [*range(len(self.place.rows))]
            assert whole, f"{path} has {len(rows)} rows"

    def check_nothing_is_left(self) -> None:
        for session in self._sessions:
            assert tree.gone(session, 3.0), tree.members(session)
        run_dir = RunDirectory(self.place.run_dir)
        assert tree.is_free(run_dir.lock_path)
        assert not (left := leftovers(self.place)), left

    def check_bought(self, *others: SimulatorProcess) -> int:
        """Hold what the providers were asked again against the promise; returns how much it was."""
        again = sum(int(one.stats()["asked_again"]) for one in (self.provider, *others))
        most = most_again(self.struck())
        assert again <= most, f"{again} rows bought twice, at most {most} were to be"
        return again


def most_again(struck: Iterable[Order]) -> int:
    """How many rows these strikes may have had bought twice."""
    most = 0
    for one in struck:
        killed_worker = (one.role, one.deed) in {("worker", "kill"), ("supervisor", "kill child")}
        most += MOST_AGAIN if killed_worker else WORKERS * MOST_AGAIN_ORPHANED
    return most


def torture_rows(count: int) -> list[dict[str, Any]]:
    """Rows whose texts are all different, and long."""
    return [
        {"id": f"t-{n}", "text": f"text {n}, of the run. ".ljust(WIDTH, "abcdefg"[n % 7])}
        for n in range(count)
    ]


def leftovers(place: Place) -> list[str]:
    """Files that no run should leave: temporary ones, and what nobody knows."""
    known = {"in.jsonl", "out.jsonl", "out.jsonl.failed.jsonl", "out.jsonl.run", "patch", "chamber"}
    beside = {
        path.name
        for path in place.folder.iterdir()
        if not path.name.startswith(("stdout.", "stderr."))
    }
    strange = [name for name in beside - known if not name.startswith("out.")]
    for path in place.run_dir.rglob("*"):
        if path.name.endswith((".new", ".sealing", ".abandoned", ".tmp")):
            strange.append(str(path.relative_to(place.run_dir)))
    return sorted(strange)
