"""The standard streams of the command: none missing, and none whose failure is taken for a fault.

A stream that breaks is silent from then on: the reader of a pipe may leave when it has seen
enough, a terminal may be closed, a disk may be full. None of this ends a run. What was asked for on
standard output and could not be written is told at the end.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Sink(io.FileIO):
    """A descriptor that is written to, and is given to the null device once that fails."""

    error: OSError | None = None  # why it failed, unless its reader just left

    def write(self, data: ReadableBuffer, /) -> int:
        """Write some of `data`, or take all of it where nothing can be written any more."""
        try:
            return super().write(data)
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                self.error = error
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
            return memoryview(data).nbytes


def make_robust() -> Sink:
    """Have standard output and error outlive whatever they are connected to; returns the first."""
    open_closed_streams()
    sys.stdout.flush()
    sys.stderr.flush()
    sink = Sink(1, "w", closefd=False)
    sys.stdout = over(sink, sys.stdout)
    sys.stderr = over(Sink(2, "w", closefd=False), sys.stderr)
    return sink


def over(sink: Sink, like: TextIO) -> TextIO:
    """A text stream over `sink`, with the ways of another."""
    return io.TextIOWrapper(
        io.BufferedWriter(sink),
        encoding=like.encoding,
        errors=like.errors,
        line_buffering=sink.isatty() or like is sys.stderr,
    )


def open_closed_streams() -> None:
    """Give a process that was started without standard streams empty ones.

    Else the next file to be opened, such as a run's lock, would take a stream's number, and with it
    what is meant for the stream.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            os.set_inheritable(number, True)
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115  # it stays
            setattr(sys, name, stream)
