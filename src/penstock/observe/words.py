"""Numbers as people read them: the same in the bar, the lines and the end table."""

from __future__ import annotations

import math

_SCALES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def count(number: int) -> str:
    """`1,234,567`."""
    return f"{number:,}"


def counted(number: int, one: str, many: str = "") -> str:
    """`1 throttle`, `0 throttles`, `1,234 retries`; `many` where it is not `one` with an s."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def short(number: float) -> str:
    """Three digits and a scale: `999`, `45.2k`, `1.23M`."""
    for scale, letter in _SCALES:
        # 999.5 and more would be rounded to four digits, so it belongs to the next scale.
        if number >= scale * 0.9995:
            return three_digits(number / scale) + letter
    return f"{number:.0f}"


def three_digits(value: float) -> str:
    """`1.23`, `12.3`, `123`."""
    if value < 9.995:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def size(number: int) -> str:
    """Bytes in powers of ten, as disks and `ls --si` count: `512 B`, `1.23 MB`."""
    if number < 1000:
        return f"{number} B"
    text = short(number)
    return f"{text[:-1]} {text[-1]}B"


def percent(share: float) -> str:
    """A share, 0..1, as `61 %`; 100 only where it is all."""
    shown = min(99, round(share * 100)) if share < 1 else round(share * 100)
    return f"{shown} %"


def seconds(value: float | None) -> str:
    """A latency: `420 ms`, `1.93 s`, `-` where there is none."""
    if value is None:
        return "-"
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    return f"{three_digits(value)} s"


def duration(value: float) -> str:
    """A time span: `42 s`, `3:05`, `2:03:05`, `4 d 02:03`."""
    whole = int(value + 0.5)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}:{rest:02}"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{hours // 24} d {hours % 24:02}:{minutes:02}"


def rate(per_second: float) -> str:
    """A rate, in the unit that makes it readable: `532/s`, `9.81/s`, `24/min`."""
    if per_second == 0:
        return "0/s"
    if per_second >= 0.9995:
        return (short if per_second >= 999.5 else three_digits)(per_second) + "/s"
    return three_digits(per_second * 60) + "/min" if per_second * 60 >= 1 else "<1/min"


def visible(text: str) -> str:
    """`text` by lines, with all that could move a terminal's cursor made harmless."""
    return "\n".join("".join(map(visible_character, line)) for line in text.splitlines())


def visible_character(one: str) -> str:
    return one if one.isprintable() else "\N{REPLACEMENT CHARACTER}"


def money(usd: float) -> str:
    """`$1,234.50`, `$0.0123`, `$0.000033`."""
    if usd >= 1 or usd == 0:
        return f"${usd:,.2f}"
    decimals = 4 if usd >= 0.001 else min(12, 1 - math.floor(math.log10(usd)))
    return f"${usd:.{decimals}f}"


def row_sum(rows_in: int | None, succeeded: int, failed: int, pending: int | str) -> str:
    """`1,000 = 400 succeeded + 3 failed + 597 pending`; words stand for an unknown number."""
    parts = [f"{count(succeeded)} succeeded", f"{count(failed)} failed"]
    if pending:
        parts.append(pending if isinstance(pending, str) else f"{count(pending)} pending")
    return f"{'?' if rows_in is None else count(rows_in)} = {' + '.join(parts)}"
