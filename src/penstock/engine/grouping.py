"""Many records in one request, for vectors: how many fit, who pays what, and whom to doubt. Pure.

A request must be one that its provider takes, and that the limits can ever let through; what it
took is told of its records as if each had been asked alone, so that all sums stay exact; and a
request that is refused is halved until the record is found that it is refused for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeVar

from penstock.endpoints import endpoints_of
from penstock.job import Job

DEFAULT_ROWS: Final = 256
MOST_BYTES: Final = 4 << 20  # of the texts of one request

# A request for so large a part of a minute's tokens would have the bucket hold back as many, and
# the run be slower by that part.
SHARE_OF_LIMIT: Final = 20

# Requests that are answered before more records are tried in one, at first and at last.
TRIED_AFTER: Final = 32
LONGEST_TRIED_AFTER: Final = 4096


class Most(NamedTuple):
    """What one request may hold."""

    rows: int
    tokens: int


# OpenAI: https://platform.openai.com/docs/api-reference/embeddings/create. Gemini answers to more:
# "BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch"; of tokens in all
# it says nothing, but 2048 a text.
PROVIDERS: Final = {
    "openai": Most(2048, 300_000),
    "azure": Most(2048, 300_000),
    "gemini": Most(100, 100 * 2048),
}


def most_of(job: Job) -> Most:
    """What one request of a job may hold; of a job that makes no vectors, one record."""
    if not job.embeds:
        return Most(1, 0)
    asked = job.rows_per_request or DEFAULT_ROWS
    known = [
        PROVIDERS[one.job.provider] for one in endpoints_of(job) if one.job.provider in PROVIDERS
    ]
    limits = [limit for one in endpoints_of(job) if (limit := token_limit(one.job))]
    return Most(
        min([asked, *(one.rows for one in known)]),
        min([*(one.tokens for one in known), *(within_limit(limit) for limit in limits)]),
    )


def token_limit(job: Job) -> int:
    """The smallest limit of a job on the tokens of its requests; 0 for none."""
    return min(filter(None, (job.tpm, job.tpd, job.input_tpm)), default=0)


def within_limit(limit: int) -> int:
    """The most tokens that one request should take of a limit."""
    return max(1, limit // SHARE_OF_LIMIT)


def rows_that_fit(most: Most, tokens_each: float) -> float:
    """How many usual records a request holds."""
    return max(1.0, min(most.rows, most.tokens / tokens_each if tokens_each else most.rows))


def largest_request(most: Most, tokens: Sequence[int]) -> int:
    """About the largest number of tokens of a request for records such as those sampled."""
    if not tokens:
        return 1
    usual = sum(tokens) / len(tokens) * most.rows
    return max(1, max(tokens), min(most.tokens, int(usual)))


def shares(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in whole parts by weight, whose sum it is: the largest remainders get what is left.

    Nobody is more than one away from the exact share; without any weight all weigh the same.
    """
    whole = sum(weights)
    if not whole:
        weights, whole = [1] * len(weights), len(weights)
    parts = [total * weight // whole for weight in weights]
    left = total - sum(parts)
    by_remainder = sorted(
        range(len(weights)), key=lambda place: (-(total * weights[place] % whole), place)
    )
    for place in by_remainder[:left]:
        parts[place] += 1
    return parts


class RowsAtOnce:
    """How many records a request may have, where a server takes fewer than its like do.

    A request of too many is refused for no record of its own: both its halves are answered. Half as
    many are asked for from then on; twice as many are tried after a while, each time a longer one,
    for it may have been a matter of texts that are longer than usual.
    """

    def __init__(self, most: int) -> None:
        self.rows = most
        self._most = most
        self._answered = 0
        self._tried_after = TRIED_AFTER

    def answered(self, rows: int) -> None:
        """A request for so many was answered."""
        if rows < self.rows or self.rows == self._most:
            return
        self._answered += 1
        if self._answered >= self._tried_after:
            self.rows = min(self._most, self.rows * 2)
            self._answered = 0

    def too_many(self, rows: int) -> None:
        """So many are not too many, but twice as many were."""
        if rows < self.rows:
            self.rows = rows
            self._answered = 0
            self._tried_after = min(2 * self._tried_after, LONGEST_TRIED_AFTER)


T = TypeVar("T")


def halves(members: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
    """Two parts of several, the first one not the smaller."""
    middle = (len(members) + 1) // 2
    return members[:middle], members[middle:]
