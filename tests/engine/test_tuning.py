"""Explicit options, then what was tuned, then the file; and it is said."""

from __future__ import annotations

from penstock.engine.tuning import with_tuned
from penstock.job import Job
from penstock.ledger.tuned import Tuned


def test_what_was_tuned_goes_before_the_job_file_and_is_said() -> None:
    job, notes = with_tuned(Job(rpm=100, tpm=9), Tuned(rpm=5000, max_concurrency=80), set())
    assert (job.rpm, job.tpm, job.max_concurrency) == (5000, 9, 80)
    assert notes == ["tuned: --rpm 5,000, --max-concurrency 80"]


def test_what_is_given_explicitly_goes_before_what_was_tuned_and_is_said() -> None:
    job, notes = with_tuned(Job(rpm=100), Tuned(rpm=5000, tpm=70), {"rpm"})
    assert (job.rpm, job.tpm) == (100, 70)
    assert notes == ["tuned: --tpm 70", "--rpm 100 as given; the tuned 5,000 is not used"]


def test_where_nothing_was_tuned_there_is_nothing_to_say() -> None:
    job = Job(rpm=100)
    assert with_tuned(job, None, {"rpm"}) == (job, [])
    assert with_tuned(job, Tuned(rpm=100), {"rpm"}) == (job, [])
