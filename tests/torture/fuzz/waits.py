"""How long to wait, in all its forms: headers by number, each up to a NUL, then two texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from penstock.providers.waits import MAX_WAIT_SECONDS, wait_seconds

NAMES: Final = (
    "retry-after-ms",
    "retry-after",
    "date",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-reset-tokens",
)
VALUES: Final = (
    (b"1500",),
    (b"999999999999999",),
    (b"", b"99999999.5"),
    (b"", b"Tue, 14 Jul 9999 08:00:30 GMT", b"Tue, 14 Jul 2026 08:00:00 GMT"),
    (b"", b"Tue, 14 Jul 2026 08:00:00 GMT", b"Tue, 14 Jul 2026 09:00:00 GMT"),
    (b"", b"999999999999d"),
    (b"", b"1.5"),
    (b"", b"Tue, 14 Jul 2026 08:00:30 GMT", b"Tue, 14 Jul 2026 08:00:00 GMT"),
    (b"", b"Tuesday, 14-Jul-26 08:00:30 GMT", b"Tue, 14 Jul 2026 08:00:00 -0000"),
    (b"", b"6m0s"),
    (b"", b"", b"", b"0", b"1h2m3.5s", b"0", b"-1", b"12ms"),
    (b"",) * 8 + (b"Please try again in 1.2s. Visit",),
    (b"",) * 8 + (b"retry after 20 milliseconds",),
    (b"",) * 9 + (b"36s",),
)


def seeds() -> Sequence[bytes]:
    return [b"\0".join(values) for values in VALUES]


def once(data: bytes, folder: Path) -> None:
    values = data.decode("latin-1").split("\0")
    headers = dict(zip(NAMES, values, strict=False))
    message, delay, *_ = [*values[len(NAMES) :], "", ""]
    wait = wait_seconds(headers, message, delay)
    assert wait is None or (type(wait) is float and math.isfinite(wait))
    assert wait is None or 0 <= wait <= MAX_WAIT_SECONDS
