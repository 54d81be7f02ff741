"""Values that match a JSON Schema, and such as don't: what a model that was given one answers.

Texts are the record's own, as in every other answer. Of a schema only what people usually write is
understood: types, properties, items, enum, const, bounds of numbers and lengths, and references.
"""

from __future__ import annotations

from typing import Any, Final

DEEPEST: Final = 16  # then what may be left out is left out


def instance(schema: Any, text: str, root: Any = None, depth: int = 0) -> Any:
    """A value that matches `schema`; texts in it are `text`."""
    root = schema if root is None else root
    if not isinstance(schema, dict):
        return text
    if "$ref" in schema:
        return instance(referred(root, schema["$ref"]), text, root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][len(text) % len(schema["enum"])]
    for name in ("anyOf", "oneOf", "allOf"):
        if schema.get(name):
            # The last choice is null where one may be left out: where it goes too deep, it ends so.
            choices = schema[name]
            return instance(choices[-1 if depth > DEEPEST else 0], text, root, depth + 1)
    return of_type(schema, text, root, depth)


def of_type(schema: dict[str, Any], text: str, root: Any, depth: int) -> Any:
    """A value of the schema's type, of several the first."""
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return of_object(schema, text, root, depth)
    if kind == "array":
        count = schema.get("minItems", 0 if depth > DEEPEST else 1)
        return [instance(schema.get("items"), text, root, depth + 1) for _ in range(count)]
    if kind in ("integer", "number"):
        least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
        return min(least, schema.get("maximum", least))
    if kind == "string":
        return text.ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength")]
    return None if kind == "null" else True


def of_object(schema: dict[str, Any], text: str, root: Any, depth: int) -> dict[str, Any]:
    """All its properties; beyond a depth only those that are required."""
    required = schema.get("required", ())
    return {
        name: instance(one, text, root, depth + 1)
        for name, one in (schema.get("properties") or {}).items()
        if name in required or depth <= DEEPEST
    }


def referred(root: Any, reference: str) -> Any:
    """What `#/$defs/name` refers to."""
    found = root
    for part in reference.removeprefix("#").split("/")[1:]:
        found = found[part]
    return found


def wrong(value: Any, chance: float) -> Any:
    """A value that is not what the schema of `value` asks for; `chance`, 0 to 1, says how."""
    if isinstance(value, dict) and value and chance < 0.5:
        first = next(iter(value))
        return {**value, first: {"not": "asked for"}}
    return {"unasked": 1} if isinstance(value, list) else [value]
