"""Structured output: a JSON Schema as the providers take it, and answers held against it.

`strict` is OpenAI's word, which its compatibles took over: the provider then samples nothing but
what matches, and refuses a schema that it can't do that for. Its rules are those of
https://platform.openai.com/docs/guides/structured-outputs: every object names all its properties as
required and allows no others. A schema that says less than that is asked for without `strict`, and
what comes back is checked here all the same.
"""

from __future__ import annotations

from typing import Any, Final

from penstock.answer_schema import validator_of, value_of_answer
from penstock.errors import JobError
from penstock.job import Job, nested
from penstock.providers.refusals import one_line

# What a provider calls the schema; models see it.
NAME: Final = "answer"

# Dialects that know `strict`.
STRICT_DIALECTS: Final = frozenset({"openai", "openai-responses", "azure"})

MOST_PROBLEMS: Final = 5  # that a model is told of at a time

# Keywords that OpenAI refuses in a strict schema.
NOT_STRICT: Final = frozenset(
    {
        *("allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas"),
        *("patternProperties", "propertyNames", "unevaluatedProperties", "contains", "prefixItems"),
        *("minProperties", "maxProperties", "uniqueItems"),
    }
)
TOGETHER: Final = frozenset(
    {"allOf", "not", "if", "dependentSchemas", "unevaluatedProperties", "$dynamicRef"}
)
# Of which a schema has at least one, unless it allows anything.
TELLING: Final = frozenset({"type", "anyOf", "enum", "const", "$ref", "properties"})
SUBSCHEMAS: Final = ("items", "additionalItems")
SCHEMA_LISTS: Final = ("anyOf",)
SCHEMA_MAPS: Final = ("properties", "$defs", "definitions")


class Structure:
    """What the answers of a job have to match."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._validator = validator_of(schema)

    def problem(self, output: str | None) -> str:
        """Why an answer does not match, in the validator's words, on one line; empty if it does."""
        if not output:
            return "it is empty"
        try:
            value = value_of_answer(output)
        except (ValueError, RecursionError) as error:
            return one_line(f"it is not JSON: {error}")
        if self._validator.is_valid(value):
            return ""
        problems = []
        for found in self._validator.iter_errors(value):
            path = "".join(f"/{part}" for part in found.instance_path)
            problems.append(f"{path}: {found.message}" if path else found.message)
            if len(problems) == MOST_PROBLEMS:
                break
        return one_line("; ".join(problems))


def correction(output: str, problem: str) -> list[dict[str, Any]]:
    """What follows an answer that does not match: the answer, and what is wrong with it."""
    words = (
        f"That answer does not match the required JSON schema: {problem}\n"
        "Answer again with JSON that matches it, and nothing else."
    )
    return [{"role": "assistant", "content": output}, {"role": "user", "content": words}]


def why_not_strict(schema: Any, at: str = "") -> str:
    """Why a schema can't be asked for as `strict`; empty if it can."""
    if not isinstance(schema, dict):
        return f"{at or '/'} allows anything"
    barred = sorted(NOT_STRICT & schema.keys())
    if barred:
        return f"{at or '/'} has {barred[0]}"
    if not TELLING & schema.keys():
        return f"{at or '/'} allows anything"
    if not at and schema.get("type") != "object":
        return "its root is no object"
    is_object = schema.get("type") == "object" or "properties" in schema
    if is_object:
        properties = schema.get("properties") or {}
        optional = [name for name in properties if name not in schema.get("required", ())]
        if optional:
            return f"{at}/{optional[0]} is not required"
        if schema.get("additionalProperties") not in (None, False) or not properties:
            return f"{at or '/'} allows other properties"
    for where, child in children(schema):
        if why := why_not_strict(child, f"{at}/{where}"):
            return why
    return ""


def children(schema: dict[str, Any]) -> list[tuple[str, Any]]:
    """The schemas within a schema, each with its name there."""
    found: list[tuple[str, Any]] = [(one, schema[one]) for one in SUBSCHEMAS if one in schema]
    for name in SCHEMA_LISTS:
        found += [(f"{name}/{at}", one) for at, one in enumerate(schema.get(name) or ())]
    for name in SCHEMA_MAPS:
        within = schema.get(name) or {}
        found += [(one if name == "properties" else f"{name}/{one}", within[one]) for one in within]
    return found


def closed(schema: Any) -> Any:
    """A schema whose objects allow no other properties, but where it says otherwise."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        name: {key: closed(one) for key, one in value.items()}
        if name in SCHEMA_MAPS and isinstance(value, dict)
        else closed(value)
        if name in (*SUBSCHEMAS, *SCHEMA_LISTS)
        else value
        for name, value in schema.items()
    }
    if "properties" in made:
        made.setdefault("additionalProperties", False)
    return made


def json_schema_format(schema: dict[str, Any]) -> dict[str, Any]:
    """The name, the schema and `strict`, as OpenAI's APIs have them; others take the schema of it.

    Objects are closed where that is sound: OpenAI's `strict` wants it, Anthropic always does, and
    what else a model would add is no column.
    """
    sent = schema if is_composed(schema) else closed(schema)
    return {"name": NAME, "schema": sent, "strict": not why_not_strict(schema)}


def is_composed(node: Any) -> bool:
    """Whether parts of a schema hold for one object together: closed ones would bar each other."""
    if isinstance(node, dict):
        return bool(TOGETHER & node.keys()) or any(map(is_composed, node.values()))
    return isinstance(node, list) and any(map(is_composed, node))


def with_structure(job: Job, fields: dict[str, Any]) -> dict[str, Any]:
    """A job's parameters, nested, and the body's `fields` that ask for its schema.

    Raises JobError where --param says something of the same field.
    """
    return merged(nested(job.param), fields, "")


def merged(params: dict[str, Any], fields: dict[str, Any], at: str) -> dict[str, Any]:
    """Two trees as one. Raises JobError where both have a leaf."""
    made = dict(params)
    for name, value in fields.items():
        if name not in made:
            made[name] = value
        elif isinstance(made[name], dict) and isinstance(value, dict) and not is_format(value):
            made[name] = merged(made[name], value, f"{at}{name}.")
        else:
            raise JobError(
                f"both --schema and --param {at}{name} are given",
                f"--schema sets {at}{name} itself: leave the parameter out.",
            )
    return made


def is_format(value: dict[str, Any]) -> bool:
    """Whether a field is the one that says what the answer has to be."""
    return value.get("type") == "json_schema"
