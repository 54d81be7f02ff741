"""`penstock try`: ask for a few records, and show prompt beside answer."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.options import GroupedCommand, GroupedOption, job_of
from penstock.cli.render import flags as request_flags
from penstock.errors import EXIT_COMPLETE, EXIT_DEAD_LETTERS, EXIT_PROVIDER
from penstock.job import Job

if TYPE_CHECKING:
    from penstock.engine.trial import Tried
    from penstock.providers.provider import Answer
    from penstock.record import Record

HELP = """Ask for a few records, and show prompt beside answer, tokens and latency.

Each is asked once, and costs what it costs; nothing is kept: no run directory, no output. All
options of `penstock run` are taken, so that its command line can be used as it is; those that don't
change a request are not shown here.

\b
    penstock try tickets.jsonl -n 5 --model gpt-4o-mini \\
        --prompt 'Summarize: {{ text }}'
"""

MOST_RECORDS = 1000
FATAL = "fatal"


def try_some(inputs: tuple[str, ...], records: int, spread_out: bool, **flags: Any) -> int:
    """Ask, and print what came."""
    from penstock.cli.beside import columns_here
    from penstock.cli.text import print_json

    job = job_of(inputs, flags)
    tried = ask(job, records, spread_out=spread_out)
    if job.json:
        print_json({"summary": summary(tried), "records": [json_of(one) for one in tried]})
    else:
        columns = columns_here()
        for one in tried:
            click.echo("\n".join([*shown(one, columns), ""]))
        click.echo("\n".join([summary_words(tried), *what_next(tried, job)]))
    return code_of(tried)


def ask(job: Job, records: int, *, spread_out: bool) -> list[Tried]:
    """Ask for some of a job's records; of a simulator, where the job says so. Raises UsageError."""
    from penstock.engine.trial import try_records

    sample = sampled(job, records, spread_out=spread_out)
    with ExitStack() as stack:
        if job.simulate:
            from penstock.api import simulated

            job = stack.enter_context(simulated(job))
        return try_records(job, os.environ, sample)


def sampled(job: Job, records: int, *, spread_out: bool) -> list[Record]:
    """The first records, or some from all over the input. Raises UsageError."""
    from penstock.cli.reading import opened
    from penstock.sources.spread import spread

    with tempfile.TemporaryDirectory(prefix="penstock-") as spool:
        inputs = opened(job, Path(spool))
        id_column = None if inputs.batch_lines else inputs.schema().id_column(job.id)
        if spread_out:
            return spread(inputs, records, id_column=id_column, limit=job.limit).records
        most = records if job.limit is None else min(records, job.limit)
        return list(islice(inputs.sample(most), most))


def shown(one: Tried, columns: int | None) -> Iterator[str]:
    """A record for people: a line about it, and its prompt beside its answer."""
    from penstock.cli.beside import beside
    from penstock.observe.words import visible
    from penstock.providers.render import asked

    record = one.record
    name = f" ({visible(record.id)})" if record.id is not None else ""
    yield f"row {record.row}{name} · {outcome_words(one)}"
    if one.request is not None:
        yield from beside(("prompt", asked(one.request.body)), ("answer", said(one)), columns)


def outcome_words(one: Tried) -> str:
    """`stop · 31 in, 5 out · 420 ms`, or why there is no answer."""
    from penstock.observe.words import count, seconds

    attempt = one.attempt
    if attempt is None:
        return f"no request can be made: {one.problem}"
    took = f" · {seconds(attempt.latency_seconds)}" if attempt.latency_seconds is not None else ""
    answer = attempt.answer
    if answer is None:
        status = f"HTTP {attempt.status}, " if attempt.status else ""
        return f"failed: {status}{attempt.verdict.error_class}{took}"
    known = (("in", answer.input_tokens), ("out", answer.output_tokens))
    tokens = ", ".join(f"{count(number)} {way}" for way, number in known if number is not None)
    fate = f"{one.fate.error_class}: {one.fate.message}" if one.fate.error_class else None
    return " · ".join(part for part in (fate, answer.finish_reason, tokens) if part) + took


def said(one: Tried) -> str:
    """The answer, or the words of the refusal."""
    attempt = one.attempt
    if attempt is None:
        return ""
    if attempt.answer is not None:
        from penstock.providers.embedder import Embeddings
        from penstock.vector import words

        said = attempt.answer.output or ""
        return words(said) if isinstance(attempt.answer, Embeddings) else said
    return attempt.refusal.message if attempt.refusal else ""


def json_of(one: Tried) -> dict[str, Any]:
    """A record for --json."""
    from penstock.providers.render import asked

    attempt = one.attempt
    answer = attempt.answer if attempt else None
    refused = attempt.refusal.message if attempt and attempt.refusal else None
    return {
        "row": one.record.row,
        "id": one.record.id,
        "where": one.record.where,
        "outcome": "succeeded" if one.answered else "failed",
        "prompt": asked(one.request.body) if one.request else None,
        **output_of(answer),
        "finish_reason": answer.finish_reason if answer else None,
        "model": answer.model if answer else None,
        "input_tokens": answer.input_tokens if answer else None,
        "cached_input_tokens": answer.cached_input_tokens if answer else None,
        "output_tokens": answer.output_tokens if answer else None,
        "reasoning_tokens": answer.reasoning_tokens if answer else None,
        "latency_seconds": attempt.latency_seconds if attempt else None,
        "http_status": (attempt.status or None) if attempt else None,
        "error_class": error_class(one),
        "error_message": one.problem or one.fate.message or (None if answer else refused),
        "request_hash": one.request.request_hash if one.request else None,
    }


def output_of(answer: Answer | None) -> dict[str, Any]:
    """The answer for --json: its text, or its vector."""
    from penstock.providers.embedder import Embeddings
    from penstock.vector import numbers_of

    if isinstance(answer, Embeddings):
        return {"output": None, "embedding": numbers_of(answer.output or "")}
    return {"output": answer.output if answer else None}


def error_class(one: Tried) -> str | None:
    """What a dead letter of it would be; None where it was answered."""
    if one.attempt is None:
        return "invalid_input"
    return None if one.answered else one.fate.error_class or one.attempt.verdict.error_class


def summary(tried: Sequence[Tried]) -> dict[str, Any]:
    """What all of them came to."""
    answers = [one.attempt.answer for one in tried if one.attempt and one.attempt.answer]
    took = sorted(
        one.attempt.latency_seconds
        for one in tried
        if one.attempt is not None and one.answered and one.attempt.latency_seconds is not None
    )
    succeeded = sum(one.answered for one in tried)
    return {
        "asked": len(tried),
        "succeeded": succeeded,
        "failed": len(tried) - succeeded,
        "input_tokens": sum(answer.input_tokens or 0 for answer in answers),
        "output_tokens": sum(answer.output_tokens or 0 for answer in answers),
        "p50_seconds": took[len(took) // 2] if took else None,
    }


def summary_words(tried: Sequence[Tried]) -> str:
    """`5 asked, 5 answered · 155 in, 27 out · p50 420 ms`."""
    from penstock.observe.words import count, seconds

    sums = summary(tried)
    told = f"{count(sums['asked'])} asked, {count(sums['succeeded'])} answered"
    tokens = f"{count(sums['input_tokens'])} in, {count(sums['output_tokens'])} out"
    return f"{told} · {tokens} tokens · p50 {seconds(sums['p50_seconds'])}"


def what_next(tried: Sequence[Tried], job: Job) -> Iterator[str]:
    """What to change, where the provider refuses for good."""
    from penstock.endpoints import first_of
    from penstock.engine.stopping import what_to_change

    for one in tried:
        attempt = one.attempt
        if attempt is not None and attempt.verdict.kind == FATAL:
            yield what_to_change(attempt.verdict.error_class, attempt.status, first_of(job))
            return


def code_of(tried: Sequence[Tried]) -> int:
    """The exit code: the provider's refusal for good before single failures."""
    if any(one.attempt is not None and one.attempt.verdict.kind == FATAL for one in tried):
        return EXIT_PROVIDER
    return EXIT_COMPLETE if all(one.answered for one in tried) else EXIT_DEAD_LETTERS


command = GroupedCommand(
    "try",
    callback=try_some,
    params=[
        click.Argument(["inputs"], nargs=-1, metavar="INPUT..."),
        GroupedOption(
            ["-n", "--records"],
            group="Which rows",
            type=click.IntRange(min=1, max=MOST_RECORDS),
            default=5,
            metavar="N",
            help="How many records are asked. [default: 5]",
        ),
        GroupedOption(
            ["--spread", "spread_out"],
            group="Which rows",
            is_flag=True,
            help="Take them from all over the input, which is read once, not from its start.",
        ),
        *request_flags(),
    ],
    help=HELP,
)
