"""Prints the tickets of `out/embedded.parquet` that are nearest to the first one.

Vectors have the length 1, so that the nearest is the one with the largest product.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow.parquet as pq

NEAREST = 3


def product(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def main() -> None:
    table = pq.read_table("out/embedded.parquet", columns=["id", "text", "embedding"])
    rows = [row for row in table.to_pylist() if row["embedding"] is not None]
    near = [(product(rows[0]["embedding"], row["embedding"]), row) for row in rows]
    near.sort(key=lambda pair: -pair[0])
    for closeness, row in near[: 1 + NEAREST]:
        print(f"{closeness:.3f}  {row['id']}  {row['text'][:60]}")


if __name__ == "__main__":
    main()
