"""What several tests of the core need."""

from __future__ import annotations

from typing import Any

import pytest

from core.stepped import build


@pytest.fixture(scope="session")
def stepped_core(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The core in a build in which another process can act between two accesses.

    To build it takes some seconds: what uses it belongs to the xdist group "stepped".
    """
    return build(tmp_path_factory.mktemp("stepped"))
