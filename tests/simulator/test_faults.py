from __future__ import annotations

import json

import pytest

from penstock.simulator.faults import SPOILERS, STRAY_TEXT, choose
from penstock.simulator.script import EVENTS_TYPE, Answer, End, Script
from penstock.simulator.settings import FAULTS

BODY = json.dumps({"id": "x", "text": "the whole of the answer"}).encode()
EVENTS = (b'data: {"a":1}\n\n', b'data: {"a":2}\n\n', b"data: [DONE]\n\n")
PLAIN = Answer(200, "x-request-id: r\r\n", ((0.5, BODY),))
STREAM = Answer(200, "", tuple((0.1, event) for event in EVENTS), EVENTS_TYPE, chunked=True)
KINDS = sorted(fault for fault in SPOILERS if fault is not None)
VARIANTS = (0.01, 0.2, 0.4, 0.6, 0.8, 0.99)


def spoil(fault: str, answer: Answer = PLAIN, variant: float = 0.5) -> Script:
    return SPOILERS[fault](answer, variant, True)


def test_no_fault_leaves_the_answer_as_it_is() -> None:
    script = SPOILERS[None](PLAIN, 0.5, True)
    assert script.whole and script.end is End.KEEP and sent(script)[1] == BODY


def sent(script: Script) -> tuple[bytes, bytes]:
    head, _, body = b"".join(data for _, data in script.pieces).partition(b"\r\n\r\n")
    return head, body


def test_every_fault_but_the_plain_429_has_a_spoiler() -> None:
    assert set(FAULTS) == {*KINDS, "throttle"}


@pytest.mark.parametrize("answer", [PLAIN, STREAM], ids=["plain", "stream"])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("fault", KINDS)
def test_only_a_stray_leaves_a_whole_answer(fault: str, variant: float, answer: Answer) -> None:
    assert spoil(fault, answer, variant).whole == (fault == "stray")


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("fault", [one for one in KINDS if one != "timeout"])
def test_a_fault_takes_the_time_that_the_answer_would_have(fault: str, variant: float) -> None:
    total = sum(delay for delay, _ in spoil(fault, PLAIN, variant).pieces)
    assert total == pytest.approx(0.5, abs=0.01)


def test_choosing_covers_every_kind_evenly() -> None:
    kinds = [choose((number + 0.5) / 300, 3) for number in range(300)]
    assert [kinds.count(kind) for kind in range(3)] == [100, 100, 100]


def test_a_timeout_says_nothing_and_stays() -> None:
    assert spoil("timeout") == Script(0, (), End.HANG)


def test_disconnects_close_reset_or_cut() -> None:
    seen = [spoil("disconnect", variant=variant) for variant in (0.1, 0.5, 0.9)]
    assert [one.end for one in seen] == [End.CLOSE, End.RESET, End.RESET]
    assert [one.status for one in seen] == [0, 0, 200]
    assert sent(seen[2])[1] == BODY[: len(BODY) // 2]


def test_cut_bodies_come_under_their_length_under_the_full_one_and_under_none() -> None:
    heads, bodies, ends = zip(
        *(
            (*sent(script), script.end)
            for script in (spoil("truncated", variant=variant) for variant in (0.1, 0.5, 0.9))
        ),
        strict=True,
    )
    half = BODY[: len(BODY) // 2]
    assert bodies == (half, half, half)
    assert b"content-length: %d" % len(half) in heads[0] and ends[0] is End.KEEP
    assert b"content-length: %d" % len(BODY) in heads[1] and ends[1] is End.CLOSE
    assert b"content-length" not in heads[2] and ends[2] is End.CLOSE
    assert b"connection: close" in heads[2]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_cut_stream_never_says_done(variant: float) -> None:
    script = spoil("truncated", STREAM, variant)
    _, body = sent(script)
    assert EVENTS[0] in body and b"[DONE]" not in body
    assert body.endswith(b"0\r\n\r\n") == (script.end is End.KEEP)


@pytest.mark.parametrize("variant", VARIANTS)
def test_garbage_is_never_json(variant: float) -> None:
    with pytest.raises(ValueError, match=r".*"):
        json.loads(sent(spoil("garbage", variant=variant))[1])


def test_an_empty_answer_says_that_its_length_is_0() -> None:
    head, body = sent(spoil("empty"))
    assert b"content-length: 0" in head and body == b""


def test_an_error_in_a_200_is_an_error_object_or_its_event() -> None:
    head, body = sent(spoil("error_in_200"))
    assert head.startswith(b"HTTP/1.1 200 ")
    assert json.loads(body)["error"]["type"] == "server_error"
    assert sent(spoil("error_in_200", STREAM))[1].startswith(b'data: {"error":')


def test_html_pages_come_as_502_and_503_without_the_provider_s_headers() -> None:
    for variant, status in ((0.1, 502), (0.9, 503)):
        script = spoil("html_500", variant=variant)
        head, body = sent(script)
        assert script.status == status and head.startswith(b"HTTP/1.1 %d " % status)
        assert b"text/html" in head and b"x-request-id" not in head
        assert body.startswith(b"<html>")


def test_a_stray_follows_the_good_answer_in_the_same_write() -> None:
    script = spoil("stray")
    assert len(script.pieces) == 1 and script.end is End.KEEP
    data = script.pieces[0].data
    first, second = data.split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert first.endswith(BODY) and STRAY_TEXT.encode() in second
