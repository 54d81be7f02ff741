"""Makes `catalogue.parquet`: 60 articles of a shop that doesn't exist, the same ones each time.

Some articles differ in their size alone, and have the same description. Nothing of it was
collected.
"""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SEED = 20240502
DESCRIPTIONS = 40
ARTICLES = 60

THINGS = ("kettle", "desk lamp", "backpack", "rain jacket", "bicycle pump", "thermos flask")
SIZES = ("S", "M", "L")
QUALITIES = ("light", "sturdy", "foldable", "quiet", "waterproof", "repairable")
USES = ("for long journeys", "for small kitchens", "for every day", "for wet winters")
EXTRAS = (
    "Spare parts are sold for ten years.",
    "The lid closes with one hand.",
    "Comes without plastic packaging.",
    "Cleaned with water and nothing else.",
)


def description(dice: random.Random) -> str:
    """A sentence or two, drawn with `dice`."""
    first, second = dice.sample(QUALITIES, 2)
    return f"A {first}, {second} {dice.choice(THINGS)} {dice.choice(USES)}. {dice.choice(EXTRAS)}"


def main() -> None:
    dice = random.Random(SEED)
    descriptions = [description(dice) for _ in range(DESCRIPTIONS)]
    articles = [
        {
            "sku": f"A-{number:03d}",
            "size": dice.choice(SIZES),
            "price_eur": round(dice.uniform(8, 240), 2),
            "description": dice.choice(descriptions),
        }
        for number in range(ARTICLES)
    ]
    path = Path(__file__).with_name("catalogue.parquet")
    pq.write_table(pa.Table.from_pylist(articles), path)


if __name__ == "__main__":
    main()
