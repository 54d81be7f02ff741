"""Records that are asked for by one request: the first of them, which stands for all in a worker.

What happens to the request is noted of the first: its attempts, its wait for a retry, where it was
asked. The others are with it, each with its own request, of which the one that is sent is made.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from penstock.engine.grouping import shares
from penstock.engine.pending import Pending


class Doubt(msgspec.Struct, gc=False, eq=False):
    """Whether a record was to blame for a refusal, or that there were too many."""

    rows: int  # of the larger half
    answered: int = 0  # halves


class Group(Pending, gc=False, eq=False):
    """A record that was leased and has not ended, and those that go with it.

    Once it is `formed` nobody is added: all of it saw the same attempts.
    """

    others: list[Group] = msgspec.field(default_factory=list)
    formed: bool = False
    doubt: Doubt | None = None  # where it is half of what was refused

    @property
    def members(self) -> list[Group]:
        return [self, *self.others]

    def weights(self) -> list[int]:
        """How much of what the request takes is each member's, by its text."""
        rest = [one.request.weight_bytes if one.request else 0 for one in self.others]
        whole = self.request.weight_bytes if self.request else 0
        return [whole - sum(rest), *rest]

    def share_cost(self, weights: Sequence[int]) -> None:
        """Write down what each member cost; until then the first one has it all."""
        if self.cost_pusd is not None:
            parts = shares(self.cost_pusd, weights)
            for member, part in zip(self.members, parts, strict=True):
                member.cost_pusd = part

    def forget_request(self) -> None:
        """Keep of each member's request its name alone, by which a later one is known, too."""
        for member in self.members:
            if member.request is not None and member.known_as is None:
                member.known_as = member.request.request_hash
            member.request = None


def part_of(whole: Group, members: Sequence[Group], doubt: Doubt | None) -> Group:
    """Some members of a group as one of their own, which has seen what the whole one has."""
    first = members[0]
    first.others, first.formed, first.doubt = list(members[1:]), True, doubt
    first.lane, first.first_ns = whole.lane, first.first_ns or whole.first_ns
    first.attempts, first.invalid = whole.attempts, whole.invalid
    first.failed_ns, first.failed_at = whole.failed_ns, whole.failed_at
    costs = [one.cost_pusd for one in members if one.cost_pusd is not None]
    first.cost_pusd = sum(costs) if costs else None
    for other in first.others:
        other.cost_pusd = None
    return first
