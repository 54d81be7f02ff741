"""One attempt: a request goes out under a ticket, and what comes back is read and judged."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from penstock._core import Classifier, Limiter, Slab, monotonic_ns
from penstock.engine.attempt import Attempt
from penstock.engine.pacer import Draining, Pacer
from penstock.engine.prediction import TokenPredictor
from penstock.observe.redactor import RedactedHeaders, Redactor
from penstock.observe.slab_layout import C, H, request_cell
from penstock.providers.provider import Answer, BadResponse, Provider, Refusal
from penstock.providers.provider import Request as Ask
from penstock.providers.verdicts import BAD_RESPONSE, ERROR_IN_200, TRANSPORT
from penstock.transport.failure import Failure
from penstock.transport.transport import Request, Response, Transport

OK = 200
NO_MEMORY = "there was no memory to hold the answer"
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
    ) -> None:
        self._provider = provider
        self._transport = transport
        self.pacer = pacer
        self._limiter = limiter
        self.slab = slab
        self._base_url = base_url.rstrip("/")
        self._redactor = Redactor(())
        self._classifier = Classifier(provider.rules)
        self._predictor = TokenPredictor()
        self._headers: Mapping[str, str] = {}
        self.key_number = -1  # how often the headers were set anew
        # Few hold a connection while they wait for a ticket: else every slot would open one.
        self.gate = asyncio.Semaphore(GATE)
        self.in_flight = 0
        self.waiting = 0  # for a ticket

    def use_headers(self, headers: Mapping[str, str], redactor: Redactor) -> None:
        """Send these with every request from now on, and hide what they hold."""
        self._headers = headers
        self._redactor = redactor
        self.key_number += 1

    async def ask(self, ask: Ask) -> Attempt:
        """Send one request and judge what comes of it; never raises for what the server does."""
        predicted = self._predictor.predict(len(ask.body), ask.output_tokens)
        sending, key_number = Sending(self, *predicted), self.key_number
        request = Request(self._base_url + ask.path, self._headers, ask.body)
        try:
            await sending.approach()
            came = await self._transport.send(request, sending.ready)
            if isinstance(came, Failure):
                attempt = self._without_answer(came, sending.alone)
            else:
                attempt = self._judge(ask, came, sending.alone)
        except MemoryError:  # a matter of this answer alone: others may be smaller
            came = Failure("no_memory", NO_MEMORY, sending.sent_ns, monotonic_ns())
            attempt = self._without_answer(came, sending.alone)
        finally:
            sending.ended()
        attempt.key_number = key_number
        if came.sent_ns:
            latency_ns = came.done_ns - came.sent_ns
            attempt.latency_seconds = latency_ns / 1e9
            self.slab.record(H.REQUEST_US, latency_ns // 1000)
        self.slab.add(request_cell(attempt.status, attempt.verdict.error_class), 1)
        self._settle(ask, sending, attempt)
        return attempt

    def _without_answer(self, failure: Failure, alone: bool) -> Attempt:
        verdict = self._classifier.classify(TRANSPORT[failure.kind])
        refusal = Refusal(message=self._redactor.text(failure.detail))  # it may name a place
        return Attempt(verdict, 0, alone, refusal=refusal)

    def _judge(self, ask: Ask, response: Response, alone: bool) -> Attempt:
        """The verdict on a response: decided by its status, and by its body's code and type."""
        # Servers echo keys; before anything is cut out of the body, for a part of a key is one too.
        body = self._redactor.body(response.body)
        headers = RedactedHeaders(response.headers, self._redactor)
        status, said = self._read(ask, response.status, headers, body)
        answer, refusal = (said, None) if isinstance(said, Answer) else (None, said)
        code, kind = (refusal.code, refusal.type) if refusal else (None, None)
        return Attempt(
            self._classifier.classify(status, code, kind),
            response.status,
            alone,
            answer,
            refusal,
            body,
            self._provider.request_id(headers),
        )

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

    def _settle(self, ask: Ask, sending: Sending, attempt: Attempt) -> None:
        """Correct what the ticket charged: to the usage, or for a failure to what was sent."""
        if not sending.charged_ns:
            return
        input_used, output_used = (sending.input_tokens if sending.sent_ns else 0), 0
        answer = attempt.answer
        if answer is not None:
            output_used = sending.output_tokens
            if answer.input_tokens is not None:
                input_used = answer.input_tokens
            if answer.output_tokens is not None:
                output_used = answer.output_tokens
            self._predictor.learn(len(ask.body), input_used, output_used)
        self._limiter.settle(
            sending.charged_ns,
            monotonic_ns(),
            sending.input_tokens,
            sending.output_tokens,
            input_used,
            output_used,
        )


class Sending:
    """The moment between a connection and a request on it: the ticket, and what it was charged."""

    __slots__ = (
        "_asker",
        "_at_gate",
        "_wanted_ns",
        "alone",
        "charged_ns",
        "input_tokens",
        "output_tokens",
        "sent_ns",
    )

    def __init__(self, asker: Asker, input_tokens: int, output_tokens: int) -> None:
        self._asker = asker
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens
        self.charged_ns = 0
        self.sent_ns = 0
        self.alone = False
        self._at_gate = False
        self._wanted_ns = 0

    async def approach(self) -> None:
        """Wait to be among the few that may take a connection and wait with it for a ticket.

        Raises Draining once the pacer was stopped.
        """
        self._asker.waiting += 1
        self._wanted_ns = monotonic_ns()
        await self._asker.gate.acquire()
        self._at_gate = True
        if self._asker.pacer.stopped:  # a connection would be opened for nothing
            raise Draining

    async def ready(self) -> None:
        """Wait for the ticket; the transport writes the request when this returns."""
        asker = self._asker
        self.charged_ns = await asker.pacer.ticket(self.input_tokens, self.output_tokens)
        self.sent_ns = monotonic_ns()
        self._pass()
        asker.slab.add(C.LIMIT_WAIT_NS, self.sent_ns - self._wanted_ns)
        asker.slab.add(C.REQUESTS_SENT, 1)
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
            self._asker.gate.release()
