from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.observe import words


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "0"),
        (999, "999"),
        (999.4, "999"),
        (1000, "1.00k"),
        (9994, "9.99k"),
        (9999, "10.0k"),
        (45_200, "45.2k"),
        (999_400, "999k"),
        (999_900, "1.00M"),
        (1_234_567, "1.23M"),
        (5_600_000_000, "5.60G"),
    ],
)
def test_short_numbers_have_three_digits_and_a_scale(number: float, expected: str) -> None:
    assert words.short(number) == expected


def test_one_of_a_thing_is_no_several() -> None:
    assert words.counted(1, "throttle") == "1 throttle"
    assert words.counted(0, "retry", "retries") == "0 retries"
    assert words.counted(1234, "throttle") == "1,234 throttles"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1:00"),
        (185, "3:05"),
        (3600, "1:00:00"),
        (7385, "2:03:05"),
        (47 * 3600 + 3599, "47:59:59"),
        (4 * 86400 + 2 * 3600 + 180, "4 d 02:03"),
    ],
)
def test_a_duration_shows_what_matters_at_its_length(value: float, expected: str) -> None:
    assert words.duration(value) == expected


@pytest.mark.parametrize(
    ("share", "expected"), [(0, "0 %"), (0.614, "61 %"), (0.9999, "99 %"), (1, "100 %")]
)
def test_a_percentage_is_100_only_where_it_is_all(share: float, expected: str) -> None:
    assert words.percent(share) == expected


@pytest.mark.parametrize(
    ("per_second", "expected"),
    [
        (0, "0/s"),
        (0.4, "24.0/min"),
        (0.001, "<1/min"),
        (1, "1.00/s"),
        (532.2, "532/s"),
        (12_345, "12.3k/s"),
    ],
)
def test_a_rate_has_the_unit_that_makes_it_readable(per_second: float, expected: str) -> None:
    assert words.rate(per_second) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "-"), (0.0004, "0 ms"), (0.42, "420 ms"), (0.9996, "1.00 s"), (75.0, "75.0 s")],
)
def test_a_latency_is_in_milliseconds_below_a_second(value: float | None, expected: str) -> None:
    assert words.seconds(value) == expected


@pytest.mark.parametrize(
    ("number", "expected"), [(512, "512 B"), (1000, "1.00 kB"), (1_234_567, "1.23 MB")]
)
def test_sizes_are_in_powers_of_ten(number: int, expected: str) -> None:
    assert words.size(number) == expected


@pytest.mark.parametrize(
    ("usd", "expected"),
    [(0, "$0.00"), (0.0123, "$0.0123"), (1234.5, "$1,234.50"), (0.0000326, "$0.000033")],
)
def test_small_amounts_of_money_have_four_decimals_or_two_digits(usd: float, expected: str) -> None:
    assert words.money(usd) == expected


@given(st.text(st.characters()))
def test_what_a_provider_says_can_not_move_the_cursor(text: str) -> None:
    shown = words.visible(text)
    assert all(one.isprintable() for line in shown.split("\n") for one in line)


def test_harmless_text_is_shown_as_it_is() -> None:
    assert words.visible("  penstock redo 'é 字'\nnext") == "  penstock redo 'é 字'\nnext"


@given(st.floats(0, 1e15))
def test_short_numbers_stay_short(number: float) -> None:
    assert len(words.short(number)) <= 5
