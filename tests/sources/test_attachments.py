"""Images and files that go with a record's prompt."""

from __future__ import annotations

import os
from base64 import b64encode
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.job import Job
from penstock.record import Attached, Attachment, Record
from penstock.sources import attachments
from penstock.sources.attachments import attacher, media_type
from penstock.sources.inputs import Inputs

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 9
PDF = b"%PDF-1.7 and so on"
WEBP = b"RIFF\x10\0\0\0WEBPVP8 "


def data(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{b64encode(content).decode()}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inner = tmp_path / "media"
    (inner / "a").mkdir(parents=True)
    (inner / "a" / "p.jpg").write_bytes(PNG)  # its first bytes count, not its name
    (inner / "doc.pdf").write_bytes(PDF)
    (inner / "empty").write_bytes(b"")
    (inner / "link").symlink_to(tmp_path / "secret")
    (inner / "inside").symlink_to(inner / "a" / "p.jpg")
    (tmp_path / "secret").write_bytes(PNG)
    os.mkfifo(inner / "pipe")
    return inner


def attached(folder: Path, value: Any, *, option: str = "image") -> Record:
    attach = attacher(Job(media_dir=str(folder), **{option: "x"}))
    assert attach is not None
    return attach(Record(3, "in.jsonl:4", fields={"x": value, "text": "t"}))


def found(folder: Path, value: Any, **how: Any) -> list[Attachment]:
    record = attached(folder, value, **how)
    assert record.problem is None
    assert isinstance(record.fields, Attached)
    assert dict(record.fields) == {"x": value, "text": "t"}
    return list(record.fields.attachments)


def problem(folder: Path, value: Any, **how: Any) -> str:
    record = attached(folder, value, **how)
    assert record.fields is None
    assert record.problem is not None
    return record.problem


def test_a_job_without_any_has_nothing_to_read() -> None:
    assert attacher(Job()) is None


def test_a_url_is_passed_on_and_never_fetched(folder: Path) -> None:
    url = "https://127.0.0.1:9/a/cat.png?size=1"
    assert found(folder, url) == [Attachment(url, "", "cat.png")]
    given = data(PNG, "image/png")
    assert found(folder, given) == [Attachment(given, "image/png")]


def test_a_path_is_read_below_the_folder(folder: Path) -> None:
    expected = Attachment(data(PNG, "image/png"), "image/png", "p.jpg")
    assert found(folder, "a/p.jpg") == [expected]
    assert found(folder, str(folder / "a" / ".." / "a" / "p.jpg")) == [expected]
    assert found(folder, "inside")[0].url == expected.url
    pdf = found(folder, "doc.pdf", option="file")
    assert pdf == [Attachment(data(PDF, "application/pdf"), "application/pdf", "doc.pdf", False)]


def test_bytes_are_taken_as_they_are_and_so_is_what_data_sets_have(folder: Path) -> None:
    assert found(folder, PNG) == [Attachment(data(PNG, "image/png"), "image/png")]
    both = {"bytes": WEBP, "path": "somewhere/else.webp"}
    assert found(folder, both) == [Attachment(data(WEBP, "image/webp"), "image/webp", "else.webp")]
    assert found(folder, {"bytes": None, "path": "a/p.jpg"})[0].name == "p.jpg"


@pytest.mark.parametrize(("value", "count"), [([], 0), ([PNG, "a/p.jpg"], 2), ('["a/p.jpg"]', 1)])
def test_a_list_holds_several(folder: Path, value: Any, count: int) -> None:
    assert len(found(folder, value)) == count


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("none.png", "column 'x': none.png: No such file"),
        ("../secret", "is outside"),
        ("/etc/passwd", "is outside"),
        ("link", "is outside"),
        ("pipe", "column 'x': pipe is no file"),
        ("a", "column 'x': a"),
        ("empty", "is empty"),
        ("doc.pdf", "is no image but application/pdf"),
        (data(PDF, "application/pdf"), "is no image but application/pdf"),
        ("data:image/png", "is no http(s) and no data URL"),
        ("file:///etc/passwd", "is no http(s) and no data URL"),
        ("ftp://host/x.png", "is no http(s) and no data URL"),
        ("a\0b", "null"),
        ("x" * 5000, "File name too long"),
        (None, "column 'x' is null"),
        ([None], "column 'x' is null"),
        ("", "holds no URL, path or bytes"),
        (5, "holds no URL, path or bytes: int"),
        ({"path": None}, "holds no URL, path or bytes"),
    ],
)
def test_what_can_not_be_had_is_the_row_s_problem(folder: Path, value: Any, says: str) -> None:
    told = problem(folder, value)
    assert says in told
    assert len(told) < 600


def test_what_is_too_large_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachments, "MOST_BYTES", len(PNG))
    assert found(folder, "a/p.jpg")
    for value in (PNG + b"0", data(PNG + b"0000", "image/png")):
        assert "is larger than" in problem(folder, value)
    (folder / "large.png").write_bytes(PNG + b"0")
    assert "large.png is larger than" in problem(folder, "large.png")
    monkeypatch.setattr(attachments, "MOST_OF_ALL", 60)
    assert "its images and files are above" in problem(folder, ["a/p.jpg", "a/p.jpg"])


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (WEBP, "image/webp"),
        (b"\0\0\0\x18ftypheic", "image/heic"),
        (PDF, "application/pdf"),
        ("Größe".encode(), "text/plain"),
        (b"a\0b", "application/octet-stream"),
        (b"\xff\xfe", "application/octet-stream"),
    ],
)
def test_what_content_is_its_first_bytes_say(content: bytes, kind: str) -> None:
    assert media_type(content) == kind


def test_a_column_of_bytes_comes_out_of_parquet_as_it_is(folder: Path, tmp_path: Path) -> None:
    rows = [{"x": PNG}, {"x": {"bytes": PNG, "path": None}}, {"x": [PNG, PNG]}]
    for number, (row, count) in enumerate(zip(rows, (1, 1, 2), strict=True)):
        path = tmp_path / f"{number}.parquet"
        pq.write_table(pa.Table.from_pylist([row]), path)
        [record] = Inputs.open((str(path),)).sample(1)
        assert record.fields is not None
        expected = [Attachment(data(PNG, "image/png"), "image/png")] * count
        assert found(folder, record.fields["x"]) == expected
