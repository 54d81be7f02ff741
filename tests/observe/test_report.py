from __future__ import annotations

import json

import msgspec
import pytest

from observe.samples import a_report
from penstock.observe.report import Report


def test_a_report_reads_back_from_its_json_as_it_was() -> None:
    assert Report.from_json(a_report().to_json()) == a_report()


def test_its_json_is_for_people_too() -> None:
    text = a_report().to_json().decode()
    assert text.startswith('{\n  "exit_code": 3,\n')
    assert json.loads(text)["started_at"] == "2027-01-15T08:00:00Z"
    assert json.loads(text)["failed_by_class"]["invalid_request"] == {
        "count": 3,
        "row": 17,
        "id": "t-17",
        "message": "too\nlong",
    }


@pytest.mark.parametrize("data", [b"", b"{", b"{}", b'{"exit_code": "x"}'])
def test_what_is_no_report_is_refused(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        Report.from_json(data)


def test_a_notebook_shows_a_table() -> None:
    assert a_report()._repr_html_().startswith("<table><caption>Complete, with 5 dead letters")
