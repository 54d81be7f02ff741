"""What an answer has to be: a JSON Schema, where it is from, and how an answer is read for it.

It is read once, where the job is: from a file, from a JSON text, or from a type of msgspec's or
pydantic's that is imported. From there on it is JSON like any other option, so that workers import
nothing of the user's.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from penstock.errors import JobError

IMPORT_PATH: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*\Z")
ALLOWED: Final = "Name a file of a JSON Schema, or a type as module:Model."
FENCED: Final = re.compile(r"\s*```[A-Za-z]*\s*\n(.*?)\n?\s*```\s*\Z", re.DOTALL)


def read_schema(given: Any) -> dict[str, Any]:
    """The JSON Schema that --schema names: a table, a JSON text, a file, a type or its import path.

    Raises JobError.
    """
    if isinstance(given, type):
        return schema_of_type(given, f"--schema {given.__name__}")
    if isinstance(given, str) and given.lstrip().startswith("{"):
        return decoded(given, "--schema")
    if isinstance(given, str) and IMPORT_PATH.match(given) and not Path(given).exists():
        return schema_of_type(imported(given), f"--schema {given}")
    if isinstance(given, str):
        return schema_in_file(Path(given))
    if not isinstance(given, dict):
        raise JobError(f"--schema {given!r}: expected text or a table", ALLOWED)
    return given


def is_path(given: str, here: Path) -> bool:
    """Whether a job file in the folder `here` names a file by `given`."""
    if given.lstrip().startswith("{"):
        return False
    return (here / given).exists() or not IMPORT_PATH.match(given)


def schema_in_file(path: Path) -> dict[str, Any]:
    """The schema in a file. Raises JobError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise JobError(f"--schema {path}: {reason}", ALLOWED) from None
    return decoded(text, f"--schema {path}")


def decoded(text: str, where: str) -> dict[str, Any]:
    """A schema written as JSON. Raises JobError."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (ValueError, RecursionError) as error:
        raise JobError(f"{where}: {error}", "A JSON Schema is a JSON object.") from None


def imported(path: str) -> Any:
    """What `module:name` names; the current folder is looked in first. Raises JobError."""
    module, _, name = path.partition(":")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:  # whatever a module does when it is imported
        raise JobError(f"--schema {path}: {type(error).__name__}: {error}", ALLOWED) from None
    finally:
        sys.path.remove(here)
    return found


def schema_of_type(model: Any, where: str) -> dict[str, Any]:
    """The schema of a pydantic model, or of any type that msgspec can decode. Raises JobError."""
    try:
        of_pydantic = getattr(model, "model_json_schema", None)
        schema = of_pydantic() if of_pydantic is not None else msgspec.json.schema(model)
    except Exception as error:  # a model's own code takes part in it
        raise JobError(f"{where} has no JSON Schema: {error}", ALLOWED) from None
    return at_root(schema)


def at_root(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema whose root is no reference, which providers refuse: what it refers to in its place.

    The definitions stay, for types that hold themselves.
    """
    if set(schema) - {"$ref", "$defs"} or not isinstance(schema.get("$ref"), str):
        return schema
    root = referred(schema, schema["$ref"])
    return {**root, "$defs": schema["$defs"]} if isinstance(root, dict) else schema


def referred(schema: Any, reference: str) -> Any:
    """What `#/a/b` refers to within `schema`; None where there is nothing."""
    found = schema
    for part in reference.removeprefix("#").split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, dict) or part not in found:
            return None
        found = found[part]
    return found


def check_schema(schema: dict[str, Any]) -> None:
    """Raises JobError for what is no JSON Schema, or refers to something outside itself."""
    for reference in references(schema):
        if not reference.startswith("#"):
            raise JobError(
                f"--schema refers to {reference!r}", "Write what it refers to under $defs."
            )
    try:
        validator_of(schema)
    except ValueError as error:
        reason = getattr(error, "message", None) or str(error)
        raise JobError(f"--schema is no JSON Schema: {reason}", ALLOWED) from None


def validator_of(schema: dict[str, Any]) -> Any:
    """The compiled validator of a schema; raises ValueError."""
    import jsonschema_rs  # late: few jobs have a schema

    return jsonschema_rs.validator_for(schema, offline=True)


def references(node: Any) -> Iterator[str]:
    """Every reference in a schema."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def json_of_answer(output: str) -> str:
    """The JSON text in an answer: all of it, or what stands in the block of code that it is."""
    fenced = FENCED.match(output) if "```" in output else None
    return fenced.group(1) if fenced else output


def value_of_answer(output: str) -> Any:
    """What an answer says as JSON. Raises ValueError, RecursionError."""
    return msgspec.json.decode(json_of_answer(output))
