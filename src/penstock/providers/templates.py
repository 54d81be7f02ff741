"""Prompt templates: Jinja2 over a record's columns, strict where Jinja2 would send a wrong prompt.

A wrong prompt is paid for a million times before anyone reads it, so what Jinja2 lets pass is an
error here: an undefined name, a null ("None"), a method ("<built-in method ...>"), bytes
("b'...'"). Beyond that, `default()` takes a null as well as an undefined; objects and lists are
printed as JSON; `tojson` does not escape for HTML; an object's key goes before a method of that
name. `record` is the whole row: `{{ record["odd name"] }}`.

Rendering in the sandbox was measured at 6 us however small the template. Most prompts are text
around bare column names, and those are joined without Jinja2, to the same result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from jinja2 import TemplateSyntaxError, meta, nodes
from jinja2.exceptions import UndefinedError

from penstock._core import join_pieces
from penstock.errors import TemplateError
from penstock.providers import allowance
from penstock.providers.allowance import RenderError
from penstock.providers.sandbox import ENVIRONMENT

WHOLE_ROW: Final = "record"


class Template:
    """One compiled template; `option` says where it came from, for messages."""

    def __init__(self, option: str, text: str) -> None:
        """Raises TemplateError with the line."""
        self.option = option
        try:
            self.syntax = ENVIRONMENT.parse(text)
            self.jinja = ENVIRONMENT.from_string(text)
            self.names = meta.find_undeclared_variables(self.syntax)  # works out what is constant
        except TemplateSyntaxError as error:
            raise TemplateError(
                f"{option}, line {error.lineno}: {error.message}", "Mend the template."
            ) from None
        except Exception as error:  # nested too deeply for Jinja2, or for Python: many kinds
            raise TemplateError(
                f"{option} can't be compiled: {type(error).__name__}: {error}", "Make it simpler."
            ) from None
        if list(meta.find_referenced_templates(self.syntax)):
            raise TemplateError(
                f"{option} takes in another template", "Write the whole prompt in one template."
            )
        self.pieces = plain_pieces(self.syntax)

    def render(self, fields: Mapping[str, Any]) -> str:
        """The text for one record; raises RenderError."""
        if self.pieces is not None:
            joined = join_pieces(self.pieces, fields)
            if joined is not None:  # else Jinja2 must judge a value
                return joined
        allowance.begin()
        try:
            return self.jinja.render({**fields, WHOLE_ROW: fields})
        except Exception as error:  # filters and tests raise whatever Python raises
            raise RenderError(f"{self.option}: {explain(error, fields)}") from None
        finally:
            allowance.end()


class Column(str):
    """A piece of a plain template that is a column's name, not text."""


def plain_pieces(syntax: nodes.Template) -> tuple[str, ...] | None:
    """Text and Columns of a template that has nothing else; None where it has."""
    special = {WHOLE_ROW, *ENVIRONMENT.globals}
    pieces: list[str] = []
    for output in syntax.body:
        if not isinstance(output, nodes.Output):
            return None
        for node in output.nodes:
            if isinstance(node, nodes.TemplateData):
                pieces.append(node.data)
            elif isinstance(node, nodes.Name) and node.name not in special:
                pieces.append(Column(node.name))
            else:
                return None
    return tuple(pieces)


def explain(error: Exception, fields: Mapping[str, Any]) -> str:
    """Why rendering failed, with the null columns where a null was in the way."""
    if isinstance(error, UndefinedError):
        return str(error)
    if not isinstance(error, RenderError):
        return f"{type(error).__name__}: {error}"
    nulls = sorted(name for name, value in fields.items() if value is None)
    return f"{error} (null in this row: {', '.join(nulls)})" if nulls else str(error)
