"""A file as far as it went when it was frozen, whatever is appended to it meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from penstock.errors import InputError


class FrozenFile:
    """A file's first `size` bytes; `name` is for messages."""

    def __init__(self, path: Path, name: str, size: int) -> None:
        self.name = name
        self.size = size
        self.position = 0
        try:
            self._file: BinaryIO = path.open("rb")
        except OSError as error:
            raise InputError(
                f"{name}: {error.strerror}", "Bring the file back, or make it readable."
            ) from None

    def seek(self, position: int) -> None:
        """Goes to a byte of the file."""
        self._file.seek(position)
        self.position = position

    def read(self, size: int) -> bytes:
        """At most `size` bytes, none at the frozen end only. Raises InputError if bytes lack."""
        wanted = min(size, self.size - self.position)
        if wanted <= 0:
            return b""
        try:
            data = self._file.read(wanted)
        except OSError as error:
            raise InputError(f"{self.name}: {error.strerror}", "Check the disk.") from None
        if not data:
            raise InputError(
                f"{self.name}: was {self.size:,} bytes when the run began, "
                f"ends after {self.position:,} now",
                "Bring the input back as it was, or begin anew with --fresh.",
            )
        self.position += len(data)
        return data

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
