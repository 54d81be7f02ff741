from __future__ import annotations

from penstock.cli.beside import MOST_LINES, beside

LONG = "word " * 200


def lines(columns: int | None, left: str = LONG, right: str = "short") -> list[str]:
    return list(beside(("prompt", left), ("answer", right), columns))


def test_a_wide_terminal_has_both_on_the_same_lines() -> None:
    found = lines(120)
    assert found[0].split("│")[0].strip() == "prompt" and found[0].endswith("│ answer")
    assert found[1].endswith("│ short")
    assert all(len(line) <= 120 for line in found)
    assert len(found) == 1 + MOST_LINES and "more lines" in found[-1]


def test_a_narrow_one_has_one_below_the_other() -> None:
    found = lines(60)
    assert found[0] == "  prompt" and found[-2:] == ["  answer", "    short"]
    assert all(len(line) <= 60 for line in found)


def test_elsewhere_nothing_is_folded_or_cut_and_no_terminal_is_moved() -> None:
    found = lines(None, left=LONG, right="a\x1b[2J\nb")
    assert found == [
        "  prompt",
        f"    {LONG}".rstrip(),
        "  answer",
        "    a\N{REPLACEMENT CHARACTER}[2J",
        "    b",
    ]
