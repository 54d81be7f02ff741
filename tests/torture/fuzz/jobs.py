"""Job files: whatever is in one is a job that can be used, or a JobError in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from penstock.errors import JobError, TemplateError
from penstock.job import Job, identity
from penstock.ledger.manifest import compare, public_job
from penstock.origins import load_job
from penstock.providers.provider import provider_for

WHOLE: Final = """
inputs = ["rows.jsonl", "-"]
output = "out.parquet"
model = "gpt-x"
prompt = "Answer: {{ text }}"
system = 'Be brief'
rpm = 500
tpm = 200_000
max-concurrency = 64
workers = "auto"
timeout = 30.5
stop_failed = 0.05
allow_failed = "5%"
grace = "25s"
metrics_port = 9464
base_url = "https://example.org:8443/v1"
json = true
[param]
temperature = 0.5
"response_format.type" = "json_object"
stop = ["a", {b = 1}]
[header]
X-Team = "env:TEAM"
"""
ODD: Final = (
    'inputs = "a"\nprompt_file = "missing.txt"',
    "workers = 3\nrps = 1000000000000000000000",
    "[param]\na.b = nan\nc = -inf\nd = 1979-05-27T07:32:00Z\ne = 07:32:00",
    "stop-failed = true\ngrace = []\nheader = {a = 1}",
    'base_url = "http://[::1"\nproxy = "http://u:p@h"',
    "promt = 'x'\nmodl = 1",
    'keep = "a,b"\nresponse = "sometimes"\nprogress = "Bar"',
    "timeout = nan",
    "timeout = inf",
    "max_attempts = 0\nlimit = -1",
    'output = "a\\u0000.csv"\nprompt = "x"',
    'prompt_file = "a\\u0000"',
    "metrics_port = " + "9" * 4000,
    "rpm = " + "9" * 5000,
    "param = " + "[" * 3000,
    "[param]\nx = " + "[" * 80 + "]" * 80,
)


def seeds() -> Sequence[bytes]:
    lines = [line.encode() for line in WHOLE.splitlines() if line]
    return [WHOLE.encode(), *lines, *(text.encode() for text in ODD)]


def once(data: bytes, folder: Path) -> None:
    path = folder / "job.toml"
    path.write_bytes(data)
    try:
        job = load_job({}, {}, path)
    except JobError as error:
        check_words(error)
        return
    check_job(job)


def check_words(error: JobError) -> None:
    """The error says what it is about, and can be printed."""
    assert error.what
    f"{error}".encode("utf-8", "backslashreplace")


def check_job(job: Job) -> None:
    """What is done with every job works: its shares, its manifest, its dialect."""
    assert 0 <= job.stop_failed_share <= 1
    assert 0 <= job.allow_failed_share <= 1
    assert 0 <= job.grace_seconds < float("inf")
    assert 0 < job.timeout < float("inf")
    msgspec.json.encode(public_job(job))
    # As it comes back from run.json: the same job resumes.
    kept = msgspec.json.decode(msgspec.json.encode(identity(job)))
    assert compare(kept, identity(job)) == []
    msgspec.msgpack.decode(msgspec.msgpack.encode(job), type=Job)
    try:
        provider_for(job)
    except (JobError, TemplateError) as error:
        assert error.what
