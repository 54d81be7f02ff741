"""What a run came to: the figures of `summary.json`, of the end table and of the Python API."""

from __future__ import annotations

from datetime import datetime

import msgspec

from penstock.observe.snapshot import LimitUse
from penstock.observe.table import html_table, plain_table


class Failure(msgspec.Struct, frozen=True):
    """The dead letters of one error class, with one of them as an example."""

    count: int
    row: int
    id: str | None = None
    message: str = ""


class Amounts(msgspec.Struct, frozen=True):
    """What some rows take, or took."""

    input_tokens: int
    output_tokens: int
    seconds: float
    cost_usd: float | None = None


class Planned(msgspec.Struct, frozen=True):
    """What was to be expected of the rows that an epoch asked for, and what they came to."""

    rows: int
    measured: (
        int  # rows of earlier epochs that told what to expect; 0: output and time were guesses
    )
    predicted: Amounts
    actual: Amounts


class Report(msgspec.Struct, kw_only=True):
    """What a run came to.

    Rows, tokens and cost are of the whole run, as the ledger proves them; what was paid and lost is
    part of the cost, as far as it can be known. Requests, retries,
    throttles, limits and bottleneck are of this epoch. Latency is of the whole run where it is
    complete, else of this epoch's requests.
    """

    exit_code: int
    run_id: str = ""
    rows_in: int | None = None  # None: stopped before the input's end was read
    succeeded: int = 0
    failed: int = 0
    pending: int | None = 0  # None where rows_in is
    failed_by_class: dict[str, Failure] = {}
    resumed: int = 0  # rows that ended before this epoch
    duplicates: int = 0  # rows with more than one verified copy: bought again after a crash
    reused: int = 0  # rows that ended by an earlier run's answer (--reuse)
    deduplicated: int = 0  # rows that ended by another row's answer (--dedupe)
    redo: int = 0  # the newest redo that was begun; 0 for none
    requests: int = 0
    retries: int = 0
    throttles: int = 0
    tokens: dict[str, int] = {}
    cost_usd: float | None = None  # all that was spent, over all epochs; None: no price is known
    lost_usd: float = 0.0  # of that, for no row that counts: lost in crashes, or asked for twice
    budget_usd: float | None = None
    wall_seconds: float = 0.0
    p50_seconds: float | None = None
    p99_seconds: float | None = None
    limits: dict[str, LimitUse] = {}
    bottleneck: dict[str, float] = {}
    limited_by: str = ""  # what limited most, in words
    plan: Planned | None = None  # None: nothing was asked, or it was a redo
    output: str | None = None
    output_bytes: int | None = None
    failed_output: str | None = None
    run_dir: str = ""
    message: str = ""  # why it stopped, where it did
    next_step: str = ""  # what to do about it
    resume_command: str = ""
    warnings: list[str] = []
    started_at: datetime
    finished_at: datetime
    penstock_version: str = ""

    def table(self) -> str:
        """The end table, as text."""
        return plain_table(self)

    def _repr_html_(self) -> str:
        return html_table(self)

    def to_json(self) -> bytes:
        """As JSON, for `summary.json`: indented, keys in the order above."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2)

    @classmethod
    def from_json(cls, data: bytes) -> Report:
        """The report of a `summary.json`. Raises msgspec.ValidationError or DecodeError."""
        return msgspec.json.decode(data, type=cls)
