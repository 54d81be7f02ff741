from __future__ import annotations

import io
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from penstock.errors import InputError, LedgerError
from penstock.sources import spool as module
from penstock.sources.inputs import Inputs
from penstock.sources.jsonl import lines_of
from penstock.sources.shard import Shard
from penstock.sources.spool import SPOOL_NAME, Spool, SpoolSource

ROWS = b"".join(b'{"n": %d}\n' % n for n in range(200))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", 100)
    # That blocks are synced is tested beside the file that does it.
    monkeypatch.setattr("os.fsync", lambda _: None)


def opened(folder: Path, given: bytes | None) -> Inputs:
    return Inputs.open(["-"], spool=folder, stdin=None if given is None else io.BytesIO(given))


def shards(inputs: Inputs) -> list[Shard]:
    return list(inputs.shards(rows=7))


def rows_of(shards: list[Shard]) -> list[bytes]:
    return [line for shard in shards for _, line in lines_of(shard.payload, 1)]


def test_the_rows_of_stdin_are_read_from_the_spool(tmp_path: Path) -> None:
    inputs = opened(tmp_path / "spool", ROWS)
    assert rows_of(shards(inputs)) == ROWS.splitlines()
    assert inputs.count_rows() == 200


def test_the_spool_is_a_zstd_file(tmp_path: Path) -> None:
    shards(opened(tmp_path, ROWS))
    try:
        unpacked = subprocess.run(
            ["zstd", "-dc", str(tmp_path / SPOOL_NAME)], capture_output=True, check=True
        )
    except FileNotFoundError:
        pytest.skip("the zstd tool is not installed")
    assert unpacked.stdout == ROWS


@pytest.mark.parametrize("given", [None, b"", ROWS])
def test_a_whole_spool_is_enough_or_is_checked(tmp_path: Path, given: bytes | None) -> None:
    first = shards(opened(tmp_path, ROWS))
    assert shards(opened(tmp_path, given)) == first


def test_reading_on_from_any_shard_gives_the_shards_that_followed(tmp_path: Path) -> None:
    first = shards(opened(tmp_path, ROWS))
    inputs = opened(tmp_path, None)
    for index, shard in enumerate(first):
        assert list(inputs.shards(shard.next, rows=7)) == first[index + 1 :]
    assert first[-1].next.restart > 0


def test_a_spool_is_read_by_another_process_while_it_grows(tmp_path: Path) -> None:
    live = opened(tmp_path, ROWS).shards(rows=7)
    first = [next(live) for _ in range(10)]
    seen = shards(opened(tmp_path, None))
    assert seen[:9] == first[:9]
    assert len(rows_of(seen)) < 200


def test_stdin_is_read_no_further_than_is_asked_for(tmp_path: Path) -> None:
    stream = io.BytesIO(ROWS)
    inputs = Inputs.open(["-"], spool=tmp_path, stdin=stream)
    next(inputs.shards(rows=7))
    assert stream.tell() < len(ROWS)
    assert inputs.count_rows() is None


def without_restarts(shards: list[Shard]) -> list[Shard]:
    """The shards, but for where decompression may begin: that depends on how stdin came."""
    plain = {"restart": 0, "restart_offset": 0}
    return [replace(shard, next=replace(shard.next, **plain)) for shard in shards]


@settings(max_examples=40, deadline=None)
@given(st.integers(20, len(ROWS)), st.integers(20, len(ROWS)))
def test_a_resumed_stdin_goes_on_after_any_break(
    tmp_path_factory: pytest.TempPathFactory, first_end: int, second_end: int
) -> None:
    """Ctrl-C reaches the writer of the pipe too, whose end then looks like the input's."""
    folder = tmp_path_factory.mktemp("spool")
    before: list[Shard] = []
    for end in sorted({first_end, second_end, len(ROWS)}):
        inputs = opened(folder, ROWS[:end])
        found = shards(inputs)
        ended = not before or before[-1].payload.endswith(b"\n")
        whole = before if ended else before[:-1]
        assert without_restarts(found[: len(whole)]) == without_restarts(whole)
        for index, shard in enumerate(whole):
            rest = list(inputs.shards(shard.next, rows=7))
            assert without_restarts(rest) == without_restarts(found[index + 1 :])
        before = found
    assert rows_of(before) == ROWS.splitlines()
    assert without_restarts(shards(opened(folder, b""))) == without_restarts(before)


def test_the_rest_of_a_row_that_was_read_already_is_an_error(tmp_path: Path) -> None:
    first = shards(opened(tmp_path, ROWS[:1005]))
    inputs = opened(tmp_path, ROWS)
    with pytest.raises(InputError, match="is longer than it was"):
        list(inputs.shards(first[-1].next, rows=7))


def test_a_row_that_lacked_only_its_newline_is_whole(tmp_path: Path) -> None:
    end = ROWS.index(b"\n", 1000)
    first = shards(opened(tmp_path, ROWS[:end]))
    assert shards(opened(tmp_path, ROWS))[: len(first)] == first
    assert rows_of(shards(opened(tmp_path, b""))) == ROWS.splitlines()


def test_a_long_row_spans_blocks(tmp_path: Path) -> None:
    data = b'{"a": "%s"}\n' % (b"x" * 1000) + ROWS
    for end in (500, len(data)):
        found = shards(opened(tmp_path, data[:end]))
    assert rows_of(found) == data.splitlines()


@pytest.mark.parametrize(
    ("again", "what"),
    [
        (ROWS.replace(b"5", b"6"), "standard input: is not what this run began with"),
        (ROWS[:500], "standard input: "),
        (b"{}\n" * 900, "standard input: is not what this run began with"),
    ],
)
def test_another_stdin_is_an_error(tmp_path: Path, again: bytes, what: str) -> None:
    shards(opened(tmp_path, ROWS))
    with pytest.raises(InputError, match=what):
        opened(tmp_path, again)


def test_a_spool_that_did_not_come_to_the_end_needs_its_stdin(tmp_path: Path) -> None:
    next(opened(tmp_path, ROWS).shards(rows=7))
    with pytest.raises(InputError, match="ended before what this run has read of it already"):
        opened(tmp_path, b"")


def test_stdin_outside_a_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="standard input: can be read in a run only"):
        Inputs.open(["-"])
    with pytest.raises(InputError, match="standard input: is not in"):
        Inputs.open(["-"], spool=tmp_path)


def test_an_empty_stdin_is_an_empty_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the input is empty: no rows in standard input"):
        opened(tmp_path, b"\n\n")


def test_threads_read_one_spool_at_once(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", io.BytesIO(ROWS))
    found: list[bytes] = []

    def read() -> None:
        source = SpoolSource(spool, (0, 0), None)
        found.append(b"".join(iter(lambda: source.read(33), b"")))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [ROWS] * 4


def test_a_disk_that_failed_once_is_not_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path / "spool", io.BytesIO(ROWS))

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", fail)
        with pytest.raises(LedgerError):
            spool.read(0)
    with pytest.raises(LedgerError):
        spool.read(0)
