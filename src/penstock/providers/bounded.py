"""What can make much of little, within bounds: operators, methods and filters of templates.

Each looks at what it would make before it makes it; what is made is counted by whoever calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from jinja2 import Environment, pass_environment, pass_eval_context
from jinja2 import filters as jinja
from jinja2.sandbox import SandboxedFormatter

from penstock.providers.allowance import MOST, MOST_BITS, RenderError, current, small

MOST_POWER: Final = 1 << 16
MOST_DIGITS: Final = 300  # to round to
MOST_INDENT: Final = 64
WIDE: Final = re.compile(r"%[^a-zA-Z%]*(\d{5}|\*)")
WIDE_FIELD: Final = re.compile(r"\d{5}")

LONG: Final = "a text or list of more than {} parts"


# --- operators ----------------------------------------------------------------------------------


def check_operator(operator: str, left: Any, right: Any) -> None:
    """Raises RenderError for what would make too much."""
    if operator == "**" and max(abs(left), abs(right)) > MOST_POWER:
        raise RenderError(f"{operator} of large numbers")
    if operator == "*":
        small(sized(left) * repeated(right) + sized(right) * repeated(left), LONG)
        if isinstance(left, int) and isinstance(right, int):
            check_bits(left.bit_length() + right.bit_length())
    if operator == "%" and isinstance(left, str):
        check_format(left, right)


def check_bits(bits: int) -> None:
    if bits > MOST_BITS:
        raise RenderError("a number of too many digits")


def check_format(text: str, values: Any) -> None:
    """Raises RenderError where `text % values` would be too long."""
    if WIDE.search(text):
        raise RenderError("a width of more than four digits")
    largest = max(
        map(current().size, values if isinstance(values, tuple) else (values,)), default=0
    )
    small(text.count("%") * largest, LONG)


def sized(value: Any) -> int:
    """How many characters or items a value has; 0 for what can't be repeated."""
    return len(value) if isinstance(value, (str, list, tuple, bytes)) else 0


def repeated(value: Any) -> int:
    """How often something multiplied by a value is repeated."""
    return value if isinstance(value, int) else 0


# --- methods ------------------------------------------------------------------------------------


def check_method(name: str, of: Any, args: tuple[Any, ...]) -> None:
    """Raises RenderError where the method of a value of Python's would make too much."""
    if any(isinstance(one, int) and abs(one) > MOST for one in args):
        raise RenderError(f"{name}() with a number above {MOST:,}")
    if not isinstance(of, (str, bytes)):
        return
    if name == "replace" and len(args) > 1:
        check_replaced(of, args[0], args[1])
    elif name == "expandtabs":
        tabs = of.count("\t") if isinstance(of, str) else of.count(b"\t")
        small(tabs * max([8, *args]), LONG)
    elif name == "join" and args:
        parts = list(args[0])
        small(sum(map(sized, parts)) + len(parts) * len(of), LONG)
    elif name in ("translate", "maketrans"):
        raise RenderError(f"{name}() is not for templates")


def check_replaced(text: Any, old: Any, new: Any) -> None:
    small(len(text) + text.count(old) * len(new), LONG)


class Formatter(SandboxedFormatter):
    """Of `'{}'.format()`."""

    def format_field(self, value: Any, format_spec: str) -> Any:
        if WIDE_FIELD.search(format_spec):
            raise RenderError("a width of more than four digits")
        current().step()
        current().size(value)
        return current().made(super().format_field(value, format_spec))


# --- filters ------------------------------------------------------------------------------------


def center(value: Any, width: int = 80) -> str:
    small(width, "center() to more than {} characters")
    return str(value).center(width)


def replace(text: Any, old: Any, new: Any, count: int | None = None) -> str:
    check_replaced(str(text), str(old), str(new))
    return str(text).replace(str(old), str(new), -1 if count is None else count)


def indent(text: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    text = str(text)
    small(len(text.splitlines()) * (len(width) if isinstance(width, str) else width), LONG)
    return jinja.do_indent(text, width, first, blank)


@pass_environment
def wordwrap(environment: Environment, text: Any, *args: Any, **kwargs: Any) -> str:
    wrapping = [*args, *kwargs.values()]
    widest = max([1, *(len(one) for one in wrapping if isinstance(one, str))])
    small(len(str(text)) * widest, LONG)
    return str(jinja.do_wordwrap(environment, str(text), *args, **kwargs))


@pass_eval_context
def join(context: Any, value: Any, d: Any = "", attribute: Any = None) -> str:
    """Raises RenderError for a null in the list, too."""
    parts = list(value)
    if attribute is not None:
        parts = list(map(jinja.make_attrgetter(context.environment, attribute), parts))
    if any(part is None for part in parts):
        raise RenderError("a null in the list would be joined as 'None'")
    small(sum(map(current().size, parts)) + len(parts) * len(str(d)), LONG)
    return str(jinja.do_join(context, parts, d))


def batch(value: Any, linecount: int, fill_with: Any = None) -> Any:
    small(linecount, "batch() of more than {} items")
    return jinja.do_batch(value, linecount, fill_with)


def slice_(value: Any, slices: int, fill_with: Any = None) -> Any:
    small(slices, "slice() into more than {} parts")
    return jinja.do_slice(value, slices, fill_with)


def round_(value: float, precision: int = 0, method: Any = "common") -> float:
    if abs(precision) > MOST_DIGITS:
        raise RenderError(f"round() to more than {MOST_DIGITS} digits")
    return jinja.do_round(value, precision, method)


def format_(text: Any, *args: Any, **kwargs: Any) -> str:
    check_format(str(text), args or tuple(kwargs.values()))
    return jinja.do_format(str(text), *args, **kwargs)


@pass_environment
def sum_(environment: Environment, values: Any, attribute: Any = None, start: Any = 0) -> Any:
    if not isinstance(start, (int, float)):
        raise RenderError("sum() adds numbers; for lists and texts there is join()")
    return jinja.sync_do_sum(environment, values, attribute, start)


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "batch": batch,
    "center": center,
    "format": format_,
    "indent": indent,
    "join": join,
    "replace": replace,
    "round": round_,
    "slice": slice_,
    "sum": sum_,
    "wordwrap": wordwrap,
}

# For writing HTML and for looking at Python's values: of no use in a prompt, and without bounds.
LEFT_OUT: Final = ("pprint", "urlize", "xmlattr")
