from __future__ import annotations

import json
import random
from typing import Any

import pytest

from penstock.simulator.provider import Exchange, Provider
from penstock.simulator.settings import Settings
from penstock.simulator.wire import Request

SECOND_NS = 1_000_000_000
CHAT = "/v1/chat/completions"


def request(
    path: str = CHAT, payload: Any = None, method: str = "POST", key: str = "sk-x"
) -> Request:
    body = json.dumps(payload).encode() if payload is not None else b""
    return Request(method, path, {"authorization": f"Bearer {key}"}, body, True)


def chat(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **fields}


def answer_of(exchange: Exchange) -> tuple[str, Any]:
    data = b"".join(data for _, data in exchange.script.pieces)
    head, _, body = data.partition(b"\r\n\r\n")
    return head.decode(), json.loads(body)


def play(provider: Provider, asked: Request, now_ns: int = 0) -> Exchange:
    exchange = provider.respond(asked, now_ns)
    sent = bool(exchange.script.pieces)
    provider.ended(exchange, began=sent and exchange.script.status != 0, finished=True)
    return exchange


FAULTY = {
    "throttle": 0.1,
    "error_500": 0.1,
    "html_500": 0.1,
    "timeout": 0.1,
    "disconnect": 0.1,
    "truncated": 0.1,
    "empty": 0.1,
    "reject": 0.1,
    "ttft_seconds": 0.2,
    "seconds_per_token": 0.01,
}


def fates(seed: int, order: list[str]) -> dict[str, list[tuple[Any, ...]]]:
    """What each text meets, time after time, when texts are asked in this order."""
    provider = Provider(Settings(seed=seed, **FAULTY), 0.0)
    met: dict[str, list[tuple[Any, ...]]] = {}
    for text in order:
        script = play(provider, request(payload=chat(text))).script
        bodies = [data.partition(b"\r\n\r\n")[2] for _, data in script.pieces]
        met.setdefault(text, []).append(
            (script.status, script.end, [delay for delay, _ in script.pieces], map(len, bodies))
        )
    return {text: [(*one[:3], list(one[3])) for one in seen] for text, seen in met.items()}


def test_a_run_repeats_itself_by_its_seed_whatever_the_order() -> None:
    order = [f"text {number}" for number in range(150)] * 3
    shuffled = random.Random(5).sample(order, len(order))
    assert fates(1, order) == fates(1, shuffled)
    assert fates(1, order) != fates(2, order)


def test_limits_do_not_disturb_what_is_drawn() -> None:
    free = Provider(Settings(seed=3, html_500=0.5), 0.0)
    tight = Provider(Settings(seed=3, html_500=0.5, rps=1), 0.0)
    for number in range(40):
        asked = request(payload=chat(f"text {number}"))
        expected = play(free, asked).script.status
        assert play(tight, asked, number * SECOND_NS).script.status == expected
        assert play(tight, asked, number * SECOND_NS + 1).script.status == 429


def test_rejected_records_are_always_the_same_and_always_400() -> None:
    provider = Provider(Settings(reject=0.2, throttle=0.3), 0.0)
    seen = [
        {play(provider, request(payload=chat(f"{number}"))).script.status for _ in range(6)}
        for number in range(100)
    ]
    rejected = [number for number, statuses in enumerate(seen) if statuses == {400}]
    assert all(400 not in statuses or statuses == {400} for statuses in seen)
    assert 8 <= len(rejected) <= 35
    stats = provider.stats.snapshot()
    assert stats["rejected"] == len(rejected)
    assert stats["rejected_texts"] == [str(number) for number in rejected]


def test_of_texts_that_are_asked_for_together_each_may_be_the_one_that_is_refused() -> None:
    provider = Provider(Settings(reject=0.1), 0.0)
    texts = [f"text {number}" for number in range(100)]

    def status(*some: str) -> int:
        asked = request("/v1/embeddings", {"model": "m", "input": list(some)})
        return play(provider, asked).script.status

    refused = [text for text in texts if status(text) == 400]
    good = [text for text in texts if text not in refused]
    assert 2 <= len(refused) <= 25
    assert status(*good) == 200
    assert {status(*good, text) for text in refused} == {400}
    assert provider.stats.snapshot()["rejected_texts"] == refused


def test_an_answer_carries_its_record_and_its_usage() -> None:
    provider = Provider(Settings(output_tokens=50), 1_700_000_000.0)
    head, body = answer_of(play(provider, request(payload=chat("hello")), 5 * SECOND_NS))
    assert body["choices"][0]["message"]["content"].startswith("echo: hello")
    assert body["usage"]["prompt_tokens"] == 2
    assert body["created"] == 1_700_000_005
    assert "x-request-id: req_" in head and "openai-processing-ms: 0" in head


def test_max_tokens_cuts_and_says_so() -> None:
    provider = Provider(Settings(output_tokens=50), 0.0)
    _, body = answer_of(play(provider, request(payload=chat("hello", max_tokens=3))))
    assert body["usage"]["completion_tokens"] == 3
    assert body["choices"][0]["finish_reason"] == "length"


def test_the_same_request_gets_the_same_number_of_tokens_every_time() -> None:
    provider = Provider(Settings(), 0.0)
    tokens = {
        answer_of(play(provider, request(payload=chat("x"))))[1]["usage"]["completion_tokens"]
        for _ in range(5)
    }
    assert len(tokens) == 1


@pytest.mark.parametrize(
    ("asked", "settings", "status", "code"),
    [
        (request("/v1/nothing", {}), Settings(key="other"), 404, None),
        (request(CHAT, method="GET"), Settings(key="other"), 405, None),
        (request("/v1/models", {}), Settings(), 405, None),
        (request(payload={}), Settings(key="other"), 401, "invalid_api_key"),
        (request("/v1/models", method="GET"), Settings(key="other"), 401, "invalid_api_key"),
        (request(payload={}), Settings(rps=1), 400, None),
        (
            request(payload={**chat("x"), "model": "does-not-exist"}),
            Settings(),
            404,
            "model_not_found",
        ),
        (request(payload=chat("x")), Settings(models=("other",)), 404, "model_not_found"),
        (
            request(payload=chat("x" * 41)),
            Settings(context_tokens=10),
            400,
            "context_length_exceeded",
        ),
        (request(payload=chat("x")), Settings(tpm=1), 429, "rate_limit_exceeded"),
        (request(payload=chat("x")), Settings(reject=1), 400, "invalid_prompt"),
        (request(payload=chat("x")), Settings(throttle=1), 429, "rate_limit_exceeded"),
        (request(payload=chat("x")), Settings(error_500=1), 500, None),
    ],
)
def test_refusals_have_openai_s_statuses_and_codes(
    asked: Request, settings: Settings, status: int, code: str | None
) -> None:
    exchange = play(Provider(settings, 0.0), asked)
    _, body = answer_of(exchange)
    assert (exchange.script.status, body["error"]["code"]) == (status, code)
    assert set(body["error"]) == {"message", "type", "param", "code"}


def test_a_key_dies_and_then_the_money_is_gone() -> None:
    dying = Provider(Settings(key_dies_after=2), 0.0)
    broke = Provider(Settings(quota_after=2), 0.0)
    asked = request(payload=chat("x"), key="sk-canary")
    assert [play(dying, asked).script.status for _ in range(3)] == [200, 200, 401]
    head, body = answer_of(play(dying, asked))
    assert "sk-canary" in head and "sk-canary" in body["error"]["message"]
    exchanges = [play(broke, asked) for _ in range(3)]
    assert [one.script.status for one in exchanges] == [200, 200, 429]
    assert answer_of(exchanges[2])[1]["error"]["code"] == "insufficient_quota"


def test_a_real_limit_names_the_wait() -> None:
    provider = Provider(Settings(rpm=1), 0.0)
    play(provider, request(payload=chat("x")))
    exchange = play(provider, request(payload=chat("y")), 20 * SECOND_NS)
    head, body = answer_of(exchange)
    assert exchange.script.status == 429
    assert head.endswith("\r\nretry-after: 40\r\nretry-after-ms: 40000")
    assert "x-ratelimit-remaining-requests: 0\r\n" in head
    assert body["error"]["type"] == "requests"
    assert provider.stats.snapshot()["limited"] == {"rpm": 1}


@pytest.mark.parametrize(("seconds", "said"), [(1.5, "retry-after: 2"), (0.0, "")])
def test_a_throttle_without_limit_names_the_wait_it_was_told(seconds: float, said: str) -> None:
    provider = Provider(Settings(throttle=1, retry_after_seconds=seconds), 0.0)
    head, _ = answer_of(play(provider, request(payload=chat("x"))))
    assert (said in head) if said else ("retry-after" not in head)


@pytest.mark.parametrize(("counts", "charged"), [("asked", 3 + 100), ("used", 3 + 10)])
def test_tokens_are_charged_as_asked_or_as_used(counts: Any, charged: int) -> None:
    settings = Settings(tpm=1000, tpm_counts=counts, output_tokens=10, output_tokens_spread=0)
    provider = Provider(settings, 0.0)
    head, _ = answer_of(play(provider, request(payload=chat("x" * 12, max_tokens=100))))
    assert f"x-ratelimit-remaining-tokens: {1000 - charged}\r\n" in head


def test_every_text_of_a_request_is_charged() -> None:
    settings = Settings(tpm=1000, output_tokens=10, output_tokens_spread=0)
    provider = Provider(settings, 0.0)
    payload = {"model": "m", "prompt": ["abcd"] * 3}
    head, body = answer_of(play(provider, request("/v1/completions", payload)))
    assert body["usage"]["total_tokens"] == 33
    assert "x-ratelimit-remaining-tokens: 967\r\n" in head


def test_the_models_there_are_can_be_listed() -> None:
    for settings, names in (
        (Settings(models=("a", "b")), ["a", "b"]),
        (Settings(), ["simulated-chat", "simulated-embedding"]),
    ):
        _, body = answer_of(play(Provider(settings, 0.0), request("/v1/models", method="GET")))
        assert [one["id"] for one in body["data"]] == names


def test_what_was_answered_whole_and_asked_again_is_counted() -> None:
    provider = Provider(Settings(), 0.0)
    asked = request(payload=chat("twice"))
    cut = provider.respond(asked, 0)
    provider.ended(cut, began=True, finished=False)
    assert provider.stats.snapshot()["answered_bodies"] == 0
    play(provider, asked)
    assert provider.stats.snapshot()["asked_again"] == 0
    play(provider, asked)
    play(provider, request(payload=chat("once")))
    stats = provider.stats.snapshot()
    assert (stats["distinct_bodies"], stats["answered_bodies"]) == (2, 2)
    assert (stats["asked_again"], stats["duplicates"]) == (1, 1)
    assert stats["duplicate_texts"] == ["twice"]
    assert stats["requests"] == {f"POST {CHAT}": {"200": 4}}
    assert stats["prompt_tokens"] == 2 + 2 + 1


def test_what_is_in_flight_and_the_busiest_windows_are_counted() -> None:
    provider = Provider(Settings(), 0.0)
    times_ns = [0, SECOND_NS // 2, SECOND_NS - 1, SECOND_NS, SECOND_NS + 1]
    open_exchanges = [
        provider.respond(request(payload=chat(f"{now_ns}")), now_ns) for now_ns in times_ns
    ]
    provider.ended(open_exchanges[0], began=False, finished=False)
    stats = provider.stats.snapshot()
    assert (stats["in_flight"], stats["in_flight_most"], stats["received"]) == (4, 5, 5)
    assert (stats["busiest_second"], stats["busiest_100ms"]) == (4, 3)
    assert stats["requests"] == {f"POST {CHAT}": {"none": 1}}


def test_its_own_pages_are_in_no_statistic_and_need_no_key() -> None:
    provider = Provider(Settings(key="right"), 0.0)
    for method, path in (("GET", "/healthz"), ("GET", "/stats"), ("POST", "/reset")):
        assert play(provider, request(path, method=method)).script.status == 200
    stats = provider.stats.snapshot()
    assert stats["received"] == 0 and stats["requests"] == {}


def test_paths_that_do_not_exist_share_a_line() -> None:
    provider = Provider(Settings(), 0.0)
    for number in range(3):
        play(provider, request(f"/v1/{number}", {}))
    assert provider.stats.snapshot()["requests"] == {"other": {"404": 3}}


def test_reset_forgets_all_but_what_is_in_flight() -> None:
    provider = Provider(Settings(key_dies_after=1, rpm=1), 0.0)
    asked = request(payload=chat("x"))
    running = provider.respond(asked, 0)
    assert play(provider, asked).script.status == 401
    play(provider, request("/reset"))
    stats = provider.stats.snapshot()
    assert (stats["received"], stats["in_flight"], stats["distinct_bodies"]) == (0, 1, 0)
    provider.ended(running, began=True, finished=True)
    assert provider.stats.snapshot()["in_flight"] == 0
    assert play(provider, asked).script.status == 200
