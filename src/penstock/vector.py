"""How a vector is written: 32-bit floats, the lowest byte first, as base64 text.

That is what OpenAI's API sends, a third of the same numbers as JSON, and it loses nothing. A
segment holds it as a result's text; the output has the numbers.
"""

from __future__ import annotations

import binascii
import math
import sys
from array import array
from collections.abc import Sequence
from typing import Final

FLOAT_BYTES: Final = 4
SHOWN_NUMBERS: Final = 4


def packed(numbers: Sequence[float]) -> bytes:
    """Numbers as 32-bit floats."""
    return _swapped(array("f", numbers)).tobytes()


def unpacked(data: bytes) -> array[float]:
    """32-bit floats as numbers. Raises ValueError where they are not whole."""
    numbers = array("f")
    numbers.frombytes(data)
    return _swapped(numbers)


def text_of(data: bytes) -> str:
    """32-bit floats as text."""
    return binascii.b2a_base64(data, newline=False).decode()


def bytes_of(text: str) -> bytes:
    """The 32-bit floats in a text. Raises ValueError for what is no base64."""
    if len(text) % 4:  # which Python lets pass where it is but too much padding
        raise ValueError("the text is cut")
    return binascii.a2b_base64(text, strict_mode=True)


def is_finite(data: bytes) -> bool:
    """Whether there is a number at least, and neither an infinity nor a NaN.

    Sums of 32-bit floats don't overflow 64 bits, so one sum tells of all. Raises ValueError where
    the floats are not whole.
    """
    return bool(data) and math.isfinite(sum(unpacked(data)))


def numbers_of(text: str) -> list[float] | None:
    """The numbers in a text; None where it is no vector."""
    try:
        return unpacked(bytes_of(text)).tolist()
    except ValueError:
        return None


def words(text: str) -> str:
    """A vector in a text for people; other text as it is."""
    numbers = numbers_of(text)
    return text if numbers is None else words_of(numbers)


def words_of(numbers: Sequence[float]) -> str:
    """A vector for people: `[1,536 floats] 0.0123, -0.5, ...`."""
    more = ", ..." if len(numbers) > SHOWN_NUMBERS else ""
    told = ", ".join(f"{number:.4g}" for number in numbers[:SHOWN_NUMBERS])
    return f"[{len(numbers):,} floats] {told}{more}"


def _swapped(numbers: array[float]) -> array[float]:
    """From this machine's order of bytes to that of the text, or back."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
