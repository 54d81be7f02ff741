"""A worker's money: what its requests may cost, what they do cost, and what is left of its quota.

Without a budget it only counts. With one, a request needs its predicted cost to be free in the
quota that the supervisor granted; where it is not, it waits in a line until something is settled
for less than was predicted, or more is granted. What is sent and not settled is in the slab, so
that it counts as spent should this process die.

Of what was sent and came to no readable answer, nobody knows whether it is billed: it counts as
spent, at what was predicted, but for no record. A refusal is free.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from penstock._core import Slab, monotonic_ns
from penstock.engine.messages import Funds, PriceOf
from penstock.engine.pacer import Draining
from penstock.engine.rates import Rates, cost_pusd
from penstock.observe.slab_layout import C
from penstock.providers.provider import Answer

OFTEN_NS: Final = 250_000_000  # asked again so soon, a worker asks for twice as much
SELDOM_NS: Final = 1_000_000_000  # and for half as much where it was not needed for so long
SETTLED: Final = (C.SPENT_PUSD, C.OPEN_PUSD)  # in this order: a death in between counts it twice


class Waiter(NamedTuple):
    """A request that waits for dollars."""

    amount: int
    future: asyncio.Future[None]


class Purse:
    """One for each worker of a job that has a price; all amounts are picodollars."""

    def __init__(
        self,
        slab: Slab,
        model: str | None,
        rates: Mapping[str, Rates | None],
        usual: Rates | None,
        *,
        slots: int,
        budgeted: bool,
        say: Callable[[Funds | PriceOf], None],
    ) -> None:
        self._slab = slab
        self._model = model
        self._rates = dict(rates)  # by the names that answers report
        self._usual = usual  # of what is asked for
        self._slots = slots
        self._budgeted = budgeted
        self._say = say
        self._learning: dict[str, asyncio.Future[None]] = {}
        self._line: deque[Waiter] = deque()
        self._free = 0
        self._least = 0  # free, below which more is asked for
        self._target = 0
        self._wanted = 0  # when dollars were last asked for
        self._was_filled = False  # whether all that was wanted was granted
        self._asked = self._asked_in_need = self._is_poor = False
        self._asked_ns = 0
        self._needed = 0  # when dollars were last asked for, or given back
        self.stopped = False

    # --- prices -----------------------------------------------------------------------------------

    def predict(self, input_tokens: int, output_tokens: int) -> int:
        """What a request will cost; 0 while that is not known."""
        if self._usual is None:
            return 0
        return cost_pusd(self._usual, input_tokens, 0, 0, output_tokens, 0)

    def knows(self, answer: Answer) -> bool:
        """Whether the price of an answer's model is known, or known not to be."""
        model = answer.model or self._model
        return model is None or model in self._rates or self.stopped

    async def learn(self, answer: Answer) -> None:
        """Find out the price of an answer's model."""
        model = answer.model or self._model
        if model is None:
            return
        if model not in self._learning:
            self._learning[model] = asyncio.get_running_loop().create_future()
            self._say(PriceOf(model))
        await asyncio.shield(self._learning[model])

    def learned(self, model: str, rates: Rates | None) -> None:
        """The supervisor says what a model costs; None: nobody knows."""
        self._rates[model] = rates
        self._usual = self._usual or rates
        if (waiting := self._learning.pop(model, None)) is not None:
            waiting.set_result(None)

    def cost(self, answer: Answer) -> int | None:
        """What an answer cost; None where its usage or the price is not known."""
        rates = self._rates.get(answer.model or self._model or "") or self._usual
        read, written = answer.input_tokens, answer.output_tokens
        if rates is None or (read is None and written is None):
            return None
        return cost_pusd(
            rates,
            read or 0,
            answer.cached_input_tokens or 0,
            answer.cache_write_tokens or 0,
            written or 0,
            answer.reasoning_tokens or 0,
        )

    @property
    def short(self) -> bool:
        """Whether a request waits for dollars."""
        return bool(self._line)

    # --- a request's way --------------------------------------------------------------------------

    def hold(self, amount: int) -> bool:
        """Put `amount` aside, if the quota has it and nobody waits."""
        if not self._budgeted:
            return True
        if self._line or amount > self._free or self.stopped:
            return False
        self._free -= amount
        if self._free < self._least and not self._asked:
            self._ask(0, amount)
        return True

    async def wait(self, amount: int) -> None:
        """Put `amount` aside as soon as the quota has it. Raises Draining once stopped."""
        if self.stopped:
            raise Draining
        waiter = Waiter(amount, asyncio.get_running_loop().create_future())
        self._line.append(waiter)
        self._look_at_line()
        try:
            await waiter.future
        except asyncio.CancelledError:
            if waiter in self._line:
                self._line.remove(waiter)
            elif not waiter.future.cancelled():
                self._free += amount
            raise

    def sent(self, held: int) -> None:
        """A request goes out, for which `held` was put aside."""
        self._slab.add(C.OPEN_PUSD, held)

    def settle(
        self, held: int, answer: Answer | None, *, was_sent: bool, in_doubt: bool
    ) -> int | None:
        """A request ended; returns what its answer cost, where there is one that says so.

        `in_doubt`: it was sent, and what came does not tell whether it is billed.
        """
        cost = None if answer is None else self.cost(answer)
        used = cost or 0
        if cost is None and (in_doubt or answer is not None):
            used = held
            self._slab.add(C.LOST_PUSD, used)
        if was_sent:
            self._slab.add_each(SETTLED, (used, -held))
        if self._budgeted:
            self._free += held - used
            self._look_at_line()
        return cost

    # --- the quota --------------------------------------------------------------------------------

    def funded(self, amount: int) -> None:
        """The supervisor granted more, or, by 0, has nothing to grant for now."""
        self._asked = self._asked_in_need = False
        self._is_poor = not amount
        self._was_filled = amount >= self._wanted
        self._free += amount
        self._look_at_line()

    def rest(self) -> None:
        """Give back what a worker without any record does not need."""
        if self._budgeted and self._free and not self._line:
            self._give_back(0)

    def stop(self) -> None:
        """Let nobody wait any more, neither for dollars nor for prices."""
        self.stopped = True
        while self._line:
            waiter = self._line.popleft()
            if not waiter.future.done():
                waiter.future.set_exception(Draining())
        for model in list(self._learning):
            self._learning.pop(model).set_result(None)

    def _look_at_line(self) -> None:
        """Let go of all whose dollars are there; ask for more where they are not."""
        line = self._line
        while line and (line[0].future.done() or line[0].amount <= self._free):
            waiter = line.popleft()
            if not waiter.future.done():
                self._free -= waiter.amount
                waiter.future.set_result(None)
        if not line:
            return
        if self._is_poor:
            if self._free or self._needed != line[0].amount:
                self._give_back(line[0].amount)
        elif not self._asked_in_need:
            self._ask(line[0].amount, line[0].amount)

    def _ask(self, needs: int, amount: int) -> None:
        """Ask for more; `amount` is what a request is predicted to cost now."""
        now_ns = monotonic_ns()
        since_ns, self._asked_ns = now_ns - self._asked_ns, now_ns
        if since_ns < OFTEN_NS and self._was_filled:
            self._target *= 2
        elif since_ns > SELDOM_NS:
            self._target //= 2
        self._target = max(self._target, amount * self._slots)
        self._least = self._target // 2
        self._asked, self._asked_in_need = True, bool(needs)
        overdrawn, self._free = min(self._free, 0), max(self._free, 0)
        needs = self._needed = max(0, needs - self._free)
        self._wanted = max(needs, self._target - self._free)
        self._say(Funds(needs, self._wanted, overdrawn))

    def _give_back(self, needs: int) -> None:
        free, self._free, self._needed = self._free, 0, needs
        self._say(Funds(needs, needs, free))
