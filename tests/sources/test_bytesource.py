from __future__ import annotations

import gzip
import random
import subprocess
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import InputError
from penstock.sources.bytesource import open_source
from penstock.sources.restarts import Restarts

RANDOM = random.Random(20)
DATA = b"".join(b"line %d %s\n" % (n, RANDOM.randbytes(20).hex().encode()) for n in range(8000))
SKIPPABLE = b"\x5a\x2a\x4d\x18\x03\0\0\0abc"


def zstd(data: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


def zstd_stream(data: bytes) -> bytes:
    """As tools write it that don't know the size: several blocks, no content size."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        for start in range(0, len(data), 50_000):
            stream.write(data[start : start + 50_000])
    return bytes(sink.getvalue().to_pybytes())


def parts(packed: Callable[[bytes], bytes], between: bytes = b"") -> bytes:
    return between.join(packed(DATA[at : at + 30_000]) for at in range(0, len(DATA), 30_000))


FILES = {
    "plain": ("", DATA),
    "one member": ("gz", gzip.compress(DATA)),
    "members": ("gz", parts(gzip.compress)),
    "padded members": ("gz", parts(gzip.compress, b"\0" * 512) + b"\0" * 70_000),
    "one frame": ("zst", zstd(DATA)),
    "one frame of blocks": ("zst", zstd_stream(DATA)),
    "frames": ("zst", parts(zstd)),
    "frames and skippable frames": ("zst", SKIPPABLE + parts(zstd, SKIPPABLE) + SKIPPABLE),
    "frame of one repeated byte": ("zst", parts(zstd) + zstd(b"a" * 1_000_000)),
}


def whole(kind: str) -> bytes:
    return DATA + b"a" * 1_000_000 if "repeated" in kind else DATA


def read_all(
    path: Path,
    compression: str,
    offset: int = 0,
    restart: tuple[int, int] = (0, 0),
    size: int | None = None,
    most: int = 1 << 20,
) -> bytes:
    size = path.stat().st_size if size is None else size
    with closing(open_source(path, path.name, compression, size, offset, restart)) as source:
        return b"".join(iter(lambda: source.read(most), b""))


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("most", [1000, 1 << 20])
def test_the_bytes_come_out_as_they_went_in(tmp_path: Path, kind: str, most: int) -> None:
    compression, packed = FILES[kind]
    path = tmp_path / "in"
    path.write_bytes(packed)
    assert read_all(path, compression, most=most) == whole(kind)


@pytest.mark.parametrize("kind", FILES)
def test_reading_begins_at_any_offset_from_the_restart_point_before_it(
    tmp_path: Path, kind: str
) -> None:
    compression, packed = FILES[kind]
    path = tmp_path / "in"
    path.write_bytes(packed)
    with closing(open_source(path, "in", compression, len(packed))) as source:
        passed = 0
        while data := source.read(7_001):
            passed += len(data)
            for offset in (passed - len(data) // 2, passed):
                restart = source.restart_before(offset)
                assert restart[1] <= offset
                with closing(
                    open_source(path, "in", compression, len(packed), offset, restart)
                ) as again:
                    found = again.read(100)
                assert found == whole(kind)[offset : offset + len(found)]
                assert found or offset == len(whole(kind))


@pytest.mark.parametrize("kind", ["members", "padded members", "frames"])
def test_restart_points_save_reading_what_was_read(tmp_path: Path, kind: str) -> None:
    compression, packed = FILES[kind]
    path = tmp_path / "in"
    path.write_bytes(packed)
    with closing(open_source(path, "in", compression, len(packed))) as source:
        read = 0
        while read < 200_000:
            read += len(source.read(1000))
        byte, offset = source.restart_before(200_000)
    assert byte > 0
    assert 200_000 - offset < 30_000


@pytest.mark.parametrize(
    "kind", ["one member", "members", "one frame", "one frame of blocks", "frames"]
)
def test_input_that_is_cut_short_is_an_error_that_names_it(tmp_path: Path, kind: str) -> None:
    compression, packed = FILES[kind]
    path = tmp_path / "in.x"
    path.write_bytes(packed)
    for lacking in (1, 4, 9, 1000):
        with pytest.raises(InputError, match=r"in\.x: the (gzip|zstd) data is (cut short|broken)"):
            read_all(path, compression, size=len(packed) - lacking)


@pytest.mark.parametrize("kind", ["one member", "members", "one frame", "frames"])
@pytest.mark.parametrize("at", [0, 12, -1])
def test_input_that_is_damaged_is_an_error(tmp_path: Path, kind: str, at: int) -> None:
    compression, packed = FILES[kind]
    path = tmp_path / "in"
    place = at % len(packed)
    path.write_bytes(packed[:place] + bytes([packed[place] ^ 0x5A]) + packed[place + 1 :])
    try:
        found = read_all(path, compression)
    except InputError as error:
        assert error.what.startswith("in: the ")
    else:
        # A zstd frame without a checksum can't tell.
        assert compression == "zst"
        assert found != DATA or at == -1


@given(st.binary(max_size=200), st.sampled_from(["gz", "zst"]), st.booleans())
def test_no_bytes_raise_anything_but_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, compression: str, with_magic: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "garbage"
    magic = {"gz": b"\x1f\x8b\x08\0\0\0\0\0\0\0", "zst": b"\x28\xb5\x2f\xfd"}[compression]
    path.write_bytes(magic + data if with_magic else data)
    try:
        read_all(path, compression)
    except InputError as error:
        assert "garbage: the " in error.what


@pytest.mark.parametrize("compression", ["", "gz", "zst"])
def test_an_empty_file_holds_nothing(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "in"
    path.touch()
    assert read_all(path, compression) == b""


def test_what_is_appended_after_the_freeze_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_bytes(b"old and new")
    assert read_all(path, "", size=3) == b"old"


def test_a_file_that_shrank_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_bytes(b"short")
    with pytest.raises(InputError, match="was 100 bytes when the run began, ends after 5 now"):
        read_all(path, "", size=100)


def test_a_file_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="in: No such file"):
        open_source(tmp_path / "in", "in", "", 10)


@pytest.mark.parametrize("arguments", [["-q", "-1"], ["-q", "-19", "--no-check"]])
def test_what_the_zstd_tool_writes_is_read(tmp_path: Path, arguments: list[str]) -> None:
    path = tmp_path / "in"
    try:
        packed = subprocess.run(["zstd", *arguments], input=DATA, capture_output=True, check=True)
    except FileNotFoundError:
        pytest.skip("the zstd tool is not installed")
    path.write_bytes(packed.stdout)
    assert read_all(path, "zst") == DATA


def test_a_gzip_member_with_a_wrong_checksum_is_an_error(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(DATA))
    packed[-8:-4] = (zlib.crc32(DATA) ^ 1).to_bytes(4, "little")
    path = tmp_path / "in"
    path.write_bytes(packed)
    with pytest.raises(InputError, match="incorrect data check"):
        read_all(path, "gz")


def test_reading_on_begins_at_the_last_point_that_is_not_behind_it() -> None:
    """From a later one, rows would be passed over."""
    points = Restarts((0, 0))
    for byte, offset in ((10, 100), (20, 200), (30, 300)):
        points.add(byte, offset)
    found = [points.before(offset) for offset in (0, 99, 100, 199, 299, 300, 999)]
    assert found == [(0, 0), (0, 0), (10, 100), (10, 100), (20, 200), (30, 300), (30, 300)]
