"""How each fault turns a good answer into what goes over the wire instead. Pure: no I/O, no state.

Every fault was seen at some provider or proxy; where it has several kinds (a cut body may announce
its real length, its full one, or none), the attempt's `variant`, a number in (0, 1), chooses.
"""

from __future__ import annotations

from collections.abc import Callable

from penstock.simulator.script import (
    EVENTS_TYPE,
    HTML_TYPE,
    Answer,
    End,
    Piece,
    Script,
    body_of,
    chunked_pieces,
    framed,
    honest_script,
    length_framing,
    response_head,
    total_delay,
)

# Bytes that are reset at once may never leave the sender's buffer.
RESET_DELAY_SECONDS = 0.005

STRAY_TEXT = "an answer that nobody asked for"
STRAY_BODY = (
    b'{"id":"chatcmpl-stray","object":"chat.completion","created":0,"model":"stray","choices":'
    b'[{"index":0,"message":{"role":"assistant","content":"' + STRAY_TEXT.encode() + b'"},'
    b'"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'
)

HTML_PAGE = b"<html>\r\n<head><title>%b</title></head>\r\n<body><h1>%b</h1></body>\r\n</html>\r\n"

GARBAGE = (
    b"<html><body>Please log in to the hotel's network.</body></html>",
    b"\x00\xff\xfe not UTF-8, not JSON \x80",
    b"upstream ok",
)

Spoiler = Callable[[Answer, float, bool], Script]


def choose(variant: float, kinds: int) -> int:
    """Which of `kinds` kinds, from 0, a variant in (0, 1) stands for."""
    return min(int(variant * kinds), kinds - 1)


def replaced(answer: Answer, body: bytes, keep_alive: bool) -> Script:
    """The answer's head and time with another body, plainly framed."""
    other = answer._replace(pieces=((total_delay(answer), body),), chunked=False)
    return honest_script(other, keep_alive=keep_alive)._replace(whole=False)


def unspoiled(answer: Answer, variant: float, keep_alive: bool) -> Script:
    """No fault: the answer as it is."""
    return honest_script(answer, keep_alive=keep_alive)


def error_500(answer: Answer, variant: float, keep_alive: bool) -> Script:
    """The provider's own error, after the time that the answer would have taken."""
    failed = Answer(500, answer.headers, ((total_delay(answer), answer.failure),))
    return honest_script(failed, keep_alive=keep_alive)


def html_500(answer: Answer, variant: float, keep_alive: bool) -> Script:
    """A proxy's page, 502 or 503, without the provider's headers."""
    status, title = ((502, b"502 Bad Gateway"), (503, b"503 Service Unavailable"))[
        choose(variant, 2)
    ]
    page = ((total_delay(answer), HTML_PAGE % (title, title)),)
    return honest_script(Answer(status, "", page, HTML_TYPE), keep_alive=keep_alive)


def timeout(answer: Answer, variant: float, keep_alive: bool) -> Script:
    """Silence, until the client hangs up."""
    return Script(0, (), End.HANG)


def disconnect(answer: Answer, variant: float, keep_alive: bool) -> Script:
    """Closed or reset before any byte, or reset amid the body."""
    kind, silence = choose(variant, 3), Piece(total_delay(answer), b"")
    if kind == 0:
        return Script(0, (silence,), End.CLOSE)
    if kind == 1:
        return Script(0, (silence,), End.RESET)
    pieces = (*half(answer, keep_alive), Piece(RESET_DELAY_SECONDS, b""))
    return Script(answer.status, pieces, End.RESET)


def truncated(answer: Answer, variant: float, keep_alive: bool) -> Script:
    """Half a body: under its own length, under the full length, or up to the connection's end."""
    kind = choose(variant, 3)
    if kind == 0:
        return truncated_under_its_length(answer, keep_alive)
    if kind == 1 or answer.chunked:
        return Script(answer.status, half(answer, keep_alive), End.CLOSE)
    body = body_of(answer)
    head = response_head(answer, "", keep_alive=False)
    piece = Piece(total_delay(answer), head + body[: len(body) // 2])
    return Script(answer.status, (piece,), End.CLOSE)


def truncated_under_its_length(answer: Answer, keep_alive: bool) -> Script:
    """Half a body in honest framing: nothing but the JSON, or the missing [DONE], shows it."""
    if not answer.chunked:
        body = body_of(answer)
        return replaced(answer, body[: len(body) // 2], keep_alive)
    cut = answer._replace(pieces=half_pieces(answer))
    return honest_script(cut, keep_alive=keep_alive)._replace(whole=False)


def half(answer: Answer, keep_alive: bool) -> tuple[Piece, ...]:
    """The first half of a body, under a head that promises all of it."""
    if answer.chunked:
        cut = answer._replace(pieces=half_pieces(answer))
        return chunked_pieces(cut, keep_alive=keep_alive, finished=False)
    body = body_of(answer)
    head = response_head(answer, length_framing(len(body)), keep_alive=keep_alive)
    return (Piece(total_delay(answer), head + body[: len(body) // 2]),)


def half_pieces(answer: Answer) -> tuple[tuple[float, bytes], ...]:
    """The pieces of a stream up to the middle of its bytes."""
    left = len(body_of(answer)) // 2
    kept = []
    for delay_seconds, data in answer.pieces:
        if left <= 0:
            break
        kept.append((delay_seconds, data[:left]))
        left -= len(data)
    return tuple(kept)


def garbage(answer: Answer, variant: float, keep_alive: bool) -> Script:
    """A 200 whose body is something else."""
    return replaced(answer, GARBAGE[choose(variant, len(GARBAGE))], keep_alive)


def empty(answer: Answer, variant: float, keep_alive: bool) -> Script:
    """A 200 and nothing more."""
    return replaced(answer, b"", keep_alive)


def error_in_200(answer: Answer, variant: float, keep_alive: bool) -> Script:
    """An error object where the answer should be; in a stream, as its only event."""
    body = answer.failure
    if answer.content_type == EVENTS_TYPE:
        body = b"data: " + body + b"\n\n"
    return replaced(answer, body, keep_alive)


def stray(answer: Answer, variant: float, keep_alive: bool) -> Script:
    """The good answer, and in the same write a second response.

    Not later: after a pause it could meet the client's next request on the wire, and then nothing
    would tell the client that it is not the answer to that.
    """
    script = honest_script(answer, keep_alive=keep_alive)
    second = framed(Answer(200, "", ((0.0, STRAY_BODY),)), keep_alive=True)[0].data
    *first, last = script.pieces
    return script._replace(pieces=(*first, Piece(last.delay_seconds, last.data + second)))


SPOILERS: dict[str | None, Spoiler] = {
    None: unspoiled,
    "error_500": error_500,
    "html_500": html_500,
    "timeout": timeout,
    "disconnect": disconnect,
    "truncated": truncated,
    "garbage": garbage,
    "empty": empty,
    "error_in_200": error_in_200,
    "stray": stray,
}
