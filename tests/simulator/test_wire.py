from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.simulator.wire import MAX_BODY_BYTES, MAX_HEAD_BYTES, BadRequest, RequestReader

bodies = st.binary(max_size=300)


def sized(body: bytes) -> bytes:
    return b"POST /p HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def chunked(body: bytes, size: int, trailer: bytes = b"") -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    chunks = b"".join(b"%X;ext=1\r\n%b\r\n" % (len(part), part) for part in parts)
    return (
        b"POST /p HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"
        + chunks
        + (b"0\r\n" + trailer + b"\r\n")
    )


def read_all(data: bytes, cuts: list[int]) -> list[bytes]:
    reader, found, start = RequestReader(), [], 0
    for end in [*sorted(cuts), len(data)]:
        reader.feed(data[start:end])
        start = max(start, end)
        while (request := reader.next()) is not None:
            found.append(request.body)
    return found


@given(
    st.lists(st.tuples(bodies, st.integers(0, 40), st.booleans()), max_size=4),
    st.lists(st.integers(0, 2000), max_size=20),
)
def test_requests_are_read_the_same_however_their_bytes_are_cut(
    messages: list[tuple[bytes, int, bool]], cuts: list[int]
) -> None:
    data = b"".join(
        chunked(body, size, b"x: y\r\n" if trailer else b"") if size else sized(body)
        for body, size, trailer in messages
    )
    assert read_all(data, [cut for cut in cuts if cut < len(data)]) == [
        body for body, _, _ in messages
    ]


def test_a_request_has_its_path_without_the_query_and_headers_in_lower_case() -> None:
    reader = RequestReader()
    reader.feed(b"GET /v1/models?x=1 HTTP/1.1\r\nAuthorization: \t Bearer k \r\n\r\n")
    request = reader.next()
    assert request is not None
    assert (request.method, request.path, request.body) == ("GET", "/v1/models", b"")
    assert request.headers == {"authorization": "Bearer k"}
    assert request.keep_alive


@pytest.mark.parametrize(
    ("head", "kept"),
    [
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nConnection: Close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True),
    ],
)
def test_a_connection_is_kept_as_the_version_and_the_client_say(head: bytes, kept: bool) -> None:
    reader = RequestReader()
    reader.feed(head)
    request = reader.next()
    assert request is not None and request.keep_alive is kept


def test_empty_lines_before_a_request_are_skipped() -> None:
    assert read_all(b"\r\n\r\n" + sized(b"a") + b"\r\n" + sized(b"b"), [1, 3]) == [b"a", b"b"]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\n: empty\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n folded: line\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nspace : x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: \xb2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1), 413),
        (b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", 413),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * MAX_HEAD_BYTES, 431),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * MAX_HEAD_BYTES, 400),
        (
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"x" * MAX_HEAD_BYTES,
            431,
        ),
    ],
)
def test_bytes_that_are_no_request_are_refused_with_a_status(data: bytes, status: int) -> None:
    reader = RequestReader()
    reader.feed(data)
    with pytest.raises(BadRequest) as caught:
        reader.next()
    assert caught.value.status == status


def test_a_client_that_waits_for_100_continue_is_told_once() -> None:
    reader = RequestReader()
    assert not reader.wants_continue()
    reader.feed(b"POST / HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n")
    assert reader.next() is None
    assert [reader.wants_continue(), reader.wants_continue()] == [True, False]
    reader.feed(b"x")
    request = reader.next()
    assert request is not None and request.body == b"x"
