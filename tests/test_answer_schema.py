"""Where a schema comes from, and what is none."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock.answer_schema import (
    check_schema,
    imported,
    is_path,
    json_of_answer,
    read_schema,
    value_of_answer,
)
from penstock.errors import JobError
from penstock.origins import load_job

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


class Pair(msgspec.Struct):
    left: int
    right: Pair | None = None


class Model:
    """As pydantic's models look from outside."""

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        return SCHEMA


class Broken:
    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        raise RuntimeError("no")


def refusal(given: Any) -> str:
    with pytest.raises(JobError) as caught:
        load_job({"schema": given}, {})
    return caught.value.what


def test_a_schema_is_a_table_a_text_a_file_or_a_type(tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    file.write_text(json.dumps(SCHEMA))
    for given in (SCHEMA, json.dumps(SCHEMA), str(file), Model):
        assert load_job({"schema": given}, {}).schema == SCHEMA
    assert load_job({}, {"PENSTOCK_SCHEMA": str(file)}).schema == SCHEMA


def test_a_type_of_msgspec_s_has_its_object_at_the_root() -> None:
    schema = read_schema(Pair)
    assert schema["type"] == "object"
    assert list(schema["properties"]) == ["left", "right"]
    assert "Pair" in schema["$defs"]
    check_schema(schema)


def test_a_type_is_imported_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_models_1.py").write_text(
        "import msgspec\nclass Out:\n  class T(msgspec.Struct):\n    n: int\n"
    )
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    assert read_schema("my_models_1:Out.T")["properties"] == {"n": {"type": "integer"}}
    assert sys.path == before
    with pytest.raises(JobError, match="my_models_1:Nope: AttributeError"):
        imported("my_models_1:Nope")


def test_a_job_file_names_a_schema_beside_it_or_holds_it(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(json.dumps(SCHEMA))
    job = tmp_path / "job.toml"
    job.write_text('schema = "s.json"\n')
    assert load_job({}, {}, job).schema == SCHEMA
    job.write_text('[schema]\ntype = "object"\n[schema.properties.n]\ntype = "integer"\n')
    assert load_job({}, {}, job).schema == {k: SCHEMA[k] for k in ("type", "properties")}
    assert not is_path("models:Ticket", tmp_path)
    assert is_path("a:b.json/c", tmp_path)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("/none.json", "--schema /none.json: No such file"),
        ("no_such_module:M", "--schema no_such_module:M: ModuleNotFoundError"),
        ("{", "--schema: "),
        ("[1]", "--schema [1]: No such file"),
        (5, "--schema 5: expected text or a table"),
        (Broken, "--schema Broken has no JSON Schema: no"),
        (type("Odd", (), {}), "--schema Odd has no JSON Schema"),
        ({"type": "objekt"}, "--schema is no JSON Schema"),
        ({"$ref": "#/$defs/none"}, "--schema is no JSON Schema"),
        ({"$ref": "http://127.0.0.1:9/s.json"}, "--schema refers to 'http://127.0.0.1:9/s.json'"),
        ({"items": [{"$ref": "other.json"}]}, "--schema refers to 'other.json'"),
        ({"type": "integer", "maximum": 1 << 70}, "--schema: a whole number of more than 64 bits"),
    ],
)
def test_what_is_no_schema_is_refused(given: Any, says: str) -> None:
    assert says in refusal(given)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"flatten": True}, "--flatten is given without --schema"),
        ({"schema": SCHEMA, "param": {"n": 2}}, "both --schema and --param n"),
        ({"max_output_retries": -1}, "--max-output-retries -1: expected a whole number from 0"),
        ({"on_truncated": "retry"}, "--on-truncated 'retry': expected keep or fail"),
    ],
)
def test_what_contradicts_a_schema_is_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(JobError) as caught:
        load_job(values, {})
    assert says in caught.value.what


def test_a_block_of_code_is_taken_off_and_nothing_else() -> None:
    assert json_of_answer("```json\n[1]\n```") == "[1]"
    assert json_of_answer("see:\n```\n1\n```") == "see:\n```\n1\n```"
    assert value_of_answer('"```"') == "```"
