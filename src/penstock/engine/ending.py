"""How a record leaves a worker: counted, and committed as a result or a dead letter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from penstock._core import EndCounter, Slab, monotonic_ns, wall_us
from penstock.engine.attempt import Attempt
from penstock.engine.committer import Committer
from penstock.engine.pending import Pending
from penstock.engine.results import dead_letter, result_maker, taken
from penstock.job import KeepResponse
from penstock.ledger.mark import ShardMark
from penstock.observe.slab_layout import C
from penstock.providers.provider import Answer
from penstock.record import REUSED, SUCCEEDED, Record, Result

# Records by how they ended, and tokens in parts that have nothing in common.
CELLS: Final = (
    C.RECORDS_SUCCEEDED,
    C.RECORDS_FAILED,
    C.UNCACHED_INPUT_TOKENS,
    C.CACHED_INPUT_TOKENS,
    C.VISIBLE_OUTPUT_TOKENS,
    C.REASONING_TOKENS,
)


class Ending:
    """Where a worker's records end."""

    def __init__(
        self,
        committer: Committer,
        slab: Slab,
        endpoints: Sequence[str],
        generation: int,
        keep: KeepResponse,
    ) -> None:
        self._committer = committer
        self._slab = slab
        self._endpoints = endpoints
        self._generation = generation
        self._keep = keep
        self._make = result_maker(generation, keep).of
        self._counter = EndCounter(slab, Answer, CELLS)

    @property
    def congested(self) -> bool:
        """Whether the disk is behind."""
        return self._committer.congested

    def after_attempt(self, pending: Pending, attempt: Attempt, error_class: str) -> None:
        """The record ended with this attempt; `error_class` is empty where it succeeded."""
        endpoint = self._endpoints[pending.lane]
        result = self._make(pending, attempt, error_class, endpoint, monotonic_ns(), wall_us())
        self._counter.ended(attempt.answer, bool(error_class))
        if pending.cost_pusd:
            self._slab.add(C.UNTOLD_PUSD, pending.cost_pusd)
        self._committer.add(result, pending.shard)

    def unasked(self, record: Record, shard: ShardMark, error_class: str, message: str) -> None:
        """The record ended without a request."""
        letter = dead_letter(
            record, error_class, message, generation=self._generation, finished_at=wall_us()
        )
        self._counter.ended(None, True)
        self._committer.add(letter, shard)

    def spent(self, answer: Answer) -> None:
        """An answer was paid for that ends nothing: its record is asked again."""
        self._counter.spent(answer)

    def taken(self, record: Record, shard: ShardMark, found: Result, source: str) -> None:
        """The record ended with a result that is known already."""
        result = taken(
            record,
            found,
            source,
            generation=self._generation,
            finished_at=wall_us(),
            keep=self._keep,
        )
        self._counter.ended(None, result.outcome != SUCCEEDED)
        self._slab.add(C.RECORDS_REUSED if source == REUSED else C.RECORDS_DUPLICATE, 1)
        self._committer.add(result, shard)
