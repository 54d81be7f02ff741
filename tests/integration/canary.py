"""Keys that must be found nowhere, in every form that a server may give them, and the search."""

from __future__ import annotations

import base64
import gzip
import html
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet

KEY = "sk-Canary/42+x=/do-Not-write-me-down"
HEADER_KEY = "hd-Canary&43+y=/Neither-write-this"

# How a server may show a key that it was sent, as text of a JSON string or of a header.
SHOWN: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json in json": lambda key: json.dumps(json.dumps({"k": key})),
    "url": lambda key: quote(key, safe=""),
    "url, small digits": lambda key: quote(key, safe="").lower(),
    "base64": lambda key: base64.b64encode(f"u:{key}".encode()).decode(),
    "base64, for URLs": lambda key: base64.urlsafe_b64encode(f"{key};".encode()).decode(),
    "upper case": str.upper,
    "lower case": str.lower,
    "html": lambda key: key.replace("&", "&amp;"),
    "twice": lambda key: key + key,
}


def spelled(text: str) -> str:
    """JSON of `text` with what is unusual in ASCII escaped, as .NET does."""
    return "".join(f"\\u{ord(c):04x}" if c in "+&<>'=" else json.dumps(c)[1:-1] for c in text)


def traces(key: str, data: bytes) -> list[bytes]:
    """The forms in which `key` is in `data`."""
    once = json.dumps(key)[1:-1]
    forms = {
        key,
        once,
        json.dumps(once)[1:-1],
        quote(key, safe=""),
        spelled(key),
        html.escape(key),
        key[:20],
    }
    forms |= {form.replace("/", "\\/") for form in list(forms)}
    small = data.lower()
    found = [form.encode() for form in forms if form.lower().encode() in small]
    for before in range(3):
        core = base64.b64encode(b" " * before + key.encode())[4:-4]
        found += [one for one in (core, core.translate(URL_SAFE)) if one in data]
    return found


URL_SAFE = bytes.maketrans(b"+/", b"-_")


def found_below(key: str, folder: Path) -> list[str]:
    """Where below `folder` a key is: in names, in bytes, or in what the bytes mean."""
    return [
        f"{path}: {trace!r}"
        for path in sorted(folder.rglob("*"))
        for meaning in (str(path).encode(), *meanings(path))
        for trace in traces(key, meaning)
    ]


def meanings(path: Path) -> Iterator[bytes]:
    """A file's bytes, and what they are once decompressed and decoded."""
    if not path.is_file():
        return
    data = path.read_bytes()
    yield data
    match path.suffix:
        case ".arrow":
            # Batch by batch, as recovery does: the file may have no footer.
            stream = data[8:] if data[:6] == b"ARROW1" else data
            with pa.ipc.open_stream(stream) as reader:
                for batch, metadata in reader.iter_batches_with_custom_metadata():
                    yield repr((dict(metadata or {}), batch.to_pylist())).encode()
                yield repr(reader.schema.metadata).encode()
        case ".parquet":
            yield repr(pyarrow.parquet.read_table(path).to_pylist()).encode()
        case ".gz":
            yield gzip.decompress(data)
        case ".zst":
            yield pa.input_stream(path, compression="zstd").read()
        case ".json":
            yield repr(json.loads(data)).encode()
        case ".jsonl":
            yield "\n".join(repr(json.loads(line)) for line in data.splitlines()).encode()
