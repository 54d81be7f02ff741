"""What is wrong with a job is said before the first request, and leaves nothing behind."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.shards import rows_of
from ledger.ledger_rows import answer, dead
from penstock.disk import Disk
from penstock.engine import limits, opening
from penstock.engine.opening import OBJECTS, OpenRun, job_of_redo, open_run, run_directory_of
from penstock.engine.secret import Secret
from penstock.errors import (
    EXIT_PROVIDER,
    InputError,
    JobError,
    OutputError,
    PenstockError,
    RunDirectoryError,
    RunLocked,
    TemplateError,
    UsageError,
)
from penstock.job import Job
from penstock.ledger import lock
from penstock.ledger.generation import Generation, begin_redo
from penstock.ledger.manifest import public_job
from penstock.ledger.mark import ShardMark
from penstock.ledger.published import fingerprint, is_published, remember
from penstock.ledger.rows import RowSet
from penstock.ledger.run_directory import RunDirectory, move_aside
from penstock.ledger.schema import batch_of
from penstock.ledger.segment import SegmentWriter
from penstock.ledger.summary import write_summary
from penstock.observe.report import Report
from penstock.origins import convert
from penstock.record import Result

CANARY = "sk-canary-0123456789"


class Place:
    """A folder with an input, and the job of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.output = path / "out.jsonl"
        self.run = path / "out.jsonl.run"
        self.write("in.jsonl", [{"id": str(n), "text": f"text {n}"} for n in range(100)])

    def write(self, name: str, rows: list[dict[str, Any]]) -> Path:
        path = self.path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    def job(self, **changes: Any) -> Job:
        known: dict[str, Any] = {
            "inputs": (str(self.path / "in.jsonl"),),
            "output": str(self.output),
            "base_url": "http://127.0.0.1:1/v1",
            "model": "m",
            "prompt": "{{ text }}",
            "workers": 1,
        }
        return Job(**{**known, **changes})

    def files(self) -> set[str]:
        return {str(path.relative_to(self.path)) for path in self.path.rglob("*")}

    def refusal(self, job: Job, **more: Any) -> PenstockError:
        with pytest.raises(PenstockError) as caught, open_run(job, {}, **more):
            pass
        return caught.value

    def put(
        self, opened: OpenRun, results: list[Result], worker: int = 1, shards: Any = ()
    ) -> None:
        """What a worker of this epoch would have written."""
        plan = opened.plan
        segments = opened.run_directory.segments
        writer = SegmentWriter(opened.disk, segments, plan.run_id, plan.epoch, worker)
        writer.write(batch_of(results), shards)
        writer.close()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# --- refusals ------------------------------------------------------------------------------------


def collides(place: Place) -> Job:
    place.write("in.jsonl", [{"text": "a", "output": "b"}])
    return place.job()


def batch_with_a_prompt(place: Place) -> Job:
    body = {"model": "m", "messages": []}
    line = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": body}
    place.write("in.jsonl", [line])
    return place.job(model=None)


def never_rendered(place: Place) -> Job:
    place.write("in.jsonl", [{"text": None}] * 5)
    return place.job()


def all_malformed(place: Place) -> Job:
    (place.path / "in.jsonl").write_text("{nonsense\n" * 5)
    return place.job(messages=None)


def in_the_way(place: Place) -> Job:
    place.output.write_text("precious")
    return place.job()


def inside_the_input(place: Place) -> Job:
    return place.job(inputs=(str(place.path),), run_dir=str(place.path.parent / "elsewhere.run"))


def empty(place: Place) -> Job:
    (place.path / "in.jsonl").write_text("\n \n\r\n")
    return place.job()


def of_strangers(place: Place) -> Job:
    place.run.mkdir()
    (place.run / "precious.txt").write_text("mine")
    return place.job()


Refused = Callable[[Place], Job]

REFUSALS: dict[str, tuple[Refused, type[PenstockError], str]] = {
    "no input": (lambda p: p.job(inputs=()), JobError, "no input"),
    "no output": (lambda p: p.job(output=""), JobError, "no output"),
    "missing input": (lambda p: p.job(inputs=("nowhere.jsonl",)), InputError, "nowhere.jsonl"),
    "empty input": (empty, InputError, "empty"),
    "unknown column": (lambda p: p.job(prompt="{{ txet }}"), TemplateError, "txet"),
    "broken template": (lambda p: p.job(prompt="{{ text"), TemplateError, "--prompt"),
    "no prompt": (lambda p: p.job(prompt=None), JobError, "--prompt"),
    "no model": (lambda p: p.job(model=None), JobError, "--model"),
    "unknown messages": (
        lambda p: p.job(prompt=None, messages="chat"),
        JobError,
        "--messages chat",
    ),
    "colliding column": (collides, OutputError, "output"),
    "unknown kept column": (lambda p: p.job(keep="nowhere"), UsageError, "nowhere"),
    "unknown id": (lambda p: p.job(id="nowhere"), UsageError, "nowhere"),
    "prompt with batch lines": (batch_with_a_prompt, UsageError, "prompt"),
    "nothing can be rendered": (never_rendered, TemplateError, "text"),
    "nothing can be read": (all_malformed, UsageError, "in.jsonl:1: malformed JSON"),
    "output in the way": (in_the_way, OutputError, "out.jsonl"),
    "output inside an input": (inside_the_input, OutputError, "out.jsonl"),
    "unknown format": (lambda p: p.job(output=str(p.path / "out.xlsx")), OutputError, "out.xlsx"),
    "no key": (lambda p: p.job(api_key_env="THE_KEY"), JobError, "THE_KEY"),
    "no key file": (lambda p: p.job(api_key_file="nowhere"), JobError, "nowhere"),
    "no header variable": (lambda p: p.job(header={"X": "env:NO"}), JobError, "NO"),
    "header of control characters": (lambda p: p.job(header={"X": "a\x01"}), JobError, "X"),
    "missing authorities": (lambda p: p.job(ca_file="nowhere.pem"), JobError, "--ca-file"),
    "https proxy": (lambda p: p.job(proxy="https://localhost:1"), JobError, "--proxy"),
    "a folder of something else": (of_strangers, RunDirectoryError, "precious.txt"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_job_that_cannot_work_is_refused_and_leaves_nothing_behind(
    place: Place, name: str
) -> None:
    make, kind, words = REFUSALS[name]
    job = make(place)
    before = place.files()
    error = place.refusal(job)
    assert isinstance(error, kind)
    assert error.exit_code == 2
    assert words in str(error)
    assert place.files() == before


@pytest.mark.parametrize(
    "stdin", [b"", b"\n\n", b"{nonsense\n", b'{"other": 1}\n', b'{"text": null}\n']
)
def test_a_stdin_that_cannot_be_used_is_refused_and_leaves_nothing_behind(
    place: Place, stdin: bytes
) -> None:
    before = place.files()
    error = place.refusal(place.job(inputs=("-",)), stdin=io.BytesIO(stdin))
    assert error.exit_code == 2
    assert place.files() == before


@pytest.mark.parametrize("objects", [7, "text", [], [{"other": 1}], iter([1, 2])])
def test_objects_that_cannot_be_used_are_refused_and_leave_nothing_behind(
    place: Place, objects: Any
) -> None:
    before = place.files()
    error = place.refusal(place.job(inputs=(OBJECTS,)), objects=objects)
    assert error.exit_code == 2
    assert place.files() == before


def test_a_run_that_another_holds_is_refused_and_left_as_it_is(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "wait_for", lambda run_dir, *_: lock.try_lock(run_dir))
    directory = RunDirectory(place.run)
    directory.prepare(Disk())
    holder = lock.RunLock.acquire(Disk(), directory)
    before = place.files()
    error = place.refusal(place.job())
    assert isinstance(error, RunLocked)
    assert error.exit_code == 6
    assert place.files() == before
    holder.release()


# --- a new run -----------------------------------------------------------------------------------


def test_a_new_run_is_planned_from_its_first_row(place: Place) -> None:
    job = place.job(max_concurrency=32, rpm=600, tpm=10**6, limit=90)
    with open_run(job, {}) as opened:
        plan = opened.plan
        assert (plan.epoch, plan.generation, plan.target) == (1, 0, None)
        assert (plan.workers, plan.endpoints[0].places) == (1, 32)
        assert (plan.slots, plan.slots_per_worker) == (2048, 2048)  # room to be tuned to more
        given = [bucket.name for bucket in plan.endpoints[0].buckets if bucket.limit]
        assert given == ["rpm", "tpm"]
        assert plan.endpoints[0].name == "127.0.0.1:1"
        shards = list(plan.shards)
        assert [shard.rows for shard in shards] == [16] * 6 + [4]
        assert plan.books.missing([(0, 100)]) == [(0, 100)]
        assert opened.redo is None
        assert opened.warnings == []
        assert opened.notes and "text" in opened.notes[0]
    assert run_directory_of(job) == place.run


def test_the_run_directory_may_be_elsewhere(place: Place) -> None:
    job = place.job(run_dir=str(place.path / "runs" / "one"))
    with open_run(job, {}) as opened:
        assert opened.run_directory.path == place.path / "runs" / "one"
    assert not place.run.exists()


def test_no_secret_is_in_the_run_directory(place: Place) -> None:
    job = place.job(
        api_key_env="THE_KEY", header={"X-Token": "env:TOKEN", "X-Plain": f"{CANARY}-3"}
    )
    environment = {"THE_KEY": f"{CANARY}-1", "TOKEN": f"{CANARY}-2"}
    with open_run(job, environment) as opened:
        assert opened.plan.endpoints[0].key == Secret(f"{CANARY}-1")
        assert opened.plan.endpoints[0].headers["X-Token"] == f"{CANARY}-2"
    for path in place.run.rglob("*"):
        assert path.is_dir() or CANARY.encode() not in path.read_bytes()


def test_records_of_the_callers_own_become_an_input(place: Place) -> None:
    job = place.job(inputs=(OBJECTS,))
    objects = [{"text": f"text {n}"} for n in range(20)]
    with open_run(job, {}, objects=objects) as opened:
        assert sum(shard.rows for shard in opened.plan.shards) == 20


def test_the_ceiling_of_a_token_bucket_comes_from_the_sampled_records(place: Place) -> None:
    place.write("in.jsonl", [{"text": "x" * 40_000}])
    with open_run(place.job(tpm=10**6), {}) as opened:
        of_tokens = next(b for b in opened.plan.endpoints[0].buckets if b.name == "tpm")
        assert of_tokens.ceiling > 10_000


def test_the_responses_of_batch_lines_are_kept_for_the_output_consists_of_them(
    place: Place,
) -> None:
    body = {"model": "m", "messages": []}
    line = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": body}
    place.write("in.jsonl", [line])
    with open_run(place.job(model=None, prompt=None), {}) as opened:
        assert opened.plan.keep_response == "always"


# --- resuming ------------------------------------------------------------------------------------


def test_the_same_job_resumes_with_what_is_done_left_out(place: Place) -> None:
    with open_run(place.job(), {}) as opened:
        run_id = opened.plan.run_id
        place.put(opened, [answer(row) for row in range(10)] + [dead(20)])
    with open_run(place.job(), {}) as opened:
        assert opened.plan.run_id == run_id
        assert opened.plan.epoch == 2
        assert rows_of(opened.plan.books.missing([(0, 22)])) == [*range(10, 20), 21]
        assert (opened.plan.books.succeeded, opened.plan.books.failures) == (
            10,
            {"invalid_request": 1},
        )


def test_the_shards_that_were_read_are_known_again_by_their_checksums(place: Place) -> None:
    known = ShardMark(0, 32, -7)
    with open_run(place.job(), {}) as opened:
        place.put(opened, [answer(0)], shards=[known])
    with open_run(place.job(), {}) as opened:
        assert opened.plan.known_shards == {0: known}


def test_workers_are_given_the_lock_to_hold(place: Place) -> None:
    with open_run(place.job(), {}) as opened:
        (inherited,) = opened.plan.inherited
        assert os.path.samestat(os.fstat(inherited), opened.run_directory.lock_path.stat())


FREE: dict[str, Any] = {
    "rpm": 5,
    "tpm": 10**6,
    "max_concurrency": 128,
    "workers": 2,
    "timeout": 5.0,
    "max_attempts": 2,
    "limit": 50,
    "stop_failed": "10%",
    "allow_failed": "10%",
    "grace": "1s",
    "progress": "off",
    "metrics_port": "off",
    "base_url": "http://127.0.0.1:2/v1",
}


@pytest.mark.parametrize("name", FREE)
def test_what_is_free_to_change_resumes_with_shards_that_begin_where_they_did(
    place: Place, name: str
) -> None:
    with open_run(place.job(), {}) as opened:
        before = [shard.first_row for shard in opened.plan.shards]
    with open_run(place.job(**{name: FREE[name]}), {}) as opened:
        assert [shard.first_row for shard in opened.plan.shards] == before


IDENTITY: dict[str, Any] = {
    "prompt": "Other: {{ text }}",
    "system": "You are terse.",
    "model": "other",
    "param": {"temperature": 0},
    "keep": "none",
    "prefix": "p_",
    "response": "always",
    "base_url": "http://127.0.0.1:1/v2",
}


@pytest.mark.parametrize("name", IDENTITY)
def test_what_makes_another_job_is_refused_by_name_and_changes_nothing(
    place: Place, name: str
) -> None:
    with open_run(place.job(), {}):
        pass
    kept = {p: (place.path / p).read_bytes() for p in place.files() if (place.path / p).is_file()}
    error = place.refusal(place.job(**{name: IDENTITY[name]}))
    assert isinstance(error, RunDirectoryError)
    assert name.replace("_", "-") in str(error)
    assert "--fresh" in error.next_step
    after = {p: (place.path / p).read_bytes() for p in place.files() if (place.path / p).is_file()}
    changed = {name for name in after if after[name] != kept.get(name)}
    assert changed <= {"out.jsonl.run/workers.json"}


def test_an_input_that_grew_is_accepted_and_one_that_changed_is_refused(place: Place) -> None:
    with open_run(place.job(), {}):
        pass
    lines = (place.path / "in.jsonl").read_text()
    (place.path / "in.jsonl").write_text(lines + '{"id": "new", "text": "more"}\n')
    with open_run(place.job(), {}) as opened:
        assert sum(shard.rows for shard in opened.plan.shards) == 101
        (frozen,) = opened.run_directory.manifest().inputs
        assert frozen.size == (place.path / "in.jsonl").stat().st_size
    (place.path / "in.jsonl").write_text(lines.replace("text 0", "TEXT 0"))
    error = place.refusal(place.job())
    assert isinstance(error, InputError)
    assert "in.jsonl" in str(error)


def test_fresh_begins_anew_and_keeps_the_old_run(place: Place) -> None:
    with open_run(place.job(), {}) as opened:
        place.put(opened, [answer(0)])
    with open_run(place.job(fresh=True, model="other"), {}) as opened:
        assert opened.plan.epoch == 1
        assert opened.plan.books.succeeded == 0
    assert list((place.path / "out.jsonl.run.1" / "segments").iterdir())


def test_a_run_that_begins_anew_may_replace_the_output_of_the_one_before(place: Place) -> None:
    with open_run(place.job(), {}) as opened:
        place.output.write_text("what it made\n")
        made = fingerprint(place.output, place.output.name)
        remember(opened.disk, opened.run_directory.path, made)
    for _ in range(2):
        with open_run(place.job(fresh=True), {}) as opened:
            assert is_published(opened.run_directory.path, place.output)
    place.output.write_text("what somebody else made\n")
    assert isinstance(place.refusal(place.job(fresh=True)), OutputError)


def test_an_interrupted_redo_is_carried_on_under_its_own_job(place: Place) -> None:
    with open_run(place.job(), {}) as opened:
        results = [dead(row) if row in (3, 50) else answer(row) for row in range(100)]
        place.put(opened, results)
        job = {**opened.manifest.job, "param": {"temperature": 1}, "rpm": 77}
        rows = RowSet([(3, 4), (50, 51)])
        begin_redo(opened.disk, opened.run_directory, opened.plan.run_id, rows, job, "2026")
    with open_run(place.job(rpm=5), {}) as opened:
        plan = opened.plan
        assert (plan.generation, plan.total) == (1, 2)
        assert plan.target == RowSet([(3, 4), (50, 51)])
        assert plan.job.param == {"temperature": 1}
        assert plan.job.rpm == 5
        assert plan.books.missing([(3, 4), (50, 51)]) == [(3, 4), (50, 51)]


def test_the_lock_is_let_go_at_the_end_whatever_happened(place: Place) -> None:
    with pytest.raises(ZeroDivisionError), open_run(place.job(), {}):
        raise ZeroDivisionError
    with open_run(place.job(), {}) as opened:
        assert opened.plan.epoch == 2
        assert msgspec.json.decode(opened.run_directory.workers_path.read_bytes())


def test_a_token_limit_below_one_record_is_said_and_a_request_limit_is_none(tmp_path: Path) -> None:
    buckets = limits.buckets_of(Job(rpm=1, tpm=10, output_tpm=500), 300)
    (said,) = opening.tight_limits(buckets, 300)
    assert said.startswith("--tpm 10 is less than the 300 tokens")


def test_a_run_is_moved_aside_with_its_lock_held(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between letting go and moving, another supervisor could begin to work in it."""

    def moved(disk: Disk, path: Path) -> Path:
        assert lock.try_lock(RunDirectory(path)) is None
        return move_aside(disk, path)

    monkeypatch.setattr("penstock.engine.opening.move_aside", moved)
    with open_run(place.job(), {}):
        pass
    with open_run(place.job(fresh=True), {}) as opened:
        assert opened.plan.epoch == 1


def test_what_was_simulated_makes_way_for_the_same_job_in_earnest(place: Place) -> None:
    with open_run(place.job(simulate=True), {}) as opened:
        place.put(opened, [answer(row) for row in range(100)])
    with open_run(place.job(), {}) as opened:
        assert (opened.plan.epoch, opened.recovered.account.ended) == (1, 0)
        aside = place.run.with_name(place.run.name + ".1")
        assert f"the run that was here before is {aside} now" in opened.notes
        assert RunDirectory(aside).manifest().identity["simulate"] is True


def test_simulated_answers_are_reused_by_simulations_alone(place: Place, tmp_path: Path) -> None:
    with open_run(place.job(simulate=True), {}) as opened:
        place.put(opened, [answer(row) for row in range(100)])
    new = {"output": str(tmp_path / "new.jsonl"), "run_dir": str(tmp_path / "new.run")}
    for source in (place.run, place.output):
        error = place.refusal(place.job(reuse=(str(source),), **new))
        assert "its answers were simulated" in error.what and "--simulate" in error.next_step
    with open_run(place.job(reuse=(str(place.run),), simulate=True, **new), {}) as opened:
        assert opened.plan.shelves[0].files


def test_a_run_that_was_refused_at_once_makes_way_for_the_mended_job(place: Place) -> None:
    def refused(**changes: Any) -> None:
        with open_run(place.job(model="typo"), {}) as opened:
            now = datetime(2026, 3, 1, tzinfo=UTC)
            ended = {"exit_code": EXIT_PROVIDER, "started_at": now, "finished_at": now}
            came = Report(**ended, **changes)
            write_summary(opened.disk, place.run, came)

    refused()
    with open_run(place.job(model="typo"), {}) as opened:
        assert opened.plan.epoch == 2
    with open_run(place.job(), {}) as opened:
        assert opened.plan.epoch == 1
        assert f"the run that was here before is {place.run}.1 now" in opened.notes
    assert "model" in place.refusal(place.job(model="other")).what  # it was stopped, not refused
    place.run.rename(place.path / "elsewhere")
    refused(cost_usd=0.1)
    assert "model" in place.refusal(place.job()).what
    refused()
    with open_run(place.job(model="typo"), {}) as opened:
        place.put(opened, [answer(1)])
    assert "model" in place.refusal(place.job()).what


def test_a_run_in_earnest_is_not_gone_on_with_by_a_simulation(place: Place) -> None:
    with open_run(place.job(), {}):
        pass
    error = place.refusal(place.job(simulate=True))
    assert isinstance(error, RunDirectoryError)
    assert "simulate: false became true" in error.what


def test_a_redo_s_messages_and_schema_are_what_they_were() -> None:
    asked = convert({"messages": [{"role": "user", "content": "x"}], "schema": {"type": "object"}})
    job = public_job(msgspec.structs.replace(asked, model="n"))
    redo = Generation(1, "2026-03-01T12:00:00Z", job, RowSet([(0, 1)]))
    found = job_of_redo(Job(model="m", prompt="p", rpm=5), redo)
    assert (found.messages, found.schema, found.prompt) == (asked.messages, asked.schema, None)
    assert (found.model, found.rpm) == ("n", 5)
