"""What a seed has in store for a run: its rows and their fates, its limits, the weather, the blows.

All is drawn before the run begins, so that a failing seed says what it was.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from penstock.job import Job

MAX_ATTEMPTS = 5
KILL, PAUSE_PROCESS, HANG, TERMINATE, POWER, KILL_SUPERVISOR, STOP_SUPERVISOR, SLEEP = (
    "kill",
    "stop",
    "hang",
    "terminate",
    "power",
    "kill supervisor",
    "stop supervisor",
    "sleep",
)
BLOWS = (
    *[KILL] * 5,
    *[PAUSE_PROCESS] * 3,
    HANG,
    *[TERMINATE] * 2,
    *[POWER] * 3,
    *[KILL_SUPERVISOR] * 3,
    STOP_SUPERVISOR,
    SLEEP,
)


class Plot:
    """One seed's run."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.dice = dice = Random(f"plot {seed}")
        self.rows = dice.choice([1, 5, 20, 40, 40, 60, 120])
        self.workers = dice.randrange(1, 4)
        self.slots = self.workers * dice.choice([1, 2, 3, 6])
        self.latency = dice.choice([0.02, 0.1, 0.3])
        few = min(2.0 / self.rows, 0.1)
        self.poisoned = self._some(dice.choice([0, 0, few]))
        self.rejected = self._some(dice.choice([0, 0.1])) - self.poisoned
        self.invalid = self._some(dice.choice([0, 0.05])) - self.poisoned - self.rejected
        self.broken = self._some(dice.choice([0, 0, 0, few]))
        self.broken -= self.poisoned | self.rejected | self.invalid
        self.fragile = self._some(dice.choice([0, 0, few]))  # they crash a worker, but twice only
        self.fragile -= self.poisoned | self.rejected | self.invalid | self.broken
        self.throttling = dice.choice([0, 0, 0.05, 0.3])
        self.failing = dice.choice([0, 0, 0.05, 0.3])
        self.limits = self._limits()
        self.most_output = dice.choice([5, 60, 900])
        self.kill_chance = dice.choice([0.0, 0.0, 0.001, 0.004])  # of a worker's step
        self.stop_chance = dice.choice([0.0, 0.0, 0.002, 0.02])
        self.op_chance = dice.choice([0.0, 0.1, 0.4])  # of a process: it dies in a disk operation
        self.most_deaths = dice.randrange(1, 7)
        self.blows = sorted(
            (dice.uniform(0, dice.choice([2, 8])), dice.choice(BLOWS))
            for _ in range(dice.choice([0, 1, 1, 2, 3, 5]))
        )
        self.outage = (dice.uniform(0, 4), dice.choice([0, 0, 0, 0, 3, 15, 40]))
        self.fatal_at = dice.uniform(0, 5) if dice.random() < 0.1 else None
        self.tuned_at = dice.uniform(0.5, 4) if dice.random() < 0.15 else None
        self.disk_seconds = dice.choice([0.001, 0.02, 0.5])
        self.beat_seconds = dice.choice([0.05, 0.1, 0.2])
        self.held_bytes = dice.choice([16 << 20, 16 << 20, 1500])
        self.batch_results = dice.choice([256, 256, 4])
        self.roll_bytes = dice.choice([256 << 20, 256 << 20, 4000])
        self.shard_rows = dice.choice([1, 3, 8, 30])
        if self.outage[1]:  # failures by the weather count as attempts, and so do its first
            self.failing, self.held_bytes = 0, 16 << 20

    def _some(self, share: float) -> set[int]:
        return {row for row in range(self.rows) if self.dice.random() < share}

    def _limits(self) -> dict[str, int]:
        dice = self.dice
        return dice.choice(
            [
                {},
                {"rps": dice.choice([1, 3, 20, 200])},
                {"rpm": dice.choice([60, 600, 6000])},
                {"rps": 30, "rpm": 1200},
                {"tpm": dice.choice([20_000, 200_000])},
                {"rps": 50, "input_tpm": 3_000, "output_tpm": 90_000},
            ]
        )

    def usage(self, row: int) -> tuple[int, int]:
        """The tokens that a row really takes."""
        dice = Random(self.seed * 1000 + row)
        return dice.randrange(5, 60), dice.randrange(1, self.most_output)

    def job(self, folder: Path) -> Job:
        return Job(
            inputs=(str(folder / "in.jsonl"),),
            output=str(folder / "out.jsonl"),
            run_dir=str(folder / "run"),
            model="m",
            prompt="{{ text }}",
            base_url="http://127.0.0.1:1/v1",
            workers=self.workers,
            max_concurrency=self.slots,
            max_attempts=MAX_ATTEMPTS,
            stop_failed="100%",
            timeout=5.0,
            grace="2s",
            **self.limits,
        )

    def write_input(self, folder: Path) -> None:
        pad = "x" * self.dice.choice([0, 0, 100])
        lines = [
            b"this is no JSON\n"
            if row in self.invalid
            else b'{"text": "record %s %d#"}\n' % (pad.encode(), row)
            for row in range(self.rows)
        ]
        (folder / "in.jsonl").write_bytes(b"".join(lines))

    def must_end(self, row: int) -> str:
        """The error class that a row has to end with; empty where it has to succeed."""
        fates: tuple[tuple[Any, str], ...] = (
            (self.invalid, "invalid_input"),
            (self.poisoned, "worker_crash"),
            (self.rejected, "invalid_request"),
            (self.broken, "server_error"),
        )
        return next((name for rows, name in fates if row in rows), "")

    def __str__(self) -> str:
        hidden = ("dice", "seed")
        return ", ".join(f"{k}={v}" for k, v in vars(self).items() if v and k not in hidden)
