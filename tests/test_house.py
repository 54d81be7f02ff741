"""Who may import whom: the house's order, read from the source.

Arrows go from left to right only. Within a room everything goes; between rooms of one level nothing
does but what is written down here with its reason.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import penstock

SOURCE = Path(penstock.__file__).parent

LEVELS = (
    ("__init__",),
    ("start",),
    ("cli", "cluster"),
    ("api",),
    ("engine", "bench"),
    ("ledger", "simulator"),
    ("sources", "providers", "transport", "observe"),
    ("origins",),
    ("endpoints",),
    ("addresses",),
    ("answer_schema", "job", "record", "vector", "version", "disk_stream", "_core", "_wire"),
    ("disk",),
    ("errors", "system"),
)

# Arrows that the levels would allow, and the house does not: from, to, why.
FORBIDDEN = (
    ("ledger", "providers", "the ledger knows nothing of prompts"),
    ("ledger", "transport", "the ledger knows nothing of HTTP"),
    ("simulator", "sources", "the simulator is a provider: it has nothing of the engine's"),
    ("simulator", "providers", "a dialect's mistakes must not be the simulator's too"),
    ("simulator", "transport", "a client's mistakes must not be the server's too"),
    ("simulator", "_core", "limits that both sides compute alike would prove nothing"),
    ("engine", "simulator", "the engine does not know whom it asks"),
    ("transport", "job", "the transport knows nothing of prompts"),
    ("transport", "record", "the transport knows nothing of records"),
)

# Modules that the command line and the API alone may write to a terminal from.
TERMINAL = {"start", "cli", "api"}

# Standard output as a pipe to a parent process, not as a terminal.
PIPES = {"penstock.simulator.process"}

BANNED = {
    "multiprocessing": "its locks outlive a killed holder, and it needs a __main__ guard",
    "pickle": "nothing is pickled: what is read back could run code",
    "marshal": "nothing is pickled: what is read back could run code",
    "requests": "one HTTP client is enough",
    "httpx": "one HTTP client is enough",
}

# A dialect turns records into bytes and back: it is given nothing to do I/O with.
INPUT_AND_OUTPUT = {
    "asyncio",
    "aiohttp",
    "os",
    "socket",
    "ssl",
    "subprocess",
    "time",
    "urllib.request",
}


# Rooms, and modules, that change the disk through `penstock.disk` alone.
BEHIND_THE_DOOR = {
    "ledger",
    "disk_stream",
    "penstock.engine.books",
    "penstock.engine.committer",
    "penstock.engine.opening",
    "penstock.engine.redo",
    "penstock.engine.run",
    "penstock.engine.worker",
    "penstock.sources.objects",
    "penstock.sources.spool",
    "penstock.sources.spool_file",
}
OS_CHANGES = (
    *("open", "creat", "write", "writev", "pwrite", "fsync", "fdatasync", "truncate", "ftruncate"),
    *("rename", "replace", "link", "symlink", "unlink", "remove", "mkdir", "makedirs", "rmdir"),
)
PAST_THE_DOOR = {"pa.OSFile", "pa.output_stream", *(f"os.{name}" for name in OS_CHANGES)}
PATH_CHANGES = {
    *("write_bytes", "write_text", "touch", "mkdir", "rmdir"),
    *("rename", "unlink", "hardlink_to", "symlink_to"),
}
DISKS = ("disk.", "self.disk.", "self._disk.", "task.disk.", "Disk().")


class Import(NamedTuple):
    """A module of ours, and a module that it imports."""

    importer: str
    imported: str
    line: int


def name_of(path: Path) -> str:
    """A file's module; a package's own file is `package.__init__`."""
    return ".".join(("penstock", *path.relative_to(SOURCE).with_suffix("").parts))


def room_of(module: str) -> str:
    """A module's room: the folder that it is in, or itself."""
    return module.split(".")[1]


def level_of(room: str) -> int:
    return next(place for place, rooms in enumerate(LEVELS) if room in rooms)


def parsed() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield name_of(path), ast.parse(path.read_text(encoding="utf-8"))


def imports() -> Iterator[Import]:
    """Every import in the package, those inside functions and for type checking too."""
    for importer, tree in parsed():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(importer, alias.name, node.lineno)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{importer}:{node.lineno}: imports are absolute"
                if node.module == "penstock":
                    for alias in node.names:
                        yield Import(importer, f"penstock.{alias.name}", node.lineno)
                else:
                    yield Import(importer, str(node.module), node.lineno)


IMPORTS = list(imports())
OURS = [one for one in IMPORTS if one.imported.startswith("penstock.")]
ROOMS = {room_of(name) for name, _ in parsed()} | {"_core", "_wire"}


def shown(one: Import) -> str:
    return f"{one.importer}:{one.line} imports {one.imported}"


def test_every_room_has_its_place_in_the_house() -> None:
    known = {room for rooms in LEVELS for room in rooms}
    assert known >= ROOMS
    assert len(OURS) > 100 and {"engine", "ledger", "cli"} <= ROOMS


def test_no_room_imports_one_that_stands_beside_it_or_before_it() -> None:
    wrong = [
        shown(one)
        for one in OURS
        if (source := room_of(one.importer)) != (target := room_of(one.imported))
        and level_of(source) >= level_of(target)
    ]
    assert wrong == []


@pytest.mark.parametrize(("source", "target", "why"), FORBIDDEN)
def test_rooms_that_know_nothing_of_each_other_stay_apart(
    source: str, target: str, why: str
) -> None:
    assert level_of(source) < level_of(target), "the levels forbid it already"
    arrows = [
        one for one in OURS if (room_of(one.importer), room_of(one.imported)) == (source, target)
    ]
    assert list(map(shown, arrows)) == [], why


@pytest.mark.parametrize(("banned", "why"), BANNED.items())
def test_what_is_banned_is_imported_nowhere(banned: str, why: str) -> None:
    found = [one for one in IMPORTS if one.imported.split(".")[0] == banned]
    assert list(map(shown, found)) == [], why


def test_a_dialect_does_no_input_and_output() -> None:
    found = [
        one
        for one in IMPORTS
        if room_of(one.importer) == "providers"
        and any(
            one.imported == name or one.imported.startswith(name + ".") for name in INPUT_AND_OUTPUT
        )
    ]
    # The stopwatch of a rendering: it ends one that has no end, and tells nobody the time.
    found = [one for one in found if one.importer != "penstock.providers.allowance"]
    assert list(map(shown, found)) == []


def test_only_the_command_line_and_the_api_have_a_terminal() -> None:
    """All others are given a stream, or emit events."""
    found = [
        f"{module}:{node.lineno}"
        for module, tree in parsed()
        if room_of(module) not in TERMINAL and module not in PIPES
        for node in ast.walk(tree)
        if isinstance(node, ast.expr) and is_terminal(node)
    ]
    assert found == []


def is_terminal(node: ast.expr) -> bool:
    """Whether an expression is `sys.stdout` or its like, or calls print or input."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.value.id == "sys" and node.attr in ("stdin", "stdout", "stderr")
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in ("print", "input")
    return False


def test_the_disk_is_changed_through_one_door_alone() -> None:
    """What passes it can be made to fail by a test, and its order be recorded."""
    found = [
        f"{module}:{node.lineno}"
        for module, tree in parsed()
        if room_of(module) in BEHIND_THE_DOOR or module in BEHIND_THE_DOOR
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and passes_the_door_by(node)
    ]
    assert found == []


def passes_the_door_by(call: ast.Call) -> bool:
    """Whether a call opens a file to write, or changes the disk, by itself."""
    name = ast.unparse(call.func)
    if name in PAST_THE_DOOR or name.split(".")[0] in ("shutil", "tempfile"):
        return True
    method = name.rpartition(".")[2]
    if method in PATH_CHANGES and not name.startswith(DISKS):
        return True
    if method != "open":
        return False
    modes = [
        one.value
        for one in (*call.args, *(word.value for word in call.keywords))
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
    ]
    return any(set(mode) & set("wax+") and set(mode) <= set("rwaxbt+") for mode in modes)


def test_every_module_says_what_it_is_for() -> None:
    silent = [name for name, tree in parsed() if not (ast.get_docstring(tree) or "").strip()]
    assert silent == []


def test_every_module_reads_annotations_late() -> None:
    """So that a type that is imported for type checking alone can stand in any annotation."""
    eager = [
        name
        for name, tree in parsed()
        if any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree.body)
        and not any(
            isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body
        )
    ]
    assert eager == []
