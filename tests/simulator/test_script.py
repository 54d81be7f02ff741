from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.simulator.script import Answer, End, Script, honest_script
from simulator.raw_client import Response, read_response

pieces = st.lists(st.tuples(st.floats(0, 10), st.binary(max_size=40)), min_size=1, max_size=6)


def read_back(script: Script) -> Response:
    async def read() -> Response:
        reader = asyncio.StreamReader()
        reader.feed_data(b"".join(data for _, data in script.pieces))
        reader.feed_eof()
        answer = await read_response(reader)
        assert reader.at_eof()
        return answer

    return asyncio.run(read())


@given(pieces, st.booleans(), st.booleans())
def test_an_honest_answer_reads_back_whole_and_takes_its_time(
    given_pieces: list[tuple[float, bytes]], chunked: bool, keep_alive: bool
) -> None:
    answer = Answer(200, "x-a: b\r\n", tuple(given_pieces), chunked=chunked)
    script = honest_script(answer, keep_alive=keep_alive)
    response = read_back(script)
    assert response.body == b"".join(data for _, data in given_pieces)
    assert response.status == 200 and response.headers["x-a"] == "b"
    assert ("connection" in response.headers) == (not keep_alive)
    assert sum(delay for delay, _ in script.pieces) == pytest.approx(
        sum(delay for delay, _ in given_pieces)
    )


@pytest.mark.parametrize(("status", "whole"), [(200, True), (429, False), (500, False)])
def test_only_a_200_is_a_whole_answer(status: int, whole: bool) -> None:
    assert honest_script(Answer(status, "", ((0.0, b"{}"),)), keep_alive=True).whole is whole


@pytest.mark.parametrize(("keep_alive", "end"), [(True, End.KEEP), (False, End.CLOSE)])
def test_the_connection_ends_as_the_request_wants(keep_alive: bool, end: End) -> None:
    assert honest_script(Answer(200, "", ((0.0, b""),)), keep_alive=keep_alive).end is end
