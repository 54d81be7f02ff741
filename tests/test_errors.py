"""One tree of errors: each says when it is raised, and with which exit code it ends."""

from __future__ import annotations

import pickle
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from penstock import errors
from penstock.errors import Interrupted, JobError, PenstockError, error_for
from penstock.observe.report import Report

SOURCE = Path(errors.__file__).read_text(encoding="utf-8")
CODES = {name: getattr(errors, name) for name in dir(errors) if name.startswith("EXIT_")}
TREE = [
    one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, PenstockError)
]


def test_every_error_says_when_it_is_raised_and_is_of_the_one_tree() -> None:
    assert len(TREE) > 10
    for kind in TREE:
        assert kind.__doc__ is not None and kind.__doc__.startswith("Raised when "), kind


def test_the_exit_codes_are_those_of_the_plan_each_with_a_comment() -> None:
    assert sorted(CODES.values()) == [0, 2, 3, 4, 5, 6, 130, 143]
    for name, code in CODES.items():
        assert re.search(rf"^{name}: Final = {code}  # \w", SOURCE, re.MULTILINE), name
    assert {kind.exit_code for kind in TREE} <= set(CODES.values())


def test_an_error_is_what_happened_and_then_what_next() -> None:
    error = JobError("in.jsonl:3: no", "Mend it.")
    assert (error.what, error.next_step) == ("in.jsonl:3: no", "Mend it.")
    assert str(error) == "in.jsonl:3: no\nMend it."
    assert str(JobError("no")) == "no" and error.report is None


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errors.EXIT_PROVIDER, errors.ProviderStopped),
        (errors.EXIT_LIMIT, errors.LimitStopped),
        (errors.EXIT_SIGINT, Interrupted),
        (errors.EXIT_SIGTERM, Interrupted),
        (errors.EXIT_INTERNAL, PenstockError),
        (errors.EXIT_USAGE, PenstockError),
    ],
)
def test_a_report_that_stopped_becomes_the_error_of_its_exit_code(
    code: int, kind: type[PenstockError]
) -> None:
    now = datetime.now(UTC)
    report = Report(
        exit_code=code, message="it stopped", next_step="Go on.", started_at=now, finished_at=now
    )
    error = error_for(report)
    assert type(error) is kind and error.exit_code == code
    assert error.report is report and str(error) == "it stopped\nGo on."


def test_an_interruption_ends_with_the_code_of_its_signal() -> None:
    assert Interrupted("by SIGINT").exit_code == errors.EXIT_SIGINT
    assert Interrupted("by SIGTERM", exit_code=errors.EXIT_SIGTERM).exit_code == 143


@pytest.mark.parametrize("kind", TREE)
def test_an_error_passes_between_processes_of_the_caller(kind: type[PenstockError]) -> None:
    # Schedulers such as Airflow pickle what a task raises.
    error = kind("what", "next")
    twin = pickle.loads(pickle.dumps(error))
    assert (type(twin), twin.what, twin.next_step) == (kind, "what", "next")
