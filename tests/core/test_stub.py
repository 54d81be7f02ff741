"""The hand-written stubs say what the extensions have, no more and no less."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest

import penstock
from penstock import _core, _wire

STUBS = {
    module: ast.parse((Path(penstock.__file__).parent / name).read_text()).body
    for module, name in ((_core, "_core.pyi"), (_wire, "_wire.pyi"))
}
BASES = {"Generic": object, "Mapping": Mapping, "Protocol": asyncio.Protocol}
EACH = pytest.mark.parametrize("module", STUBS, ids=["core", "wire"])


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


def inherited(node: ast.ClassDef) -> set[str]:
    return {
        name
        for base in node.bases
        for name in public(BASES[ast.unparse(base).split(".")[-1].split("[")[0]])
    }


@EACH
def test_the_stub_names_what_the_module_has(module: ModuleType) -> None:
    own = {
        name
        for name in public(module)
        if not isinstance(getattr(module, name), ModuleType)
        and getattr(getattr(module, name), "__module__", module.__name__) == module.__name__
    }
    assert set(declared(STUBS[module])) == own


@EACH
def test_the_stub_names_what_the_classes_have(module: ModuleType) -> None:
    for name, node in declared(STUBS[module]).items():
        if isinstance(node, ast.ClassDef):
            base = inherited(node)
            assert set(declared(node.body)) | base == public(getattr(module, name)) | base, name


@EACH
def test_the_parameters_are_named_as_in_the_stub(module: ModuleType) -> None:
    for name, node in declared(STUBS[module]).items():
        members = declared(node.body) if isinstance(node, ast.ClassDef) else {"": node}
        for member, function in members.items():
            if isinstance(function, ast.FunctionDef) and not is_property(function):
                thing = getattr(module, name)
                signature = (getattr(thing, member) if member else thing).__doc__.split("\n")[0]
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
