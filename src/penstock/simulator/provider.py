"""The simulated provider without its sockets: a request and the time go in, a script comes out.

The order of judgement is a real provider's: path, key, quota, the body's sense, model, limits. Only
what passes all of these is drawn for faults, so that a fault never depends on who else was asking.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from penstock.simulator import embeddings, refusals
from penstock.simulator.account import Account
from penstock.simulator.answers import make_reply
from penstock.simulator.apis import Api, Found, find, misplaced, route, voice_at
from penstock.simulator.draws import Length, attempt_drawer, draw_length, fingerprint, is_rejected
from penstock.simulator.events import paced
from penstock.simulator.faults import SPOILERS
from penstock.simulator.limits import Limits
from penstock.simulator.line import Line
from penstock.simulator.questions import Question, read_question
from penstock.simulator.refusals import Refusal
from penstock.simulator.script import EVENTS_TYPE, Answer, Script, honest_script
from penstock.simulator.settings import Settings
from penstock.simulator.stats import Stats
from penstock.simulator.voices import ANTHROPIC, Voice, refusal_answer
from penstock.simulator.wire import Request

MISSING_MODEL = "does-not-exist"
DEFAULT_MODELS = ("simulated-chat", "simulated-embedding")
NO_OUTPUT = Length(0, "stop")


class Exchange(NamedTuple):
    """A request's script, and what the books need once it has been played.

    `route` is None for the simulator's own pages, which are in no statistic; `key` is None for
    requests that were not admitted.
    """

    script: Script
    route: str | None = None
    key: int | None = None
    text: str = ""
    prompt_tokens: int = 0
    output_tokens: int = 0


class Provider:
    """All of the provider's state. No method blocks, waits or looks at a clock.

    `started_at` is the wall clock, in seconds, of the moment when `now_ns` was 0.
    """

    def __init__(self, settings: Settings, started_at: float) -> None:
        self.stats = Stats()
        self._settings = settings
        self._started_at = started_at
        self._draw_attempt = attempt_drawer(settings)
        self._limits = Limits(settings)
        self._account = Account(settings)
        self._line = Line(settings.servers)
        self._requests = 0

    def reset(self) -> None:
        """Forgets all but what is in flight: counts, bodies, limits, the ends of key and quota."""
        self.stats = Stats(self.stats.in_flight)
        self._limits = Limits(self._settings)
        self._account = Account(self._settings)

    def respond(self, request: Request, now_ns: int) -> Exchange:
        """What to do about a request; `ended` must follow once it is done or given up."""
        own = self._own_page(request)
        if own is not None:
            return Exchange(honest_script(own, keep_alive=request.keep_alive))
        self._requests += 1
        self.stats.arrived(now_ns)
        found = find(request)
        voice = found.voice if found else voice_at(request.path)
        outcome = self._judge(request, found, voice, now_ns)
        if isinstance(outcome, Exchange):
            return outcome
        if isinstance(outcome, Refusal):
            outcome = refusal_answer(outcome, voice, self._headers(voice, now_ns))
        script = honest_script(outcome, keep_alive=request.keep_alive)
        return Exchange(script, route(request, found))

    def ended(self, exchange: Exchange, *, began: bool, finished: bool) -> None:
        """An exchange is over: `began` if a byte was sent, `finished` if all were."""
        if exchange.route is None:
            return
        self.stats.ended(exchange.route, exchange.script.status if began else 0)
        if finished and exchange.script.whole and exchange.key is not None:
            self.stats.answered_whole(
                exchange.key, exchange.text, exchange.prompt_tokens, exchange.output_tokens
            )

    def _own_page(self, request: Request) -> Answer | None:
        asked = (request.method, request.path)
        if asked == ("GET", "/healthz"):
            return json_answer({"status": "ok"})
        if asked == ("GET", "/stats"):
            return json_answer(self.stats.snapshot())
        if asked == ("POST", "/reset"):
            self.reset()
            return json_answer({"status": "reset"})
        return None

    def _judge(
        self, request: Request, found: Found | None, voice: Voice, now_ns: int
    ) -> Exchange | Answer | Refusal:
        refusal = misplaced(request, found)
        if refusal is not None:
            return refusal
        refusal = self._account.refuse(voice.key(request.headers), paid=found is not None)
        if refusal is not None:
            return refusal
        if found is None:
            headers = self._headers(voice, now_ns)
            return models_answer(self._settings.models or DEFAULT_MODELS, headers)
        if voice is ANTHROPIC and "anthropic-version" not in request.headers:
            return refusals.no_version()
        question = read_question(found.api.read, request.body)
        if isinstance(question, Refusal):
            return question
        if found.model is not None:
            question = msgspec.structs.replace(question, model=found.model)
        refusal = unanswerable(self._settings, question, found.api)
        return refusal or self._admit(request, found, question, now_ns)

    def _admit(
        self, request: Request, found: Found, question: Question, now_ns: int
    ) -> Exchange | Refusal:
        """Holds the question against the limits; what passes is drawn for its fate."""
        settings = self._settings
        key = fingerprint(settings.seed, request.body)
        length = draw_length(settings, key, question.max_tokens) if found.api.body else NO_OUTPUT
        throttle = self._limits.admit(
            now_ns, charged_tokens(settings, question, length), self.stats.in_flight - 1
        )
        if throttle is not None:
            self.stats.limited[throttle.name] += 1
            return refusals.throttled(throttle, question.model)
        times_seen = self.stats.saw(key)
        rejected = rejected_text(settings, found.api, key, question.texts)
        if rejected is not None:
            self.stats.rejected.add(*rejected)
            return refusals.record_rejected()
        attempt = self._draw_attempt(key, times_seen)
        if attempt.fault is not None:
            self.stats.faults[attempt.fault] += 1
        if attempt.fault == "throttle":
            return refusals.throttled_at_random(settings.retry_after_seconds)
        answer = self._answer(found, question, length, key, attempt.ttft_seconds, now_ns)
        if attempt.fault is not None:
            answer = answer._replace(failure=failure_of(found.voice))
        return Exchange(
            SPOILERS[attempt.fault](answer, attempt.variant, request.keep_alive),
            route(request, found),
            key,
            question.texts[0],
            question.prompt_tokens,
            length.tokens * len(question.texts),
        )

    def _answer(
        self,
        found: Found,
        question: Question,
        length: Length,
        key: int,
        ttft_seconds: float,
        now_ns: int,
    ) -> Answer:
        """The good answer, plain or as a stream."""
        settings, api = self._settings, found.api
        generation_seconds = settings.seconds_per_token * length.tokens
        ttft_seconds += self._line.wait_seconds(now_ns, ttft_seconds + generation_seconds)
        total_seconds = ttft_seconds + generation_seconds
        headers = self._headers(found.voice, now_ns, total_seconds)
        if api.body is None:
            body = api.vectors(question, settings.embedding_dimensions)
            return Answer(200, headers, ((total_seconds, body),))
        created = int(self._started_at + now_ns / 1e9)
        reply = make_reply(settings, question, length, key, self._request_id(), created)
        if question.stream and api.events:
            events = api.events(reply, question.include_usage)
            pieces = paced(events, ttft_seconds, generation_seconds)
            return Answer(200, headers, pieces, EVENTS_TYPE, chunked=True)
        return Answer(200, headers, ((total_seconds, api.body(reply)),))

    def _headers(self, voice: Voice, now_ns: int, processing_seconds: float = 0.0) -> str:
        """The header lines of every answer of the API."""
        wall_seconds = self._started_at + now_ns / 1e9
        return (
            f"{voice.headers(self._request_id(), self._limits, now_ns, wall_seconds)}"
            f"openai-processing-ms: {round(processing_seconds * 1000)}\r\n"
        )

    def _request_id(self) -> str:
        return f"{self._settings.seed:x}-{self._requests:08x}"


def failure_of(voice: Voice) -> bytes:
    """The body of a failure of the provider's own."""
    return msgspec.json.encode(voice.error(refusals.server_error())[2])


def rejected_text(
    settings: Settings, api: Api, key: int, texts: tuple[str, ...]
) -> tuple[int, str] | None:
    """The key and the text of what is refused every time; of several vectors, one may be."""
    if api.body is not None:
        return (key, texts[0]) if is_rejected(settings, key) else None
    keys = ((fingerprint(settings.seed, text.encode()), text) for text in texts)
    return next((one for one in keys if is_rejected(settings, one[0])), None)


def unanswerable(settings: Settings, question: Question, api: Api) -> Refusal | None:
    """Why this question has no answer, if it has none."""
    models = settings.models
    known = question.model in models if models else question.model != MISSING_MODEL
    if not known:
        return refusals.unknown_model(question.model)
    longest = settings.context_tokens
    if api.body is None:
        return embeddings.refuse(question.texts, api.most_texts, longest)
    if longest and question.prompt_tokens > longest:
        return refusals.prompt_too_long(longest, question.prompt_tokens)
    return None


def charged_tokens(settings: Settings, question: Question, length: Length) -> int:
    """What a question counts against the tokens per minute."""
    each = length.tokens
    if settings.tpm_counts == "asked" and question.max_tokens is not None:
        each = question.max_tokens
    return question.prompt_tokens + each * len(question.texts)


def models_answer(models: tuple[str, ...], headers: str) -> Answer:
    data = [
        {"id": name, "object": "model", "created": 0, "owned_by": "penstock"} for name in models
    ]
    return json_answer({"object": "list", "data": data}, headers)


def json_answer(payload: Any, headers: str = "") -> Answer:
    return Answer(200, headers, ((0.0, msgspec.json.encode(payload)),))
