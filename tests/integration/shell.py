"""A command in circumstances that only a shell makes: limits, redirections, a mask, a folder."""

from __future__ import annotations

from collections.abc import Sequence


def after(script: str, command: Sequence[str]) -> list[str]:
    """`command`, in a shell in which `script` was carried out."""
    return ["/bin/bash", "-c", f'{script}; exec "$@"', "bash", *command]


def within(script: str, command: Sequence[str]) -> list[str]:
    """`script`, in which "$@" is `command`."""
    return ["/bin/bash", "-c", script, "bash", *command]
