from __future__ import annotations

import io
import os
import threading
from pathlib import Path

import pytest

from penstock.errors import InputError
from penstock.sources.stdin import Stdin


def test_reading_is_full_up_to_the_end() -> None:
    stdin = Stdin(io.BytesIO(b"abcdefg"))
    assert [stdin.read(3) for _ in range(4)] == [b"abc", b"def", b"g", b""]


def test_what_is_pushed_back_comes_first() -> None:
    stdin = Stdin(io.BytesIO(b"cd"))
    stdin.push_back(b"b")
    stdin.push_back(b"a")
    assert stdin.read(3) == b"abc"
    assert stdin.read(3) == b"d"


def test_a_pipe_is_read_to_its_end() -> None:
    source, sink = os.pipe()
    with open(source, "rb") as stream:
        stdin = Stdin(stream)
        os.write(sink, b"abc")
        assert stdin.read(2) == b"ab"
        os.close(sink)
        assert stdin.read(10) == b"c"


def test_a_file_is_read_like_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"abc")
    with (tmp_path / "in").open("rb") as stream:
        assert Stdin(stream).read(10) == b"abc"


def test_a_terminal_gives_nothing() -> None:
    primary, secondary = os.openpty()
    os.write(primary, b"typed\n")
    with open(secondary, "rb") as stream:
        assert Stdin(stream).read(10) == b""
    os.close(primary)


def test_a_wait_can_be_given_up() -> None:
    source, sink = os.pipe()
    raised: list[InputError] = []
    with open(source, "rb") as stream:
        stdin = Stdin(stream)

        def wait() -> None:
            try:
                stdin.read(1)
            except InputError as error:
                raised.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        stdin.give_up()
        thread.join(timeout=10)
        assert not thread.is_alive()
    os.close(sink)
    assert raised[0].what == "standard input: was not read to its end"


def test_a_stream_that_fails_is_an_input_error() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(InputError, match=r"standard input: .*Input/output error"):
        Stdin(Failing()).read(1)
