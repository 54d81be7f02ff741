from __future__ import annotations

import io
import json

import msgspec

from observe.samples import a_report, a_snapshot
from penstock.observe.progress_json import JsonProgress
from penstock.observe.report import Report
from penstock.observe.snapshot import Snapshot


def test_every_line_is_an_object_that_names_its_event() -> None:
    stream = io.StringIO()
    progress = JsonProgress(stream)
    progress.update(a_snapshot())
    progress.update(a_snapshot(elapsed_seconds=61.5))
    progress.update(a_snapshot(elapsed_seconds=62.0))
    progress.note("hello\nworld")
    progress.close(a_report())
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["progress", "progress", "note", "report"]
    assert lines[2]["text"] == "hello\nworld"


def test_what_is_written_reads_back_as_it_was() -> None:
    stream = io.StringIO()
    progress = JsonProgress(stream)
    progress.update(a_snapshot())
    progress.close(a_report())
    first, last = stream.getvalue().splitlines()
    assert msgspec.json.decode(first, type=Snapshot) == a_snapshot()
    assert msgspec.json.decode(last, type=Report) == a_report()
