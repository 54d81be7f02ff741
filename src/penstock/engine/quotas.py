"""Who may spend how much of a budget: a pure decider.

The supervisor grants dollars to its workers before they spend them. What a worker was granted and
has not given back counts as spent, be it in flight, unused or lost with its death; what it used
beyond that, because an answer cost more than was predicted, counts too. So whatever dies, what is
exposed is never less than what is spent, and no grant is made that would take it above the budget.

All amounts are picodollars. A worker's account, what it spent and what it has in flight, is read
from its slab.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

# Less than this part of what is wanted ahead of a need is not given: each grant costs a write.
WORTHWHILE: Final = 4


class Used(NamedTuple):
    """What a worker's slab says: settled, and sent but not settled."""

    spent: int = 0
    open: int = 0


class Ask(msgspec.Struct):
    """What a worker wants."""

    needs: int  # so that it can go on at all; 0 where it still can
    wants: int
    is_told: bool = False  # that there is too little


class Quotas:
    """The budget of a run, and what of it is granted; `spent` is by earlier epochs."""

    def __init__(self, budget: int, spent: int) -> None:
        self._budget = budget
        self._gone = spent  # and by workers that are buried
        self._granted: dict[int, int] = {}
        self._asks: dict[int, Ask] = {}

    def tune(self, budget: int) -> None:
        """Another budget; what is granted beyond a lower one stays granted."""
        self._budget = budget

    def join(self, worker: int) -> None:
        """A worker started."""
        self._granted[worker] = 0

    def ask(self, worker: int, needs: int, wants: int, returns: int) -> None:
        """A worker wants more, or gives back; `returns` below 0 is what it overdrew."""
        if worker not in self._granted:
            return
        self._granted[worker] -= returns
        if wants:
            self._asks[worker] = Ask(needs, wants)

    def bury(self, worker: int, used: Used) -> None:
        """A worker is dead: what it had in flight is spent, what it had not used is free again."""
        if self._granted.pop(worker, None) is not None:
            self._gone += used.spent + used.open
        self._asks.pop(worker, None)

    def exposed(self, used: Mapping[int, Used]) -> int:
        """What may be spent at most, if every worker dies before it asks again."""
        return self._gone + sum(
            max(granted, sum(used.get(worker, Used()))) for worker, granted in self._granted.items()
        )

    def grants(self, used: Mapping[int, Used]) -> list[tuple[int, int]]:
        """What to grant now, to whom; 0 tells a worker that there is too little for it.

        Nobody gets more than a fair part of what is free beyond what it needs, so that towards the
        end of a budget no worker sits on what another could use.
        """
        free, granted = self._budget - self.exposed(used), []
        for worker, ask in list(self._asks.items()):
            fair = free // (2 * len(self._granted))
            amount = min(ask.wants, max(ask.needs, fair))
            if not ask.needs and fair < ask.wants // WORTHWHILE:
                del self._asks[worker]  # it asks again once it is in need
            elif 0 < amount <= free:
                del self._asks[worker]
                self._granted[worker] += amount
                free -= amount
                granted.append((worker, amount))
            elif ask.needs and not ask.is_told:
                ask.is_told = True
                granted.append((worker, 0))
        return granted

    def shortest(self) -> int:
        """The least that any worker needs which was told that there is too little; else 0."""
        return min((ask.needs for ask in self._asks.values() if ask.is_told), default=0)

    def is_over(self, used: Mapping[int, Used]) -> bool:
        """Whether nothing can be bought any more: all is spent that anybody was granted.

        While something is in flight or unused, it may turn out cheaper, or be given back.
        """
        needed, exposed = self.shortest(), self.exposed(used)
        spent = self._gone + sum(used.get(worker, Used()).spent for worker in self._granted)
        return bool(needed) and needed > self._budget - exposed and exposed == spent
