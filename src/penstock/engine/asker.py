"""One attempt: a request goes out under a ticket, and what comes back is read and judged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from penstock._core import Classifier, Limiter, Slab, TokenPredictor, monotonic_ns
from penstock.addresses import url_of
from penstock.engine.attempt import Attempt
from penstock.engine.gate import Gate
from penstock.engine.pacer import Draining, Pacer
from penstock.engine.purse import Purse
from penstock.observe.redactor import Redactor
from penstock.observe.slab_layout import C, H, request_cell
from penstock.providers.provider import Answer, BadResponse, Provider, Refusal
from penstock.providers.provider import Request as Ask
from penstock.providers.rate_headers import RateLimit, rate_limits
from penstock.providers.verdicts import BAD_RESPONSE, ERROR_IN_200, TRANSPORT
from penstock.transport.failure import Failure
from penstock.transport.transport import Request, Response, Transport

OK = 200
NO_MEMORY = "there was no memory to hold the answer"
UNREADABLE = "bad_response"  # a class of verdicts
SENT = (C.LIMIT_WAIT_NS, C.REQUESTS_SENT)
REQUEST_US = H.REQUEST_US  # to look a member of an enum up takes longer than to use it
GATE = 16  # enough to open connections at a good rate, few enough to leave idle


class Asker:
    """Sends the requests of a worker to its endpoint."""

    def __init__(
        self,
        provider: Provider,
        transport: Transport,
        pacer: Pacer,
        limiter: Limiter,
        slab: Slab,
        base_url: str,
        purse: Purse | None = None,
    ) -> None:
        self._provider = provider
        self._transport = transport
        self.pacer = pacer
        self._limiter = limiter
        self.slab = slab
        self.purse = purse  # of a job that has a price
        self._base_url = base_url
        self._urls: dict[str, str] = {}  # by path; a job has few
        self._redactor = Redactor(())
        self._classifier = Classifier(provider.rules)
        self._succeeded = self._classifier.classify(OK)
        self.predictor = TokenPredictor()
        self._headers: Mapping[str, str] = {}
        self.key_number = -1  # how often the headers were set anew
        # Few hold a connection while they wait for a ticket: else every slot would open one.
        self.gate = Gate(GATE)
        self.in_flight = 0
        self.waiting = 0  # for a ticket, or for what they need before
        # What the lane's meter takes from here, a few times a second.
        self.answers = self.answers_ns = self.output_tokens = 0
        self.looks_at_limits = True  # in the next answer's headers
        self.on_limits: Callable[[Sequence[RateLimit]], None] | None = None
        self._named: tuple[tuple[str, int, int], ...] = ()

    def use_headers(self, headers: Mapping[str, str], redactor: Redactor) -> None:
        """Send these with every request from now on, and hide what they hold."""
        self._headers = headers
        self.key_number += 1
        self.hide(redactor)

    def hide(self, redactor: Redactor) -> None:
        """Hide what is secret by now, be it of this endpoint or of another."""
        self._redactor = redactor

    async def ask(self, ask: Ask) -> Attempt:
        """Send one request and judge what comes of it; never raises for what the server does."""
        weight_bytes = ask.weight_bytes or len(ask.body)
        tokens_in, tokens_out = self.predictor.predict(weight_bytes, ask.output_tokens)
        sending, key_number = Sending(self, tokens_in, tokens_out, monotonic_ns()), self.key_number
        url = self._urls.get(ask.path) or self._url_of(ask.path)
        request = Request(url, self._headers, ask.body)
        self.waiting += 1
        if (purse := self.purse) is not None:
            sending.held_pusd = purse.predict(tokens_in, tokens_out)
            if not purse.hold(sending.held_pusd):
                await self._wait_for(purse, sending.held_pusd)
        try:
            if not sending.enter():
                await sending.approach()
            came = await self._transport.send(request, sending.ready)
            if isinstance(came, Response):
                attempt = self._judge(ask, came, sending.alone)
            else:
                attempt = self._without_answer(came, sending.alone)
        except MemoryError:  # a matter of this answer alone: others may be smaller
            came = Failure("no_memory", NO_MEMORY, sending.sent_ns, monotonic_ns())
            attempt = self._without_answer(came, sending.alone)
        except BaseException:
            if purse is not None:
                was_sent = sending.sent_ns != 0
                purse.settle(sending.held_pusd, None, was_sent=was_sent, in_doubt=was_sent)
            raise
        finally:
            sending.ended()
        if purse is not None:
            await self._pay(purse, sending, attempt)
        attempt.key_number = key_number
        if came.sent_ns:
            attempt.sent_ns, took_ns = came.sent_ns, came.done_ns - came.sent_ns
            attempt.latency_seconds = took_ns / 1e9
            self.slab.record(REQUEST_US, took_ns // 1000)
            if attempt.answer is not None:
                self.answers += 1
                self.answers_ns += took_ns
        self.slab.add(request_cell(attempt.status, attempt.verdict.error_class), 1)
        if sending.charged_ns:
            self._settle(weight_bytes, sending, attempt.answer)
        return attempt

    async def _wait_for(self, purse: Purse, amount: int) -> None:
        """Wait for money; who does has a place here, and leaves it where none comes."""
        try:
            await purse.wait(amount)
        except BaseException:
            self.waiting -= 1
            raise

    def _url_of(self, path: str) -> str:
        url = self._urls[path] = url_of(self._base_url, path)
        return url

    def _without_answer(self, failure: Failure, alone: bool) -> Attempt:
        verdict = self._classifier.classify(TRANSPORT[failure.kind])
        refusal = Refusal(message=self._redactor.text(failure.detail))  # it may name a place
        return Attempt(verdict, 0, alone, refusal=refusal)

    def _judge(self, ask: Ask, response: Response, alone: bool) -> Attempt:
        """The verdict on a response: decided by its status, and by its body's code and type."""
        # Servers echo keys; before anything is cut out of the body, for a part of a key is one too.
        body = self._redactor.body(response.body)
        headers = self._redactor.headers(response.headers)
        request_id = self._provider.request_id(headers)
        if self.looks_at_limits:
            self._look_at_limits(headers)
        status, said = self._read(ask, response.status, headers, body)
        if isinstance(said, Answer):
            return Attempt(self._succeeded, response.status, alone, said, None, body, request_id)
        verdict = self._classifier.classify(status, said.code, said.type)
        return Attempt(verdict, response.status, alone, None, said, body, request_id)

    def _look_at_limits(self, headers: Mapping[str, str]) -> None:
        """Tell of the limits that a provider names, where they are not those of before."""
        self.looks_at_limits = False
        told = rate_limits(headers)
        named = tuple((one.counted, one.limit, one.window_seconds) for one in told)
        if named != self._named and named and self.on_limits is not None:
            self._named = named
            self.on_limits(told)

    def _read(
        self, ask: Ask, status: int, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Answer | Refusal]:
        """What a response says, and the number by which the verdict table knows it."""
        if not 200 <= status < 300:
            return status, self._provider.refusal(status, headers, body)
        try:
            said = self._provider.answer(ask.path, body)
        except BadResponse as error:
            return BAD_RESPONSE, Refusal(message=str(error))
        return (OK if isinstance(said, Answer) else ERROR_IN_200), said

    async def _pay(self, purse: Purse, sending: Sending, attempt: Attempt) -> None:
        """Settle what was put aside for an attempt against what it cost."""
        answer, was_sent = attempt.answer, sending.sent_ns != 0
        try:
            if answer is not None and not purse.knows(answer):
                await purse.learn(answer)
        finally:
            # Neither an answer that can't be read nor none at all says whether it is billed.
            unread = not attempt.status or attempt.verdict.error_class == UNREADABLE
            attempt.cost_pusd = purse.settle(
                sending.held_pusd, answer, was_sent=was_sent, in_doubt=was_sent and unread
            )

    def _settle(self, body_bytes: int, sending: Sending, answer: Answer | None) -> None:
        """Correct what the ticket charged: to the usage, or for a failure to what was sent."""
        input_used, output_used = (sending.input_tokens if sending.sent_ns else 0), 0
        if answer is not None:
            output_used = sending.output_tokens
            if answer.input_tokens is not None:
                input_used = answer.input_tokens
            if answer.output_tokens is not None:
                output_used = answer.output_tokens
            self.predictor.learn(body_bytes, input_used, output_used)
            self.output_tokens += output_used
        self._limiter.settle(
            sending.charged_ns,
            monotonic_ns(),
            sending.input_tokens,
            sending.output_tokens,
            input_used,
            output_used,
        )


class Sending(msgspec.Struct, gc=False, eq=False):
    """The moment between a connection and a request on it: the ticket, and what it was charged."""

    _asker: Asker
    input_tokens: int
    output_tokens: int
    _wanted_ns: int
    charged_ns: int = 0
    sent_ns: int = 0
    alone: bool = False
    _at_gate: bool = False
    held_pusd: int = 0  # put aside for it

    def enter(self) -> bool:
        """Be one of the few that may take a connection, if that needs no waiting."""
        asker = self._asker
        if asker.pacer.stopped or not asker.gate.enter():
            return False
        self._at_gate = True
        return True

    async def approach(self) -> None:
        """Wait to be among the few that may take a connection and wait with it for a ticket.

        Raises Draining once the pacer was stopped.
        """
        await self._asker.gate.wait()
        self._at_gate = True
        if self._asker.pacer.stopped:  # a connection would be opened for nothing
            raise Draining

    def ready(self) -> Awaitable[None] | None:
        """Take a ticket, and wait for it if need be; then the transport writes the request."""
        charged_ns = self._asker.pacer.take(self.input_tokens, self.output_tokens)
        if not charged_ns:
            return self._wait()
        self._go(charged_ns, charged_ns)
        return None

    async def _wait(self) -> None:
        charged_ns = await self._asker.pacer.ticket(self.input_tokens, self.output_tokens)
        self._go(charged_ns, monotonic_ns())

    def _go(self, charged_ns: int, sent_ns: int) -> None:
        """The request goes out now."""
        asker = self._asker
        self.charged_ns, self.sent_ns = charged_ns, sent_ns
        self._pass()
        asker.slab.add_each(SENT, (sent_ns - self._wanted_ns, 1))
        if asker.purse is not None:
            asker.purse.sent(self.held_pusd)
        self.alone = asker.in_flight == 0
        asker.in_flight += 1

    def ended(self) -> None:
        """The request is out no more, or never went out."""
        if self.sent_ns:
            self._asker.in_flight -= 1
        else:
            self._pass()

    def _pass(self) -> None:
        """Wait no more."""
        self._asker.waiting -= 1
        if self._at_gate:
            self._at_gate = False
            self._asker.gate.leave()
