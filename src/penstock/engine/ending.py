"""How a record leaves a worker: counted, and committed as a result or a dead letter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from penstock._core import Slab, disjoint_tokens, monotonic_ns
from penstock.engine.attempt import Attempt
from penstock.engine.clock import wall_us
from penstock.engine.committer import Committer
from penstock.engine.pending import Pending
from penstock.engine.results import dead_letter, result_of, taken
from penstock.job import KeepResponse
from penstock.ledger.mark import ShardMark
from penstock.observe.slab_layout import C
from penstock.providers.provider import Answer
from penstock.record import REUSED, SUCCEEDED, Record, Result

TOKENS: Final = (
    C.UNCACHED_INPUT_TOKENS,
    C.CACHED_INPUT_TOKENS,
    C.VISIBLE_OUTPUT_TOKENS,
    C.REASONING_TOKENS,
)
# To look a member of an enum up takes longer than to use it.
RECORDS_SUCCEEDED: Final = C.RECORDS_SUCCEEDED
RECORDS_FAILED: Final = C.RECORDS_FAILED


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

    @property
    def congested(self) -> bool:
        """Whether the disk is behind."""
        return self._committer.congested

    def after_attempt(self, pending: Pending, attempt: Attempt, error_class: str) -> None:
        """The record ended with this attempt; `error_class` is empty where it succeeded."""
        # By position, since names are looked up for each call.
        result = result_of(
            pending,
            attempt,
            error_class,
            self._endpoints[pending.lane],
            self._generation,
            monotonic_ns(),
            wall_us(),
            self._keep,
        )
        self._count(attempt.answer, error_class)
        if pending.cost_pusd:
            self._slab.add(C.UNTOLD_PUSD, pending.cost_pusd)
        self._committer.add(result, pending.shard)

    def unasked(self, record: Record, shard: ShardMark, error_class: str, message: str) -> None:
        """The record ended without a request."""
        letter = dead_letter(
            record, error_class, message, generation=self._generation, finished_at=wall_us()
        )
        self._count(None, error_class)
        self._committer.add(letter, shard)

    def spent(self, answer: Answer) -> None:
        """An answer was paid for that ends nothing: its record is asked again."""
        self._slab.add_each(TOKENS, tokens_of(answer))

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
        self._count(None, "" if result.outcome == SUCCEEDED else result.error_class or "unknown")
        self._slab.add(C.RECORDS_REUSED if source == REUSED else C.RECORDS_DUPLICATE, 1)
        self._committer.add(result, shard)

    def _count(self, answer: Answer | None, error_class: str) -> None:
        self._slab.add(RECORDS_FAILED if error_class else RECORDS_SUCCEEDED, 1)
        if answer is not None:
            self._slab.add_each(TOKENS, tokens_of(answer))


def tokens_of(answer: Answer) -> tuple[int, int, int, int]:
    """An answer's tokens, in the order of TOKENS."""
    return disjoint_tokens(
        answer.input_tokens,
        answer.cached_input_tokens,
        answer.output_tokens,
        answer.reasoning_tokens,
    )
