"""A mutant: a small change that breaks one rule of the source, and the tests that must notice it.

Mutants are kept by exact text and not as diffs: a line that moves breaks none of them, and one
whose text has changed says so. Each table of `mutants/ROOM.toml` is one:

    rule    what the source promises, and no longer does
    file    the file that is changed, from the root of the tree
    old     the lines that are replaced; the file has them once
    new     the lines in their place
    tests   the tests that must fail, each by its own assertion
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

import msgspec

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = Path(__file__).with_name("mutants")


class Stale(Exception):
    """Raised when a mutant is of another source than this, and has to be brought up to date."""


class Mutant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One mutant, as its file has it."""

    rule: str
    file: str
    old: str
    new: str
    tests: list[str]
    name: str = ""

    @property
    def is_of_the_core(self) -> bool:
        """Whether the extension must be built anew for it."""
        return not self.file.endswith(".py")

    def apply(self, root: Path) -> None:
        """Change the tree at `root`. Raises Stale."""
        path = root / self.file
        path.write_text(self.changed(path.read_text() if path.exists() else ""))

    def changed(self, text: str) -> str:
        """The file's text with the rule broken. Raises Stale."""
        if (count := text.count(self.old)) != 1:
            raise Stale(f"{self.name}: {self.file} has its old text {count} times, not once")
        return text.replace(self.old, self.new)


def read_mutants(folder: Path = FOLDER) -> list[Mutant]:
    """All mutants; a name is `room/what-is-broken`."""
    return [
        msgspec.convert({**table, "name": f"{path.stem}/{name}"}, Mutant)
        for path in sorted(folder.glob("*.toml"))
        for name, table in tomllib.loads(path.read_text()).items()
    ]
