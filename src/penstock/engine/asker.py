"""One attempt: a request goes out under a ticket, and what comes back is read and judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from penstock._core import (
    Classifier,
    Gate,
    Sending,
    Slab,
    TokenPredictor,
    Traffic,
    monotonic_ns,
)
from penstock.addresses import url_of
from penstock.engine.attempt import Attempt
from penstock.engine.gate import enter
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
CELLS = (C.LIMIT_WAIT_NS, C.REQUESTS_SENT, request_cell(OK, ""), H.REQUEST_US)
GATE = 16  # enough to open connections at a good rate, few enough to leave idle


class Asker:
    """Sends the requests of a worker to its endpoint."""

    def __init__(
        self,
        provider: Provider,
        transport: Transport,
        pacer: Pacer,
        slab: Slab,
        base_url: str,
        purse: Purse | None = None,
    ) -> None:
        self._provider = provider
        self._transport = transport
        self.pacer = pacer
        # Few hold a connection while they wait for a ticket: else every slot would open one.
        self.traffic = Traffic(
            Gate(GATE), pacer.tickets, slab, TokenPredictor(), CELLS, monotonic_ns, self._wait
        )
        self.purse = purse  # of a job that has a price
        self._base_url = base_url
        self._urls: dict[str, str] = {}  # by path; a job has few
        self._redactor = Redactor(())
        self._classifier = Classifier(provider.rules)
        self._succeeded = self._classifier.classify(OK)
        self._headers: Mapping[str, str] = {}
        self.key_number = -1  # how often the headers were set anew
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
        url, key_number = self._urls.get(ask.path) or self._url_of(ask.path), self.key_number
        request = Request(url, self._headers, ask.body)
        weight_bytes = ask.weight_bytes or len(ask.body)
        sending = Sending(self.traffic, weight_bytes, ask.output_tokens)
        if (purse := self.purse) is not None:
            sending.pay(purse, purse.predict(sending.input_tokens, sending.output_tokens))
            if not purse.hold(sending.held_pusd):
                await self._wait_for(purse, sending)
        try:
            if not sending.enter():
                await self._approach(sending)
            came = await self._transport.send(request, sending.ready)
            if isinstance(came, Response):
                attempt = self._judge(ask, came, sending.alone, key_number)
            else:
                attempt = self._without_answer(came, sending.alone, key_number)
        except MemoryError:  # a matter of this answer alone: others may be smaller
            came = Failure("no_memory", NO_MEMORY, sending.sent_ns, monotonic_ns())
            attempt = self._without_answer(came, sending.alone, key_number)
        except BaseException:
            if purse is not None:
                was_sent = sending.sent_ns != 0
                purse.settle(sending.held_pusd, None, was_sent=was_sent, in_doubt=was_sent)
            raise
        finally:
            sending.ended()
        if purse is not None:
            await self._pay(purse, sending, attempt)
        if (answer := attempt.answer) is None:
            cell = request_cell(attempt.status, attempt.verdict.error_class)
            sending.unanswered(cell, came.sent_ns, came.done_ns)
        else:
            sending.answered(came.sent_ns, came.done_ns, answer.input_tokens, answer.output_tokens)
        return attempt

    async def _wait_for(self, purse: Purse, sending: Sending) -> None:
        """Wait for money; who does has a place here, and leaves it where none comes."""
        try:
            await purse.wait(sending.held_pusd)
        except BaseException:
            sending.ended()
            raise

    async def _approach(self, sending: Sending) -> None:
        """Wait to be among the few that may take a connection and wait with it for a ticket.

        Raises Draining once the pacer was stopped.
        """
        await enter(self.traffic.gate)
        sending.entered()
        if self.pacer.stopped:  # a connection would be opened for nothing
            raise Draining

    async def _wait(self, sending: Sending) -> None:
        """Wait for a ticket; then the request goes out."""
        charged_ns = await self.pacer.ticket(sending.input_tokens, sending.output_tokens)
        sending.go(charged_ns, monotonic_ns())

    def _url_of(self, path: str) -> str:
        url = self._urls[path] = url_of(self._base_url, path)
        return url

    def _without_answer(self, failure: Failure, alone: bool, key_number: int) -> Attempt:
        verdict = self._classifier.classify(TRANSPORT[failure.kind])
        refusal = Refusal(message=self._redactor.text(failure.detail))  # it may name a place
        took_seconds = (failure.done_ns - failure.sent_ns) / 1e9 if failure.sent_ns else None
        return Attempt(
            verdict, 0, alone, key_number, failure.sent_ns, took_seconds, refusal=refusal
        )

    def _judge(self, ask: Ask, response: Response, alone: bool, key_number: int) -> Attempt:
        """The verdict on a response: decided by its status, and by its body's code and type."""
        # Servers echo keys; before anything is cut out of the body, for a part of a key is one too.
        body, headers = self._redactor.response(response.body, response.headers)
        request_id = self._provider.request_id(headers)
        if self.looks_at_limits:
            self._look_at_limits(headers)
        status, answer, refusal = response.status, None, None
        try:
            said = self._read(ask, status, headers, body)
        except BadResponse as error:
            refusal = Refusal(message=str(error))
            verdict = self._classifier.classify(BAD_RESPONSE)
        else:
            if isinstance(said, Answer):
                verdict, answer = self._succeeded, said
            else:
                refusal = said
                number = ERROR_IN_200 if 200 <= status < 300 else status
                verdict = self._classifier.classify(number, said.code, said.type)
        return Attempt(
            verdict,
            status,
            alone,
            key_number,
            response.sent_ns,
            (response.done_ns - response.sent_ns) / 1e9,
            body,
            request_id,
            answer,
            refusal,
        )

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
    ) -> Answer | Refusal:
        """What a response says; raises BadResponse."""
        if 200 <= status < 300:
            return self._provider.answer(ask.path, body)
        return self._provider.refusal(status, headers, body)

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
