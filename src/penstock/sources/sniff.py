"""What a file is: its suffixes say so, and its first bytes are asked whether that can be true."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from penstock.errors import InputError
from penstock.sources.bytesource import open_source
from penstock.sources.resolve import ARROW, COMPRESSIONS, JSONL, PARQUET, READABLE, format_of

_HEAD_BYTES = 4 << 10
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_MAGIC = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst"}
_SUFFIXES = {compression: suffix for suffix, compression in COMPRESSIONS.items()}


def sniff(path: Path, name: str) -> tuple[str, str]:
    """A file's format and compression. Raises InputError where it can't be read as such."""
    declared, compression = format_of(path)
    check_compression(path, name, compression)
    if declared in (PARQUET, ARROW):
        if compression:
            raise InputError(
                f"{name}: {declared} files are compressed inside", "Unpack it, and name that."
            )
        return declared, ""
    with closing(open_source(path, name, compression, path.stat().st_size)) as source:
        head = source.read(_HEAD_BYTES)
    if declared is None and head and not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        raise InputError(
            f"{name}: its suffix says no format that is known", f"Readable: {READABLE}."
        )
    check_text(head, name, declared or JSONL)
    return declared or JSONL, compression


def check_compression(path: Path, name: str, compression: str) -> None:
    """Raises InputError where a file's first bytes are of another compression than its suffix."""
    with path.open("rb") as file:
        head = file.read(4)
    found = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), "")
    if found and found != compression:
        raise InputError(
            f"{name}: holds {found} data",
            f"Let its name end so: mv {path} {path}{_SUFFIXES[found]}",
        )


def check_text(head: bytes, name: str, format: str) -> None:
    """Raises InputError where a file's first bytes can't be lines of UTF-8 in that format."""
    if head[:2] in _UTF_16_MARKS or (len(head) > 1 and 0 in (head[0], head[1])):
        raise InputError(
            f"{name}: is UTF-16 or UTF-32 text, not UTF-8",
            f"Convert it: iconv -f UTF-16 -t UTF-8 {name} > converted.{format}",
        )
    first, newline, _ = head.lstrip(b"\xef\xbb\xbf \t\r\n").partition(b"\n")
    # A broken row among rows is a dead letter, so what begins like rows is let through.
    begins_like_rows = first.startswith(b"{") if format == JSONL else b"\0" not in first
    if b"\0" in head and not begins_like_rows:
        raise InputError(f"{name}: holds binary data, not text", f"Readable: {READABLE}.")
    if format == JSONL and newline and first.strip() in (b"[", b"{"):
        raise InputError(
            f"{name}: holds JSON over several lines",
            "Put each object on a line of its own; for an array: jq -c '.[]' FILE > FILE.jsonl",
        )
