"""A key, in a type that does not show it."""

from __future__ import annotations

from penstock.errors import JobError


class Secret:
    """A key that neither repr nor str nor a format shows."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The key itself, for the request's header alone."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


def checked(value: str, where: str) -> Secret:
    """`value` as a key; one that can't stand in a header is refused, without showing it."""
    if not value.isascii() or not value.isprintable():
        raise JobError(f"{where}: holds characters that no key has", "Check what it holds.")
    return Secret(value)
