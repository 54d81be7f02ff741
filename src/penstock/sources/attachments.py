"""Images and files that go with a record's prompt: read by the worker that asks, just before.

A cell names one by an http(s) URL, which is passed on for the provider to fetch and never fetched
here; by a `data:` URL; by a path; or holds its bytes, as Parquet and Arrow can. A list holds
several. A path is one of a file in the job's folder: a record, which may be a stranger's, can not
have other files of this machine sent anywhere. What a file is, its first bytes say, not its name.
"""

from __future__ import annotations

import os
import re
import stat
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from penstock.job import Job, column_names
from penstock.record import Attached, Attachment, Record

MOST_BYTES: Final = 20 << 20  # of one; the APIs take no more, or little more
MOST_OF_ALL: Final = 64 << 20  # of all that go with one record

MOST_SHOWN: Final = 200  # characters of a path; who gives base64 without `data:` gives many

PASSED_ON: Final = re.compile(r"https?://[^\s/]+\S*\Z", re.IGNORECASE)
DATA: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)[\w;=.+-]*,", re.IGNORECASE)
OTHER_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")

TEXT: Final = "text/plain"
UNKNOWN: Final = "application/octet-stream"
MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
)
# By what stands at byte 8: after RIFF and a size; after a size and `ftyp`.
IN_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
IN_FTYP: Final = {
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"avif": "image/avif",
}


class Unreadable(Exception):
    """Raised when an image or a file of a record can't be had, or is none."""


class Attachments:
    """What the columns of a job's --image and --file name."""

    def __init__(self, job: Job) -> None:
        self._images = column_names(job.image)
        self._files = column_names(job.file)
        self._folder = Path(job.media_dir).resolve()

    def attached(self, record: Record) -> Record:
        """The record with all that goes with it; with a `problem` where that can't be had."""
        if record.fields is None:
            return record
        fields = Attached(record.fields)
        try:
            fields.attachments = tuple(self._all(record.fields))
        except Unreadable as error:
            return msgspec.structs.replace(record, fields=None, problem=str(error))
        return msgspec.structs.replace(record, fields=fields)

    def _all(self, fields: Mapping[str, Any]) -> Iterator[Attachment]:
        left = MOST_OF_ALL
        for columns, is_image in ((self._images, True), (self._files, False)):
            for column in columns:
                for value in several(column, fields.get(column)):
                    found = self._one(column, value, is_image)
                    left -= len(found.url)
                    if left < 0:
                        raise Unreadable(f"its images and files are above {MOST_OF_ALL >> 20} MiB")
                    yield found

    def _one(self, column: str, value: Any, is_image: bool) -> Attachment:
        """What a cell, or one of those in it, stands for. Raises Unreadable."""
        where = f"column {column!r}"
        if isinstance(value, Mapping):  # as in Hugging Face's data sets
            path = value.get("path")
            name = path if isinstance(path, str) else ""
            value = path if value.get("bytes") is None else value["bytes"]
        else:
            name = value if isinstance(value, str) else ""
        if isinstance(value, bytes | bytearray | memoryview):
            return of_bytes(where, bytes(value), Path(name).name, is_image)
        if not isinstance(value, str) or not value:
            raise Unreadable(f"{where} holds no URL, path or bytes: {type(value).__name__}")
        if PASSED_ON.match(value):
            return Attachment(value, "", Path(value.partition("?")[0]).name, is_image)
        if data := DATA.match(value):
            check_size(where, len(value) * 3 // 4)
            check_image(where, data[1].lower(), is_image)
            return Attachment(value, data[1].lower(), "", is_image)
        if value.startswith("data:") or OTHER_URL.match(value):
            raise Unreadable(f"{where}: {value[:60]!r} is no http(s) and no data URL")
        where = f"{where}: {value[:MOST_SHOWN]}"
        return of_bytes(where, self._read(where, value), Path(value).name, is_image)

    def _read(self, where: str, text: str) -> bytes:
        """The content of a file below the folder. Raises Unreadable."""
        try:
            path = (self._folder / text).resolve()
            if not path.is_relative_to(self._folder):
                raise Unreadable(f"{where} is outside {self._folder} (see --media-dir)")
            return content_of(where, path)
        except (OSError, ValueError, RuntimeError) as error:  # a NUL in it; links in a circle
            reason = getattr(error, "strerror", None) or str(error)
            raise Unreadable(f"{where}: {reason} (in {self._folder})") from None


def attacher(job: Job) -> Callable[[Record], Record] | None:
    """What gives the records of a job their images and files; None for a job that has none."""
    return Attachments(job).attached if job.image or job.file else None


def several(column: str, value: Any) -> Iterator[Any]:
    """The values of a cell: a list has several, or none. Raises Unreadable for a null."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        with suppress(ValueError, RecursionError):  # a path may begin so, too
            value = msgspec.json.decode(value)
    for one in value if isinstance(value, list | tuple) else (value,):
        if one is None:
            raise Unreadable(f"column {column!r} is null; a record without any has an empty list")
        yield one


def content_of(where: str, path: Path) -> bytes:
    """A regular file's content. Raises Unreadable, OSError."""
    # A pipe would hold the worker up until somebody writes to it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Unreadable(f"{where} is no file")
        return file.read(MOST_BYTES + 1)


def of_bytes(where: str, content: bytes, name: str, is_image: bool) -> Attachment:
    """Content as it goes with a prompt. Raises Unreadable."""
    check_size(where, len(content))
    if not content:
        raise Unreadable(f"{where} is empty")
    kind = media_type(content)
    check_image(where, kind, is_image)
    url = f"data:{kind};base64,{b64encode(content).decode()}"
    return Attachment(url, kind, name, is_image)


def check_size(where: str, size_bytes: int) -> None:
    if size_bytes > MOST_BYTES:
        raise Unreadable(f"{where} is larger than {MOST_BYTES >> 20} MiB")


def check_image(where: str, kind: str, is_image: bool) -> None:
    if is_image and not kind.startswith("image/"):
        raise Unreadable(f"{where} is no image but {kind}; other files go by --file")


def media_type(content: bytes) -> str:
    """What content is, by its first bytes."""
    for magic, kind in MAGIC:
        if content.startswith(magic):
            return kind
    if content[:4] == b"RIFF" and content[8:12] in IN_RIFF:
        return IN_RIFF[content[8:12]]
    if content[4:8] == b"ftyp" and content[8:12] in IN_FTYP:
        return IN_FTYP[content[8:12]]
    return TEXT if is_text(content) else UNKNOWN


def is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode("utf-8")
    except UnicodeDecodeError:
        return False
