"""How the records of one request leave a worker: each with its vector, and its part of the rest.

Tokens and dollars are shared out by what was predicted of each text, in whole numbers whose sum is
what the request took. Time, names and the number of attempts are those of the request.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from penstock.engine.attempt import Attempt
from penstock.engine.ending import Ending
from penstock.engine.group import Group
from penstock.engine.grouping import shares
from penstock.engine.pending import Pending
from penstock.engine.results import TOKENS
from penstock.providers.embedder import Embeddings
from penstock.providers.provider import Answer


class GroupedEnding(Ending):
    """Where the records end of a worker that asks for vectors."""

    def after_attempt(self, pending: Pending, attempt: Attempt, error_class: str) -> None:
        """See Ending; all records of a request that was answered end."""
        answer = attempt.answer
        if not isinstance(pending, Group) or not isinstance(answer, Embeddings):
            super().after_attempt(pending, attempt, error_class)
            return
        members, weights = pending.members, pending.weights()
        pending.share_cost(weights)
        for member, own in zip(members, parts_of(answer, weights), strict=True):
            member.attempts, member.lane = pending.attempts, pending.lane
            alone = msgspec.structs.replace(attempt, answer=own, body=None)
            super().after_attempt(member, alone, error_class)


def parts_of(answer: Embeddings, weights: Sequence[int]) -> list[Answer]:
    """The answer of each record."""
    counted = {name: total for name in TOKENS if (total := getattr(answer, name)) is not None}
    parts = [Answer(output=vector, model=answer.model) for vector in answer.vectors]
    for name, total in counted.items():
        for part, own in zip(parts, shares(total, weights), strict=True):
            setattr(part, name, own)
    return parts
