"""The report of a run: what the export proved, or else what the account has so far."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from penstock import errors
from penstock._core import monotonic_ns
from penstock.engine.forecast import forecast, sample_requests
from penstock.engine.opening import OpenRun
from penstock.engine.pricing import rates
from penstock.engine.rates import usd
from penstock.engine.stopping import Stopped
from penstock.job import Job
from penstock.ledger.account import Account
from penstock.observe.observer import Observer, cost_usd
from penstock.observe.report import Amounts, Failure, Planned, Report
from penstock.observe.slab_layout import C
from penstock.record import DUPLICATE, REUSED
from penstock.version import VERSION

if TYPE_CHECKING:  # with it comes all that an export needs
    from penstock.ledger.export import ExportReport


def report_of(
    opened: OpenRun,
    observer: Observer,
    started_at: datetime,
    stopped: Stopped,
    exported: ExportReport | None,
    command: str,
) -> Report:
    """What a run came to; `command` is the one that resumes it."""
    state, plan = observer.state, opened.plan
    totals = observer.tally.totals()
    shares, limited_by = observer.shares()
    account = opened.recovered.account
    report = Report(
        exit_code=stopped.exit_code,
        run_id=plan.run_id,
        # Only a complete run is asked again, so its rows are those that have ended.
        rows_in=state.total if plan.target is None else account.ended,
        resumed=state.resumed_succeeded + state.resumed_failed,
        redo=max((one.number for one in opened.recovered.generations), default=0),
        requests=totals.requests(),
        retries=totals.retries(),
        throttles=totals[C.THROTTLES],
        wall_seconds=(monotonic_ns() - state.started_ns) / 1e9,
        limits=observer.limit_use(totals),
        cost_usd=cost_usd(state, totals),
        budget_usd=plan.job.budget_usd,
        bottleneck=shares,
        limited_by=limited_by,
        run_dir=plan.run_directory,
        message=stopped.message,
        next_step=stopped.next_step,
        resume_command=command,
        warnings=list(state.warnings),
        started_at=started_at,
        finished_at=datetime.now(UTC),
        penstock_version=VERSION,
    )
    report.plan = planned(opened, observer)
    if exported is not None:
        add_export(report, exported, plan.job)
    else:
        add_account(report, account, plan.books.examples)
        report.p50_seconds = totals.request_seconds(0.5)
        report.p99_seconds = totals.request_seconds(0.99)
    return report


def planned(opened: OpenRun, observer: Observer) -> Planned | None:
    """What was to be expected of the rows that this epoch asked for, beside what they came to."""
    plan, state, totals = opened.plan, observer.state, observer.tally.totals()
    unbought = totals[C.RECORDS_REUSED] + totals[C.RECORDS_DUPLICATE]
    rows = totals[C.RECORDS_SUCCEEDED] + totals[C.RECORDS_FAILED] - unbought
    if not rows or plan.target is not None or state.running_since_ns is None:
        return None
    sampled, _ = sample_requests(opened.provider, opened.sample)
    is_priced, model = cost_usd(state, totals) is not None, plan.job.model
    price = rates(plan.job, model) if is_priced and model else None
    expected = forecast(plan.job, rows, sampled, opened.before, plan.workers, price)
    tokens = totals.tokens()
    return Planned(
        rows,
        expected.measured,
        Amounts(
            round(expected.input_tokens.expected),
            round(expected.output_tokens.expected),
            expected.seconds.expected,
            expected.cost_usd.expected if expected.cost_usd else None,
        ),
        Amounts(
            tokens["uncached_input"] + tokens["cached_input"],
            tokens["visible_output"] + tokens["reasoning"],
            state.running_seconds(monotonic_ns()),
            usd(totals[C.SPENT_PUSD]) if is_priced else None,
        ),
    )


def add_export(report: Report, exported: ExportReport, job: Job) -> None:
    """What the rows came to, as the export proved it."""
    figures = exported.figures
    report.exit_code = exit_code(figures.failed, figures.rows, job)
    report.rows_in, report.pending = figures.rows, 0
    report.succeeded, report.failed = figures.succeeded, figures.failed
    report.failed_by_class = figures.failed_by_class
    report.duplicates = figures.duplicates
    report.reused = figures.sources.get(REUSED, 0)
    report.deduplicated = figures.sources.get(DUPLICATE, 0)
    report.tokens = figures.tokens
    note_lost(report, figures.cost_usd or 0.0)
    report.p50_seconds = figures.quantile_seconds(0.5)
    report.p99_seconds = figures.quantile_seconds(0.99)
    report.output, report.output_bytes = str(exported.output), exported.output_bytes
    report.failed_output = str(exported.failed_output) if exported.failed_output else None
    report.warnings += [f"column {widened}" for widened in exported.widened]


def add_account(report: Report, account: Account, examples: Mapping[str, Failure]) -> None:
    """What the rows came to so far, as the ledger's account has it."""
    failures = account.failures
    report.succeeded, report.failed = account.succeeded, sum(failures.values())
    report.pending = None
    if report.rows_in is not None:
        report.pending = max(0, report.rows_in - report.succeeded - report.failed)
    for error_class, count in failures.items():
        first = next(iter(account.failed[error_class]))
        known = examples.get(error_class) or Failure(count=0, row=first)
        report.failed_by_class[error_class] = msgspec.structs.replace(known, count=count)
    spent = account.spent
    report.tokens = {
        "uncached_input": spent.input_tokens - spent.cached_input_tokens,
        "cached_input": spent.cached_input_tokens,
        "visible_output": spent.output_tokens - spent.reasoning_tokens,
        "reasoning": spent.reasoning_tokens,
    }
    note_lost(report, spent.cost_usd)
    report.duplicates = account.duplicates
    report.reused, report.deduplicated = spent.reused, spent.duplicate


def note_lost(report: Report, rows_usd: float) -> None:
    """What was spent for no row that counts."""
    if report.cost_usd is not None:
        report.lost_usd = max(0.0, report.cost_usd - rows_usd)


def exit_code(failed: int, rows: int, job: Job) -> int:
    """0 or 3: whether the dead letters of a complete run are within --allow-failed."""
    allowed = failed <= job.allow_failed_share * rows
    return errors.EXIT_COMPLETE if allowed else errors.EXIT_DEAD_LETTERS
