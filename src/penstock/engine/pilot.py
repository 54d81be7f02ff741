"""What the records that a run has done tell of those that are left: a pilot, measured.

Only some of them are looked at, those that were written first; which are enough for an interval of
a few percent, whatever the run's size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from penstock.engine.forecast import Interval, Measured, mean, ratio
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.segment_reader import SegmentReader
from penstock.providers.provider import Provider, UnrenderableRecord
from penstock.record import BOUGHT, SUCCEEDED, Record
from penstock.sources.inputs import Inputs
from penstock.sources.record import records_of
from penstock.sources.spread import SHARD_ROWS

Attach = Callable[[Record], Record]

MOST_RESULTS: Final = 5000
MOST_RENDERED: Final = 500  # of them, those whose requests are made again to see what was predicted

COLUMNS: Final = (
    *("row", "outcome", "source", "generation", "attempts"),
    *("input_tokens", "output_tokens", "latency_seconds", "cost_usd"),
)


def first_results(directory: RunDirectory, run_id: str) -> list[dict[str, Any]]:
    """Some answers of a run that were bought in its own words, as it wrote them."""
    found: list[dict[str, Any]] = []
    for name in directory.segment_sizes():
        for one in SegmentReader(directory.segment_path(name), run_id):
            if one.mark.generation:
                continue
            rows = one.batch.select(COLUMNS).to_pylist()
            found += [row for row in rows if (row["outcome"], row["source"]) == (SUCCEEDED, BOUGHT)]
            if len(found) >= MOST_RESULTS:
                return found
    return found


def measure(
    results: Sequence[Mapping[str, Any]],
    inputs: Inputs,
    provider: Provider,
    attach: Attach | None = None,
) -> Measured | None:
    """What results tell; None where there are none. `attach` gives records images and files."""
    if not results:
        return None
    counts = [one["output_tokens"] for one in results if one["output_tokens"] is not None]
    costs = [one["cost_usd"] for one in results if one["cost_usd"] is not None]
    took = [one["latency_seconds"] for one in results if one["latency_seconds"] is not None]
    return Measured(
        records=len(results),
        input_ratio=input_ratio(results, inputs, provider, attach),
        output_tokens=mean(counts),
        latency_seconds=mean(took) if took else None,
        attempts=sum(one["attempts"] for one in results) / len(results),
        cost_usd=mean(costs) if costs else None,
    )


def input_ratio(
    results: Sequence[Mapping[str, Any]],
    inputs: Inputs,
    provider: Provider,
    attach: Attach | None,
) -> Interval:
    """The input tokens of some results, by what is predicted for their requests."""
    known = {one["row"]: one["input_tokens"] for one in results if one["input_tokens"] is not None}
    rows = sorted(known)[:MOST_RENDERED]
    predicted = dict(predictions(rows, inputs, provider, attach))
    both = [row for row in rows if row in predicted]
    return ratio([known[row] for row in both], [predicted[row] for row in both])


def predictions(
    rows: Sequence[int], inputs: Inputs, provider: Provider, attach: Attach | None
) -> list[tuple[int, int]]:
    """Rows, and the input tokens that are predicted for their requests."""
    found: list[tuple[int, int]] = []
    wanted = frozenset(rows)
    for shard in inputs.shards(rows=SHARD_ROWS) if rows else ():
        for record in records_of(shard, None, wanted):
            with suppress(UnrenderableRecord):
                whole = record if attach is None else attach(record)
                if whole.problem is None:
                    found.append((record.row, provider.request(whole).input_tokens))
        if shard.next.row > rows[-1]:
            break
    return found
