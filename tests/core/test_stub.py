"""The hand-written `_core.pyi` says what the extension has, no more and no less."""

from __future__ import annotations

import ast
from pathlib import Path

import penstock
from penstock import _core

STUB = ast.parse((Path(penstock.__file__).parent / "_core.pyi").read_text())


def declared(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    names: dict[str, ast.stmt] = {}
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names[node.name] = node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names[node.target.id] = node
    return {name: node for name, node in names.items() if not name.startswith("_")}


def is_property(function: ast.FunctionDef) -> bool:
    return any(isinstance(by, ast.Name) and by.id == "property" for by in function.decorator_list)


def public(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def test_the_stub_names_what_the_module_has() -> None:
    assert set(declared(STUB.body)) == public(_core)


def test_the_stub_names_what_the_classes_have() -> None:
    for name, node in declared(STUB.body).items():
        if isinstance(node, ast.ClassDef):
            assert set(declared(node.body)) == public(getattr(_core, name)), name


def test_the_parameters_are_named_as_in_the_stub() -> None:
    for name, node in declared(STUB.body).items():
        members = declared(node.body) if isinstance(node, ast.ClassDef) else {"": node}
        for member, function in members.items():
            if isinstance(function, ast.FunctionDef) and not is_property(function):
                thing = getattr(getattr(_core, name), member) if member else getattr(_core, name)
                signature = thing.__doc__.split("\n")[0]
                for argument in function.args.args:
                    assert argument.arg in signature, f"{name}.{member}: {signature}"


def test_a_handle_can_not_be_made_without_its_memory() -> None:
    for name in ("Limiter", "Slab", "Classifier", "Verdict"):
        made = getattr(_core, name)
        try:
            made.__new__(made)
        except TypeError:
            continue
        raise AssertionError(f"{name} was made of nothing")
