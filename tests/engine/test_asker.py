"""One attempt: under a ticket, redacted before it is read, judged by table, and settled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, get_args

import msgspec
import pytest

from engine.limiters import limiter, slab
from engine.transports import FakeTransport, Served, chat, error, response
from engine.virtual_time import Clock, VirtualLoop
from penstock._core import Limiter
from penstock.engine.asker import GATE, Asker
from penstock.engine.attempt import Attempt
from penstock.engine.messages import Funds
from penstock.engine.pacer import Draining, Pacer
from penstock.engine.purse import Purse
from penstock.engine.rates import Rates
from penstock.job import Job
from penstock.observe.redactor import Redactor
from penstock.observe.slab_layout import C, H, request_cell
from penstock.providers.openai import OpenAI
from penstock.providers.provider import Request as Ask
from penstock.transport.failure import Failure, Kind
from penstock.transport.transport import Response

CANARY = "sk-canary/0123456789+abc"
ASK = Ask("/chat/completions", b"x" * 400, "hash", 100, 50)
TOOK_SECONDS = 0.25


class Settling(Limiter):
    """A limiter that remembers how charges were corrected."""

    def __init__(self, *_: Any) -> None:
        self.settled: list[tuple[int, ...]] = []

    def settle(self, charged_ns: int, now_ns: int, *tokens: int) -> None:
        self.settled.append((charged_ns, *tokens))
        super().settle(charged_ns, now_ns, *tokens)


class Scene:
    """An asker of the real dialect over a fake transport."""

    def __init__(self, loop: VirtualLoop, serve: Served, **limits: Any) -> None:
        self.loop = loop
        self.slab = slab()
        self.limiter = limiter(Settling, **limits)
        self.pacer = Pacer(self.limiter)
        self.transport = FakeTransport(serve, TOOK_SECONDS)
        provider = OpenAI(Job(model="m", prompt="{{ text }}", base_url="http://api.example/v1/"))
        self.asker = Asker(
            provider,
            self.transport,
            self.pacer,
            self.slab,
            "http://api.example/v1/",
        )
        self.asker.use_headers({"Authorization": f"Bearer {CANARY}"}, Redactor([CANARY]))


def ask(clock: Clock, came: Response | Failure, **limits: Any) -> tuple[Attempt, Scene]:
    """One attempt that is answered by `came`."""

    async def main(loop: VirtualLoop) -> tuple[Attempt, Scene]:
        scene = Scene(loop, lambda _: came, **limits)
        attempt = await scene.asker.ask(ASK)
        assert scene.asker.traffic.in_flight == scene.asker.traffic.waiting == 0
        return attempt, scene

    return clock.run(main)


def test_a_request_goes_to_the_base_url_and_the_path_with_the_headers(clock: Clock) -> None:
    _, scene = ask(clock, chat())
    (request,) = scene.transport.requests
    assert request.url == "http://api.example/v1/chat/completions"
    assert request.headers["Authorization"] == f"Bearer {CANARY}"
    assert request.body == ASK.body


def test_an_answer_is_read_timed_and_counted(clock: Clock) -> None:
    attempt, scene = ask(clock, chat("hello", prompt_tokens=11, completion_tokens=3))
    assert attempt.verdict.kind == "succeeded"
    assert attempt.answer is not None
    assert (attempt.answer.output, attempt.answer.input_tokens) == ("hello", 11)
    assert attempt.latency_seconds == pytest.approx(TOOK_SECONDS)
    assert scene.slab.get(request_cell(200, "")) == 1
    assert scene.slab.get(C.REQUESTS_SENT) == 1
    assert scene.slab.total(H.REQUEST_US) == pytest.approx(TOOK_SECONDS * 1e6, abs=1)


@pytest.mark.parametrize(
    ("came", "kind", "error_class"),
    [
        (response(200, b""), "retry", "bad_response"),
        (response(200, b'{"choices": [{"mess'), "retry", "bad_response"),
        (response(200, b"<html>welcome</html>"), "retry", "bad_response"),
        (response(200, {"error": {"message": "overloaded"}}), "retry", "error_in_200"),
        (response(201, {"error": {"message": "overloaded"}}), "retry", "error_in_200"),
        (error(400), "rejected", "invalid_request"),
        (error(400, "context_length_exceeded"), "rejected", "context_length"),
        (error(401, "invalid_api_key"), "fatal", "auth"),
        (error(403), "fatal", "permission"),
        (error(404, "model_not_found"), "fatal", "model"),
        (error(429), "throttled", "rate_limit"),
        (error(429, "insufficient_quota"), "fatal", "quota"),
        (response(500, b"<html><title>Oops</title></html>"), "retry", "server_error"),
        (response(503, b""), "retry", "server_error"),
        (error(503), "throttled", "overloaded"),
        (error(599), "retry", "server_error"),
    ],
)
def test_a_response_is_judged_by_status_code_and_type(
    clock: Clock, came: Response, kind: str, error_class: str
) -> None:
    attempt, scene = ask(clock, came)
    assert (attempt.verdict.kind, attempt.verdict.error_class) == (kind, error_class)
    assert attempt.status == came.status
    assert attempt.answer is None
    assert scene.slab.get(request_cell(came.status, error_class)) == 1


@pytest.mark.parametrize("failure_kind", get_args(Kind))
@pytest.mark.parametrize("sent", [True, False])
def test_a_failure_of_every_kind_is_judged_and_names_its_reason(
    clock: Clock, failure_kind: Kind, sent: bool
) -> None:
    failure = Failure(failure_kind, "what went wrong", int(sent), 0)
    attempt, scene = ask(clock, failure, tpm=10**6)
    expected = {"tls": "fatal", "redirect": "fatal", "too_large": "rejected"}
    assert attempt.verdict.kind == expected.get(failure_kind, "retry")
    assert attempt.status == 0
    assert attempt.refusal is not None and attempt.refusal.message == "what went wrong"
    assert (attempt.latency_seconds is None) is not sent
    assert scene.slab.get(C.REQUESTS_SENT) == sent
    assert len(scene.limiter.settled) == sent


def test_an_answer_that_there_is_no_memory_for_ends_its_own_attempt_alone(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        scene = Scene(loop, lambda _: chat())

        async def send(request: object, ready: Callable[[], Any]) -> Response:
            assert ready() is None
            await asyncio.sleep(TOOK_SECONDS)
            raise MemoryError

        scene.transport.send = send  # type: ignore[method-assign,assignment]
        attempt = await scene.asker.ask(ASK)
        assert attempt.latency_seconds == pytest.approx(TOOK_SECONDS), "it was sent"
        assert (attempt.verdict.kind, attempt.verdict.error_class) == ("retry", "no_memory")
        assert scene.asker.traffic.in_flight == scene.asker.traffic.waiting == 0
        assert not scene.asker.traffic.gate.locked()

    clock.run(main)


def test_what_the_provider_asks_to_wait_is_found(clock: Clock) -> None:
    attempt, _ = ask(clock, error(429, retry_after="7"))
    assert attempt.refusal is not None and attempt.refusal.wait_seconds == 7


@pytest.mark.parametrize(
    ("came", "used"),
    [
        (chat(prompt_tokens=11, completion_tokens=3), (11, 3)),
        (chat(), (100, 50)),  # no usage: the prediction stands
        (response(200, b"cut"), (100, 0)),
        (error(400), (100, 0)),
        (error(500), (100, 0)),
        (Failure("timeout", "", 1, 2), (100, 0)),
    ],
)
def test_a_charge_is_settled_to_the_usage_or_for_a_failure_to_what_was_sent(
    clock: Clock, came: Response | Failure, used: tuple[int, int]
) -> None:
    _, scene = ask(clock, came, tpm=10**6)
    ((charged_ns, *tokens),) = scene.limiter.settled
    assert 0 < charged_ns <= scene.loop.now_ns
    assert tuple(tokens) == (100, 50, *used)


def test_what_an_answer_used_is_what_the_next_one_is_charged(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        scene = Scene(loop, lambda _: chat(prompt_tokens=400, completion_tokens=9))
        for _ in range(200):
            await scene.asker.ask(ASK)
        assert scene.limiter.settled[-1][1] == pytest.approx(400, abs=2)
        assert scene.limiter.settled[-1][2] == 9

    clock.run(main)


def escaped(text: str) -> bytes:
    """Each character as JSON may write it."""
    return "".join(f"\\u{ord(c):04x}" for c in text).encode()


ECHOES: list[Response | Failure] = [
    response(401, {"error": {"message": f"Incorrect API key provided: {CANARY}."}}),
    response(401, f"<title>bad key {CANARY}</title>".encode()),
    response(200, f"not json {CANARY}".encode()),
    response(200, {"choices": [{"message": {"content": f"your key is {CANARY}"}}]}),
    response(400, {"error": {"message": "x" * 490 + CANARY}}),
    response(400, {"error": {"message": CANARY * 40}}),
    response(400, {"error": {"message": CANARY, "code": CANARY, "type": CANARY}}),
    response(400, ('{"error": {"message": "key ' + CANARY.replace("/", "\\/") + '"}}').encode()),
    response(401, b'{"error": {"message": "%s"}}' % escaped(CANARY)),
    response(500, b"", {"x-request-id": f"for-{CANARY}"}),
    Failure("dns", f"can't resolve {CANARY}.example:443", 0, 0),
]


@pytest.mark.parametrize("came", ECHOES)
def test_an_echoed_key_is_nowhere_in_an_attempt_not_even_a_part_of_it(
    clock: Clock, came: Response | Failure
) -> None:
    attempt, _ = ask(clock, came)
    shown = repr(msgspec.structs.astuple(attempt))
    for start in range(len(CANARY) - 7):
        assert CANARY[start : start + 8] not in shown


def test_an_attempt_knows_whether_it_was_alone_and_which_key_it_used(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        scene = Scene(loop, lambda _: chat())
        first = loop.create_task(scene.asker.ask(ASK))
        await asyncio.sleep(TOOK_SECONDS / 2)
        assert scene.asker.traffic.in_flight == 1
        scene.asker.use_headers({}, Redactor([]))
        second = loop.create_task(scene.asker.ask(ASK))
        one, other = await first, await second
        third = await scene.asker.ask(ASK)
        assert (one.alone, other.alone, third.alone) == (True, False, True)
        assert (one.key_number, other.key_number, third.key_number) == (0, 1, 1)

    clock.run(main)


def test_a_failure_is_of_the_key_that_was_sent(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        scene = Scene(loop, lambda _: Failure("timeout", "", 1, 2))
        asking = loop.create_task(scene.asker.ask(ASK))
        await asyncio.sleep(TOOK_SECONDS / 2)
        scene.asker.use_headers({}, Redactor([]))
        assert (await asking).key_number == 0

    clock.run(main)


def test_limits_that_a_provider_names_are_told_once(clock: Clock) -> None:
    limits = ["100", "100", "200"]

    async def main(loop: VirtualLoop) -> None:
        scene, told = Scene(loop, serve), list[list[int]]()
        scene.asker.on_limits = lambda named: told.append([one.limit for one in named])
        for _ in range(3):
            scene.asker.looks_at_limits = True
            await scene.asker.ask(ASK)
        assert told == [[100], [200]]

    def serve(_: object) -> Response:
        named = {"x-ratelimit-limit-requests": limits.pop(0), "x-ratelimit-reset-requests": "1s"}
        return response(200, chat().body, named)

    clock.run(main)


def test_a_request_with_a_weight_of_its_own_is_charged_by_that(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        scene = Scene(loop, lambda _: error(500))
        await scene.asker.ask(msgspec.structs.replace(ASK, weight_bytes=4000))
        ((_, *tokens),) = scene.limiter.settled
        assert tokens == [1000, 50, 1000, 0]

    clock.run(main)


def test_few_wait_for_a_ticket_with_a_connection_in_hand_and_all_get_one(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        scene = Scene(loop, lambda _: chat(), rps=10)
        scene.transport.seconds = 30
        asking = [loop.create_task(scene.asker.ask(ASK)) for _ in range(50)]
        await asyncio.sleep(0)
        assert scene.asker.traffic.waiting == 50
        while scene.asker.traffic.waiting:
            at_hand = len(scene.transport.requests) - scene.asker.traffic.in_flight
            assert at_hand <= GATE
            await asyncio.sleep(0.01)
        assert scene.asker.traffic.in_flight == 50
        await asyncio.gather(*asking)
        waited = scene.slab.get(C.LIMIT_WAIT_NS) / 1e9
        assert waited == pytest.approx(sum(n / 10 for n in range(1, 51)), rel=0.05)

    clock.run(main)


def test_draining_sends_away_all_who_wait_and_opens_no_connection_for_them(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        scene = Scene(loop, lambda _: chat(), rpm=1)
        asking = [loop.create_task(scene.asker.ask(ASK)) for _ in range(50)]
        await asyncio.sleep(1)
        scene.pacer.stop()
        results = await asyncio.gather(*asking, return_exceptions=True)
        assert {type(one) for one in results} == {Draining}
        assert len(scene.transport.requests) <= GATE
        assert scene.asker.traffic.waiting == scene.asker.traffic.in_flight == 0
        assert scene.limiter.settled == []

    clock.run(main)


def cancelled(main: Callable[[], Awaitable[Any]]) -> Coroutine[Any, Any, None]:
    async def run() -> None:
        task = asyncio.ensure_future(main())
        await asyncio.sleep(TOOK_SECONDS / 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    return run()


@pytest.mark.parametrize("limits", [{}, {"rpm": 1}])
def test_a_cancelled_request_is_counted_no_more_and_its_charge_stays(
    clock: Clock, limits: dict[str, int]
) -> None:
    async def main(loop: VirtualLoop) -> None:
        scene = Scene(loop, lambda _: chat(), **limits)
        await cancelled(lambda: scene.asker.ask(ASK))
        assert scene.asker.traffic.waiting == scene.asker.traffic.in_flight == 0
        assert scene.limiter.settled == []
        assert not scene.asker.traffic.gate.locked()

    clock.run(main)


def test_who_is_cancelled_before_the_gate_does_not_widen_it(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        scene = Scene(loop, lambda _: chat(), rpm=1)
        asking = [loop.create_task(scene.asker.ask(ASK)) for _ in range(GATE + 9)]
        await asyncio.sleep(1)
        assert len(scene.transport.requests) == GATE
        for task in asking[-5:]:
            task.cancel()
        await asyncio.sleep(1)
        assert len(scene.transport.requests) == GATE
        scene.pacer.stop()
        await asyncio.gather(*asking, return_exceptions=True)

    clock.run(main)


# --- what it costs --------------------------------------------------------------------------------


class Said(list[Any]):
    """What a purse says to its supervisor."""


def paying(scene: Scene, *, budgeted: bool = False) -> Said:
    said = Said()
    rates = Rates(1, 1, 1, 2, 2)
    scene.asker.purse = Purse(
        scene.slab, "m-1", {"m-1": rates}, rates, slots=1, budgeted=budgeted, say=said.append
    )
    return said


def money(scene: Scene) -> tuple[int, int, int]:
    cells = (C.SPENT_PUSD, C.OPEN_PUSD, C.LOST_PUSD)
    spent, flying, lost = (scene.slab.get(cell) for cell in cells)
    return spent, flying, lost


@pytest.mark.parametrize(
    ("came", "cost", "spent", "lost"),
    [
        (chat(prompt_tokens=11, completion_tokens=3), 17, 17, 0),
        (error(400), None, 0, 0),
        (error(429), None, 0, 0),
        (error(500), None, 0, 0),
        (response(200, {"error": {"message": "overloaded"}}), None, 0, 0),
        (response(200, b'{"choices": [{"mess'), None, 200, 200),
        (Failure("timeout", "", 1, 2), None, 200, 200),
        (Failure("connect", "", 0, 2), None, 0, 0),
    ],
)
def test_what_comes_is_settled_against_what_was_predicted(
    clock: Clock, came: Response | Failure, cost: int | None, spent: int, lost: int
) -> None:
    async def main(loop: VirtualLoop) -> None:
        scene = Scene(loop, lambda _: came)
        paying(scene)
        attempt = await scene.asker.ask(ASK)
        assert attempt.cost_pusd == cost
        assert money(scene) == (spent, 0, lost)

    clock.run(main)


def test_a_request_is_in_flight_with_what_it_may_cost_and_cancelled_it_is_lost(
    clock: Clock,
) -> None:
    async def main(loop: VirtualLoop) -> None:
        scene = Scene(loop, lambda _: chat())
        paying(scene)
        asking = loop.create_task(scene.asker.ask(ASK))
        await asyncio.sleep(TOOK_SECONDS / 2)
        assert money(scene) == (0, 200, 0)
        asking.cancel()
        await asyncio.wait([asking])
        assert money(scene) == (200, 0, 200)

    clock.run(main)


def test_who_is_cancelled_while_it_waits_for_money_waits_no_more(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        scene = Scene(loop, lambda _: chat())
        paying(scene, budgeted=True)
        asking = loop.create_task(scene.asker.ask(ASK))
        await asyncio.sleep(1)
        assert scene.asker.traffic.waiting == 1
        asking.cancel()
        await asyncio.wait([asking])
        assert scene.asker.traffic.waiting == 0
        assert money(scene) == (0, 0, 0)

    clock.run(main)


def test_nothing_is_sent_before_the_budget_has_it(clock: Clock) -> None:
    async def main(loop: VirtualLoop) -> None:
        scene = Scene(loop, lambda _: chat(prompt_tokens=11, completion_tokens=3))
        said = paying(scene, budgeted=True)
        asking = loop.create_task(scene.asker.ask(ASK))
        await asyncio.sleep(10)
        assert scene.transport.requests == []
        assert said == [Funds(200, 200, 0)]
        assert scene.asker.purse is not None
        scene.asker.purse.funded(200)
        assert (await asking).cost_pusd == 17
        assert scene.asker.purse.hold(183)

    clock.run(main)
