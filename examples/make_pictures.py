"""Makes `pictures/` and `pictures.jsonl`: 24 PNGs, a coloured shape on each, always the same ones.

A PNG is a header, rows of pixels (each with a zero before it: no filter) and an end.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from itertools import product
from pathlib import Path

SIDE_PIXELS = 96
GROUND = b"\xf4\xf1\xea"
COLOURS = {
    "red": b"\xc8\x32\x32",
    "green": b"\x2e\x8b\x57",
    "blue": b"\x2a\x52\xbe",
    "yellow": b"\xe8\xb9\x23",
    "violet": b"\x7a\x3e\x9d",
    "black": b"\x22\x22\x22",
}
# Whether a point is inside; the picture reaches from -1 to 1, y downwards.
SHAPES: dict[str, Callable[[float, float], bool]] = {
    "circle": lambda x, y: x * x + y * y < 0.6,
    "square": lambda x, y: max(abs(x), abs(y)) < 0.65,
    "triangle": lambda x, y: -0.7 < y < 0.7 and abs(x) < (y + 0.7) / 2,
    "ring": lambda x, y: 0.25 < x * x + y * y < 0.6,
}


def picture(is_inside: Callable[[float, float], bool], colour: bytes) -> bytes:
    """A PNG of a shape on a light ground."""
    at = [2 * place / (SIDE_PIXELS - 1) - 1 for place in range(SIDE_PIXELS)]
    rows = (b"".join(colour if is_inside(x, y) else GROUND for x in at) for y in at)
    header = struct.pack(">IIBBBBB", SIDE_PIXELS, SIDE_PIXELS, 8, 2, 0, 0, 0)  # 8 bits, RGB
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def chunk(kind: bytes, data: bytes) -> bytes:
    """A part of a PNG: length, kind, data, checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def main() -> None:
    here = Path(__file__).parent
    folder = here / "pictures"
    folder.mkdir(exist_ok=True)
    lines = []
    for number, (shape, colour) in enumerate(product(SHAPES, COLOURS)):
        name = f"{number:02d}.png"
        (folder / name).write_bytes(picture(SHAPES[shape], COLOURS[colour]))
        lines.append(json.dumps({"id": f"P-{number:02d}", "picture": name}))
    (here / "pictures.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
