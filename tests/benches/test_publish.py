"""The README's figures are those of the newest committed results."""

from __future__ import annotations

from xml.etree import ElementTree

from publish import PICTURE, README, RESULTS, comparisons, picture, with_section


def test_the_readme_and_the_plot_show_the_newest_results() -> None:
    results = comparisons(RESULTS)
    assert results, "there is no committed result"
    page = README.read_text()
    assert with_section(page, results) == page, "run: make figures"
    assert PICTURE.read_text() == picture(results), "run: make figures"


def test_the_plot_is_well_formed() -> None:
    ElementTree.fromstring(PICTURE.read_text())
