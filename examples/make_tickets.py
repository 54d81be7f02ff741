"""Makes `tickets.jsonl`: 1,000 support tickets of a shop that doesn't exist, the same ones each
time.

They are made, not collected: no person wrote them, and every line says so (`"made": true`).
"""

from __future__ import annotations

import json
import random
from pathlib import Path

SEED = 20240501
COUNT = 1000

PRODUCTS = (
    "kettle",
    "desk lamp",
    "backpack",
    "headphones",
    "bicycle pump",
    "rain jacket",
    "router",
)
CHANNELS = ("mail", "chat", "phone note")
OPENINGS = (
    "Hello,",
    "Hi there,",
    "Good morning,",
    "To whom it may concern,",
    "Hey,",
    "",
)
PROBLEMS = {
    "delivery": (
        "my {product} was due {days} days ago and the tracking page has not moved since.",
        "the parcel with the {product} arrived open, and the {part} is missing.",
        "you delivered two {product}s, but I ordered (and paid for) one.",
    ),
    "defect": (
        "the {product} stopped working after {days} days; the {part} is simply dead.",
        "the {part} of my {product} came off in my hand, I did not force it.",
        "there is a burnt smell whenever I use the {product} for more than {days} minutes.",
    ),
    "billing": (
        "I was charged twice for the {product}, {amount} EUR each time.",
        "the invoice for my {product} shows the wrong company name, please correct it.",
        "where is the refund of {amount} EUR that was promised for the {product}?",
    ),
    "question": (
        "does the {product} also work abroad, and can I buy a spare {part}?",
        "is the {product} still covered {days} months after I bought it?",
        "which {part} fits the {product} from the spring catalogue?",
    ),
}
PARTS = ("lid", "cable", "strap", "switch", "valve", "hinge", "power supply", "zip")
MOODS = (
    "Please get back to me soon.",
    "This is the third time I write about it!",
    "No hurry, but I would like to know.",
    "I have been a customer for {years} years and am rather disappointed.",
    "Danke und schöne Grüße.",
    "Otherwise I am very happy with your shop :-)",
    "I expect an answer by Friday.",
)


def ticket(number: int, dice: random.Random) -> dict[str, object]:
    """One ticket, drawn with `dice`."""
    facts = {
        "product": dice.choice(PRODUCTS),
        "part": dice.choice(PARTS),
        "days": dice.randint(2, 30),
        "years": dice.randint(2, 15),
        "amount": f"{dice.uniform(8, 240):.2f}",
    }
    problem = dice.choice(PROBLEMS[dice.choice(tuple(PROBLEMS))])
    sentences = (dice.choice(OPENINGS), problem, dice.choice(MOODS))
    return {
        "id": f"T-{number:04d}",
        "channel": dice.choice(CHANNELS),
        "product": facts["product"],
        "text": " ".join(part.format(**facts) for part in sentences if part),
        "made": True,
    }


def main() -> None:
    dice = random.Random(SEED)
    lines = [json.dumps(ticket(number, dice), ensure_ascii=False) for number in range(COUNT)]
    path = Path(__file__).with_name("tickets.jsonl")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
