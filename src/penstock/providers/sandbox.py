"""The Jinja2 environment that all templates are compiled in: its sandbox, filters and globals."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from types import BuiltinMethodType, GeneratorType, MethodType
from typing import Any, Final

import msgspec
from jinja2 import StrictUndefined, Undefined, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from penstock.providers.allowance import RenderError, current
from penstock.providers.bounded import (
    FILTERS,
    LEFT_OUT,
    MOST_INDENT,
    Formatter,
    check_method,
    check_operator,
)


class Generator(CodeGenerator):
    """Jinja2's compiler, in which `~` joins only what may be printed, and what grows is counted."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write("environment.concatenated((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_List(self, node: nodes.List, frame: Frame) -> None:
        self._counted(super().visit_List, node, frame)

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:
        if node.ctx == "load":
            self._counted(super().visit_Tuple, node, frame)
        else:
            super().visit_Tuple(node, frame)

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:
        self._counted(super().visit_Dict, node, frame)

    def _counted(self, visit: Callable[[Any, Frame], None], node: nodes.Node, frame: Frame) -> None:
        self.write("environment.made(")
        visit(node, frame)
        self.write(")")


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox, in which an object's own keys go before the methods of Python's dict.

    Each rendering has an allowance, which loops, calls, filters and operators draw on.
    """

    code_generator_class = Generator
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def _generate(
        self, source: nodes.Template, name: str | None, filename: str | None, *more: Any, **how: Any
    ) -> str:
        """Jinja2's, with a step at each turn of a loop and each call of a macro."""
        node: Any
        for node in source.find_all((nodes.For, nodes.Macro, nodes.CallBlock)):
            node.body.insert(0, nodes.ExprStmt(self._step(), lineno=node.lineno))
            if isinstance(node, nodes.For) and node.test is not None:
                node.test = nodes.And(self._step(), node.test, lineno=node.lineno)
        source.set_environment(self)
        return super()._generate(source, name, filename, *more, **how)

    def _step(self) -> nodes.Call:
        return nodes.Call(nodes.EnvironmentAttribute("step"), [], [], None, None)

    def step(self) -> bool:
        """Counts; raises RenderError once the time is used up."""
        current().step()
        return True

    def made(self, value: Any) -> Any:
        """Counts what a template makes; raises RenderError where it makes too much."""
        return current().made(value)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """An operator that can make much of little; raises RenderError where it would."""
        self.step()
        check_operator(operator, left, right)
        return self.made(super().call_binop(context, operator, left, right))

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """A call of a function, macro or method; raises RenderError where it makes too much."""
        __self.step()
        if isinstance(__obj, (BuiltinMethodType, MethodType)):
            of = __obj.__self__
            check_method(__obj.__name__, of, (*args, *kwargs.values()))
        return __self.made(super().call(__context, __obj, *args, **kwargs))

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """`str.format`, bounded; None for any other value."""
        if super().wrap_str_format(value) is None:
            return None
        text, named = str(value.__self__), value.__name__ == "format_map"

        def formatted(*args: Any, **kwargs: Any) -> str:
            values = args[0] if named else kwargs
            return str(Formatter(self).vformat(text, () if named else args, values))

        return formatted

    def concatenated(self, parts: Iterable[Any]) -> str:
        """The operator `~`."""
        return self.concat([str(printable(part)) for part in parts])

    def concat(self, parts: Iterable[str]) -> str:
        """What a template, a block or a macro printed, put together."""
        allowance, kept = current(), []
        for part in parts:
            allowance.spend(len(part))
            kept.append(part)
        return "".join(kept)


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
    if isinstance(value, (GeneratorType, Namespace)):
        raise RenderError(f"a {type(value).__name__.lower()} would be printed; use list or join")
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
        if indent > MOST_INDENT:
            raise RenderError(f"tojson() indented by more than {MOST_INDENT}")
        encoded = msgspec.json.format(encoded, indent=indent)
    return encoded.decode()


def bounded(name: str, filtered: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that draws on the allowance.

    For a null it raises RenderError: `trim` and its like would make "None" of it.
    """
    # Filters that want the environment or the context get it first, and the value after it.
    position = 1 if hasattr(filtered, "jinja_pass_arg") else 0

    @functools.wraps(filtered)  # which copies jinja_pass_arg too
    def checked(*args: Any, **kwargs: Any) -> Any:
        if args[position] is None:
            raise RenderError(f"a null goes into the filter {name}; give it a default() before")
        allowance = current()
        allowance.step()
        value = args[position]
        allowance.spend(len(value) if isinstance(value, (list, tuple, dict, range)) else 0)
        return allowance.made(filtered(*args, **kwargs))

    return checked


def sandbox() -> Sandbox:
    """The environment, made."""
    made = Sandbox(undefined=StrictUndefined, finalize=printable, keep_trailing_newline=True)
    filters = {**made.filters, **FILTERS}
    made.filters = {
        name: bounded(name, one) for name, one in filters.items() if name not in LEFT_OUT
    }
    made.filters.update(default=default, d=default, tojson=to_json)
    # A global would stand in, unseen, for a missing column of the same name.
    made.globals = {name: made.globals[name] for name in ("range", "namespace")}
    return made


ENVIRONMENT: Final = sandbox()
