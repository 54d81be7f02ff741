"""The benchmarks' parts, importable as they are from benches/, without its scripts on the path."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

BENCHES = Path(__file__).parents[2] / "benches"


def loaded(name: str, path: Path, folder: Path | None = None) -> ModuleType:
    """A module or, with its folder, a package of benches/."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            name, path, submodule_search_locations=[str(folder)] if folder else None
        )
        assert spec is not None and spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


loaded("harness", BENCHES / "harness" / "__init__.py", BENCHES / "harness")
loaded("publish", BENCHES / "publish.py")
loaded("null_worker", BENCHES / "null_worker.py")
