"""Nothing is imported before the first request that only later steps need."""

from __future__ import annotations

import subprocess
import sys

import pytest

from conftest import Simulate
from integration.conftest import MakePlace

COMPUTE = "pyarrow.compute"
PRICES = "genai_prices"
HEAVY = (COMPUTE, PRICES, "pyarrow.parquet", "prometheus_client", "rich", "penstock.simulator")

WRITER = """
from io import BytesIO
from pathlib import Path
from penstock.ledger.formats import output_for
from penstock.ledger.output_columns import output_columns
from penstock.sources.schema import InputSchema
output_for(Path("out.jsonl"), BytesIO(), output_columns(InputSchema()))
"""

# Each with what must not have come along with it.
STARTS = {
    "import penstock.cli": ("pyarrow", "jinja2", "aiohttp", "asyncio", "msgspec"),
    "import penstock.cli.run, penstock.api, penstock.engine.run": (*HEAVY, "aiohttp", "jinja2"),
    "import penstock.engine.worker": (*HEAVY, "click"),
    WRITER: (COMPUTE,),
}


@pytest.mark.parametrize("start", STARTS)
def test_what_is_heavy_is_imported_when_it_is_used_not_at_the_start(start: str) -> None:
    code = f"{start}\nimport sys; print(*sys.modules)"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert not set(process.stdout.split()) & set(STARTS[start])


TOLD = """
import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "penstock.ledger.export":
            open({path!r}, "w").close()
sys.meta_path.insert(0, Finder())
"""


def test_what_the_end_of_a_run_needs_is_imported_while_it_runs(
    place: MakePlace, simulate: Simulate
) -> None:
    """Days may pass until then, in which the program was installed anew."""
    run, provider = place(50), simulate(ttft_seconds=5)
    told = run.folder / "imported"
    run.patched(TOLD.format(path=str(told)))
    with run.start(provider.base_url, max_concurrency=1, workers=1) as live:
        live.until(told.exists)
        assert provider.stats()["received"] <= 1
