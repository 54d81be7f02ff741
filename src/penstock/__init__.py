"""Penstock takes millions of records through LLM HTTP APIs: every limit kept, nothing lost."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.api import arun, results, run
    from penstock.errors import (
        DiskFull,
        EngineError,
        InputError,
        Interrupted,
        JobError,
        LedgerError,
        LimitStopped,
        OutputError,
        PenstockError,
        ProviderStopped,
        RowMissing,
        RunDirectoryError,
        RunLocked,
        TemplateError,
        UsageError,
    )
    from penstock.observe.report import Report
    from penstock.version import VERSION as __version__

# Imported when first used: a command's help, and every worker, would otherwise load all of it.
_HOMES = {
    # running, and reading what came of it
    "run": "penstock.api",
    "arun": "penstock.api",
    "results": "penstock.api",
    "Report": "penstock.observe.report",
    # what can go wrong
    "PenstockError": "penstock.errors",
    "UsageError": "penstock.errors",
    "JobError": "penstock.errors",
    "InputError": "penstock.errors",
    "OutputError": "penstock.errors",
    "TemplateError": "penstock.errors",
    "RunDirectoryError": "penstock.errors",
    "ProviderStopped": "penstock.errors",
    "LimitStopped": "penstock.errors",
    "LedgerError": "penstock.errors",
    "DiskFull": "penstock.errors",
    "RowMissing": "penstock.errors",
    "RunLocked": "penstock.errors",
    "EngineError": "penstock.errors",
    "Interrupted": "penstock.errors",
}

__all__ = [
    "DiskFull",
    "EngineError",
    "InputError",
    "Interrupted",
    "JobError",
    "LedgerError",
    "LimitStopped",
    "OutputError",
    "PenstockError",
    "ProviderStopped",
    "Report",
    "RowMissing",
    "RunDirectoryError",
    "RunLocked",
    "TemplateError",
    "UsageError",
    "__version__",
    "arun",
    "results",
    "run",
]


if not TYPE_CHECKING:  # a type checker would take it as leave for any name

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            return import_module("penstock.version").VERSION
        if name in _HOMES:
            return getattr(import_module(_HOMES[name]), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
