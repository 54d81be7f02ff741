"""What the rows came to: counts, tokens, cost and latency, summed over the copies that count.

Latency is kept as a histogram of logarithmic bins, so that ten million rows take a few kilobytes
and a quantile is within 1 % of the truth.
"""

from __future__ import annotations

import math
from collections import Counter

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from penstock.ledger.example import example
from penstock.ledger.written import unbought
from penstock.observe.report import Failure
from penstock.record import FAILED, SUCCEEDED

BIN_RATIO = 1.02  # a bin's middle is within 1 % of all that is in it
SHORTEST_SECONDS = 1e-6


class Figures(msgspec.Struct):
    """Sums over results; `add` takes each row's one winning copy, in ascending order of rows."""

    rows: int = 0
    succeeded: int = 0
    failed: int = 0
    failed_by_class: dict[str, Failure] = {}  # with the first row of each class as its example
    # Disjoint: uncached_input, cached_input, visible_output, reasoning.
    tokens: dict[str, int] = {}
    cost_usd: float | None = None  # None: known of no row
    attempts: int = 0
    sources: dict[str, int] = {}  # results that were not bought, by where they are from
    duplicates: int = 0  # copies beyond the first within a generation: bought again
    latency_bins: dict[int, int] = {}

    def add(self, results: pa.RecordBatch) -> None:
        """Counts a batch of the result schema."""
        self.rows += results.num_rows
        outcome = results["outcome"]
        self.succeeded += total(pc.equal(outcome, SUCCEEDED))
        self.attempts += total(results["attempts"])
        for source, count in unbought(results["source"]).items():
            self.sources[source] = self.sources.get(source, 0) + count
        self._add_failures(results.filter(pc.equal(outcome, FAILED)))
        self._add_tokens(results)
        self._add_cost(results["cost_usd"])
        self._add_latency(results["latency_seconds"])

    def quantile_seconds(self, share: float) -> float | None:
        """The latency that `share` (0..1) of the attempts that ended rows did not exceed."""
        wanted = share * sum(self.latency_bins.values())
        seen = 0
        for place in sorted(self.latency_bins):
            seen += self.latency_bins[place]
            if seen >= wanted:
                return float(BIN_RATIO ** (place + 0.5))
        return None

    def _add_failures(self, failures: pa.RecordBatch) -> None:
        self.failed += failures.num_rows
        classes = failures["error_class"].to_pylist()
        for name, count in Counter(classes).items():
            known = self.failed_by_class.get(name or "unknown")
            if known is None:
                known = example(failures, classes.index(name))
            self.failed_by_class[name or "unknown"] = msgspec.structs.replace(
                known, count=known.count + count
            )

    def _add_tokens(self, results: pa.RecordBatch) -> None:
        read, cached = total(results["input_tokens"]), total(results["cached_input_tokens"])
        written, reasoned = total(results["output_tokens"]), total(results["reasoning_tokens"])
        counts = {
            "uncached_input": read - cached,
            "cached_input": cached,
            "visible_output": written - reasoned,
            "reasoning": reasoned,
        }
        for kind, count in counts.items():
            self.tokens[kind] = self.tokens.get(kind, 0) + count

    def _add_cost(self, costs: pa.Array) -> None:
        if costs.null_count < len(costs):
            self.cost_usd = (self.cost_usd or 0.0) + float(pc.sum(costs).as_py())

    def _add_latency(self, seconds: pa.Array) -> None:
        known = pc.max_element_wise(seconds.drop_null(), SHORTEST_SECONDS)
        places = pc.floor(pc.divide(pc.ln(known), math.log(BIN_RATIO)))
        for found in pc.value_counts(places).to_pylist():
            place = int(found["values"])
            self.latency_bins[place] = self.latency_bins.get(place, 0) + found["counts"]


def total(column: pa.Array) -> int:
    """The sum of a column; of truth values, how many are true."""
    return pc.sum(column).as_py() or 0
