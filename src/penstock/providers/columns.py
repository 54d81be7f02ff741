"""Which columns a template needs: checked against the input before the first request."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator

from jinja2 import nodes

from penstock.errors import TemplateError
from penstock.providers.sandbox import ENVIRONMENT
from penstock.providers.templates import WHOLE_ROW, Template


def check_columns(template: Template, columns: Collection[str]) -> None:
    """Raises TemplateError for the first column that a template needs and that is not there."""
    for name in unknown_columns(template, columns):
        raise TemplateError(
            f"{template.option}: there is no column {name!r}", nearest(name, columns)
        )


def unknown_columns(template: Template, columns: Collection[str]) -> list[str]:
    """The columns that a template needs and that are not there, sorted.

    A name that is anywhere taken by `default()` or asked for by `is defined` is not needed.
    """
    known = {*columns, WHOLE_ROW, *ENVIRONMENT.globals}
    asked = template.names | set(row_keys(template.syntax))
    return sorted(asked - known - set(guarded(template.syntax)))


def row_keys(syntax: nodes.Template) -> Iterator[str]:
    """The columns that are named through `record`."""
    for node in syntax.find_all((nodes.Getitem, nodes.Getattr)):
        name = column_of(node)
        if name is not None and not (isinstance(node, nodes.Getattr) and hasattr(dict, name)):
            yield name


def guarded(syntax: nodes.Template) -> Iterator[str]:
    """The columns that a template does without."""
    for node in syntax.find_all((nodes.Filter, nodes.Test)):
        if node.name in ("default", "d", "defined", "undefined") and node.node is not None:
            name = column_of(node.node)
            if name is not None:
                yield name


def column_of(node: nodes.Node) -> str | None:
    """The column that an expression names: `name`, `record.name` or `record["name"]`."""
    if isinstance(node, nodes.Name):
        return node.name
    if not isinstance(node, (nodes.Getattr, nodes.Getitem)):
        return None
    row = node.node
    if not isinstance(row, nodes.Name) or row.name != WHOLE_ROW:
        return None
    if isinstance(node, nodes.Getattr):
        return node.attr
    key = node.arg
    return key.value if isinstance(key, nodes.Const) and isinstance(key.value, str) else None


def nearest(name: str, columns: Collection[str]) -> str:
    """What to do about a column that is not there."""
    near = difflib.get_close_matches(name, columns, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return f"{hint}The input has: {shown(columns)}."


def shown(names: Collection[str], most: int = 12) -> str:
    """`names` for a message, not more than fit on a line."""
    listed = sorted(names)
    rest = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + rest
