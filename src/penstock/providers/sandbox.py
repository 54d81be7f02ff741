"""The Jinja2 environment that all templates are compiled in: its sandbox, filters and globals."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
from jinja2 import StrictUndefined, Undefined, nodes, pass_eval_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.filters import do_join
from jinja2.sandbox import ImmutableSandboxedEnvironment

MOST: Final = 1 << 24  # characters or items that one expression may make
MOST_POWER: Final = 1 << 16
WIDE: Final = re.compile(r"%[^a-zA-Z%]*(\d{5}|\*)")


class RenderError(Exception):
    """Raised when a template can't be rendered for a record."""


class Generator(CodeGenerator):
    """Jinja2's compiler, in which `~` joins only what may be printed."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write("environment.concatenated((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox, in which an object's own keys go before the methods of Python's dict."""

    code_generator_class = Generator
    intercepted_binops = frozenset({"*", "**", "%"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """An operator that can make much of little; raises RenderError where it would."""
        if operator == "**" and max(abs(left), abs(right)) > MOST_POWER:
            raise RenderError(f"{operator} of large numbers")
        if operator == "*" and sized(left) * repeated(right) + sized(right) * repeated(left) > MOST:
            raise RenderError(f"a text or list repeated to more than {MOST:,} parts")
        if operator == "%" and isinstance(left, str) and WIDE.search(left):
            raise RenderError("a width of more than four digits")
        return super().call_binop(context, operator, left, right)

    def concatenated(self, parts: Iterable[Any]) -> str:
        """The operator `~`."""
        return "".join(str(printable(part)) for part in parts)


def sized(value: Any) -> int:
    """How many characters or items a value has; 0 for what can't be repeated."""
    return len(value) if isinstance(value, (str, list, tuple, bytes)) else 0


def repeated(value: Any) -> int:
    """How often something multiplied by a value is repeated."""
    return value if isinstance(value, int) else 0


def center(value: Any, width: int = 80) -> str:
    """Jinja2's filter, of a bounded width. Raises RenderError."""
    if width > MOST:
        raise RenderError(f"center() to more than {MOST:,} characters")
    return str(value).center(width)


def printable(value: Any) -> Any:
    """`value` as it stands in a prompt; raises RenderError for what only Python would spell so."""
    if isinstance(value, (str, Undefined)):
        return value
    if isinstance(value, (dict, list)):
        return to_json(value)
    if value is None:
        raise RenderError("a null would be printed as 'None'; give it a default()")
    if isinstance(value, bytes):
        raise RenderError("bytes would be printed as Python writes them")
    if callable(value):
        raise RenderError("a method would be printed; call it, or use a filter")
    return value


def default(value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    """Jinja2's filter, which here takes a null too."""
    if value is None or isinstance(value, Undefined) or (boolean and not value):
        return default_value
    return value


def to_json(value: Any, indent: int | None = None) -> str:
    """`value` as JSON text, with `<` and other scripts left as they are."""
    encoded = msgspec.json.encode(value)
    if indent is not None:
        encoded = msgspec.json.format(encoded, indent=indent)
    return encoded.decode()


def refusing_null(name: str, filtered: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that raises RenderError for a null: `trim` and its like would make "None" of it."""
    # Filters that want the environment or the context get it first, and the value after it.
    position = 1 if hasattr(filtered, "jinja_pass_arg") else 0

    @functools.wraps(filtered)  # which copies jinja_pass_arg too
    def checked(*args: Any, **kwargs: Any) -> Any:
        if args[position] is None:
            raise RenderError(f"a null goes into the filter {name}; give it a default() before")
        return filtered(*args, **kwargs)

    return checked


@pass_eval_context
def join_filter(context: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
    """Jinja2's filter, which here raises RenderError for a null in the list."""
    parts = list(value)
    if any(part is None for part in parts):
        raise RenderError("a null in the list would be joined as 'None'")
    return do_join(context, parts, *args, **kwargs)


def sandbox() -> Sandbox:
    """The environment, made."""
    made = Sandbox(undefined=StrictUndefined, finalize=printable, keep_trailing_newline=True)
    filters = {**made.filters, "join": join_filter, "center": center}
    made.filters = {name: refusing_null(name, one) for name, one in filters.items()}
    made.filters.update(default=default, d=default, tojson=to_json)
    # A global would stand in, unseen, for a missing column of the same name.
    made.globals = {name: made.globals[name] for name in ("range", "namespace")}
    return made


ENVIRONMENT: Final = sandbox()
