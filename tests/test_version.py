"""The version is written down once, and is what was installed."""

from __future__ import annotations

from importlib.metadata import version

from penstock.version import VERSION


def test_the_version_is_that_of_the_installed_package() -> None:
    assert version("penstock") == VERSION
