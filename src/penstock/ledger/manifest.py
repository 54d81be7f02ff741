"""The manifest, `run.json`: what a run is, and whether a job is the one that began it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from penstock.errors import RunDirectoryError
from penstock.ledger.schema import RESULT_SCHEMA_HASH
from penstock.ledger.sealed_json import pack, unpack
from penstock.sources.frozen import FrozenInput
from penstock.sources.schema import InputSchema

FORMAT_VERSION: Final = 2
SHOWN_CHARACTERS: Final = 60


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What this run is. Secrets are not in it."""

    format_version: int = FORMAT_VERSION
    run_id: str
    created_at: str  # ISO 8601, UTC
    penstock_version: str
    identity: dict[str, Any]  # see `penstock.job.identity`
    job: dict[str, Any]  # every option, see `public_job`
    inputs: list[FrozenInput]
    input_schema: InputSchema
    output_schema: list[tuple[str, str]]  # the announced columns: name, Arrow type
    shard_rows: int
    batch_lines: bool = False
    result_schema: str = RESULT_SCHEMA_HASH


def encode(manifest: Manifest) -> bytes:
    return pack(msgspec.json.encode(manifest))


def decode(data: bytes, path: Path) -> Manifest:
    """The manifest in `data`; its version is looked at first, as another may look otherwise."""
    try:
        version = msgspec.json.decode(data, type=dict[str, Any]).get("format_version")
        if version == FORMAT_VERSION:
            return of_our_schema(msgspec.json.decode(unpack(data), type=Manifest), path)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RunDirectoryError(
            f"{path} can't be read: {error}", "Restore it, or begin anew with --fresh."
        ) from None
    raise RunDirectoryError(
        f"{path} has format version {version}; this Penstock reads version {FORMAT_VERSION}",
        "Use the version of Penstock that made the run, or begin anew with --fresh.",
    )


def of_our_schema(manifest: Manifest, path: Path) -> Manifest:
    """Raises RunDirectoryError if the run's segments have another schema than ours."""
    # Read on, all of them would look like garbage, and be bought again.
    if manifest.result_schema != RESULT_SCHEMA_HASH:
        raise RunDirectoryError(
            f"{path}: the run's segments have other columns than this Penstock writes",
            "Use the version of Penstock that made the run, or begin anew with --fresh.",
        )
    return manifest


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What makes two identities different, one line each: `model: "a" became "b"`."""
    return [
        f"{key.replace('_', '-')}: {shown(old, key, new)} became {shown(new, key, old)}"
        for key in sorted(old.keys() | new.keys())
        if plain(old.get(key)) != plain(new.get(key))
    ]


def check_identity(manifest: Manifest, identity: Mapping[str, Any], path: Path) -> None:
    """Raises RunDirectoryError, naming each difference, unless the run is of this job."""
    differences = compare(manifest.identity, identity)
    if differences:
        raise RunDirectoryError(
            "\n  ".join([f"{path} holds the run of another job:", *differences]),
            "Give the same options to resume it, --fresh to begin anew (the old run is kept), "
            "or another output.",
        )


def makes_way(manifest: Manifest, identity: Mapping[str, Any]) -> bool:
    """Whether the run is but a rehearsal and the job is in earnest: nothing of it was bought."""
    return is_rehearsal(manifest) and not identity.get("simulate")


def is_rehearsal(manifest: Manifest) -> bool:
    """Whether a run was simulated."""
    return bool(manifest.identity.get("simulate"))


def plain(value: Any) -> Any:
    """A value as it comes back from JSON."""
    return msgspec.json.decode(msgspec.json.encode(value))


def shown(values: Mapping[str, Any], key: str, other: Mapping[str, Any]) -> str:
    """A value of an identity in a message; a long one from where it begins to differ."""
    text, against = (msgspec.json.encode(side.get(key)).decode() for side in (values, other))
    if len(text) <= SHOWN_CHARACTERS:
        return text
    same = next(
        (at for at, pair in enumerate(zip(text, against, strict=False)) if pair[0] != pair[1]),
        min(len(text), len(against)),
    )
    start = max(0, same - SHOWN_CHARACTERS // 3)
    cut = text[start : start + SHOWN_CHARACTERS]
    return ("..." if start else "") + cut + ("..." if start + len(cut) < len(text) else "")


def public_job(job: msgspec.Struct) -> dict[str, Any]:
    """A job for the manifest; header values go unless they only name an environment variable."""
    options: dict[str, Any] = plain(job)
    options["header"] = public_headers(options.get("header") or {})
    for table in options.get("endpoints", ()):
        if "header" in table:
            table["header"] = public_headers(table["header"])
    return options


def public_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers without the values that stand in the job itself."""
    return {name: value if value.startswith("env:") else "***" for name, value in headers.items()}
