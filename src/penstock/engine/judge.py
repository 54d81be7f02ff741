"""Which answers count: those that match the schema, are whole, and are no refusal.

A job without a schema that keeps truncated answers has no judge, and its records pay for none.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from penstock.job import Job
from penstock.providers.provider import Answer
from penstock.providers.structured import Structure

INVALID: Final = "invalid_output"
TRUNCATED: Final = "truncated"

# Why a model, or a filter after it, ended an answer that is therefore none; by the dialects' words.
REFUSED: Final = {
    "refusal": "refusal",
    "content_filter": "content_filter",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
}


class Fate(NamedTuple):
    """What becomes of an answer: with an error class, none that counts."""

    error_class: str = ""
    message: str = ""


GOOD: Final = Fate()


class Judge:
    """What a job asks of its answers."""

    def __init__(self, job: Job) -> None:
        self._structure = Structure(job.schema) if isinstance(job.schema, dict) else None
        self._keeps_truncated = job.on_truncated == "keep"

    def fate(self, answer: Answer) -> Fate:
        """What becomes of an answer."""
        if answer.truncated and not self._keeps_truncated:
            return Fate(TRUNCATED, "the answer was cut where no more tokens were allowed")
        if self._structure is None or calls_tools(answer):
            return GOOD
        problem = self._structure.problem(answer.output)
        if not problem:
            return GOOD
        if answer.truncated:
            return Fate(TRUNCATED, f"no more tokens were allowed, so that {problem}")
        refused = REFUSED.get(answer.finish_reason or "")
        if refused is not None:
            return Fate(refused, f"the answer is a refusal: {answer.finish_reason}")
        return Fate(INVALID, problem)


def calls_tools(answer: Answer) -> bool:
    """Whether an answer says nothing but which tools to call; the schema is for what is said."""
    return bool(answer.tool_calls) and answer.output in (None, "", answer.tool_calls)


def judge_of(job: Job) -> Judge | None:
    """The judge of a job's answers; None where all of them count."""
    return Judge(job) if job.schema is not None or job.on_truncated != "keep" else None
