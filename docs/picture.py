"""Draws docs/progress.svg, the README's picture, from the figures of a run in its middle."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from penstock.observe.progress_bar import Bar
from penstock.observe.snapshot import Snapshot

COMMAND = (
    "$ penstock run tickets.jsonl -o answers.parquet --model gpt-4o-mini \\\n"
    "      --prompt 'Answer this ticket: {{ text }}' --rpm 9000"
)

SNAPSHOT = Snapshot(
    run_id="",
    phase="running",
    total=1000,
    done=640,
    succeeded=637,
    failed=3,
    failed_by_class={"invalid_request": 3},
    in_flight=45,
    requests=701,
    retries=9,
    throttles=8,
    tokens={"uncached_input": 19500, "cached_input": 0, "visible_output": 20300, "reasoning": 0},
    elapsed_seconds=5.1,
    rate_now=148.0,
    rate_mean=146.0,
    eta_seconds=2.5,
    p50_seconds=0.289,
    p99_seconds=0.700,
    limiting="limited to 9,000 requests/min",
)


def main() -> None:
    console = Console(record=True, width=80, file=io.StringIO(), force_terminal=True)
    console.print(COMMAND, highlight=False, markup=False)
    console.print(
        "output: the input's columns are channel (text), product (text), text (text)",
        highlight=False,
    )
    console.print(Bar(SNAPSHOT))
    svg = console.export_svg(title="penstock run", clear=False)
    Path(__file__).with_name("progress.svg").write_text(svg)


if __name__ == "__main__":
    main()
