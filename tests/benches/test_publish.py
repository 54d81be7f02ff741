"""The README's figures are those of the newest committed results."""

from __future__ import annotations

from xml.etree import ElementTree

import msgspec
import pytest
from harness.figures import Spread
from harness.plot import plot
from publish import PICTURE, README, RESULTS, comparisons, picture, with_section


def test_the_readme_and_the_plot_show_the_newest_results() -> None:
    results = comparisons(RESULTS)
    assert results, "there is no committed result"
    page = README.read_text()
    assert with_section(page, results) == page, "run: make figures"
    assert PICTURE.read_text() == picture(results), "run: make figures"


def test_the_plot_is_well_formed() -> None:
    ElementTree.fromstring(PICTURE.read_text())


def test_figures_below_zero_are_no_plot_but_a_word_about_it() -> None:
    figures = [one for result in comparisons(RESULTS) for one in result.figures]
    below = msgspec.structs.replace(figures[0], cpu_microseconds=Spread(-1.0, -2.0, 3.0))
    with pytest.raises(ValueError, match=r"-2\.0 us a request: the runs were too short"):
        plot([below, *figures[1:]], "")
