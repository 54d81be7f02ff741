"""What of aiohttp's insides this room leans on: an upgrade that moves it has to fail here."""

from __future__ import annotations

import inspect
import re

import aiohttp
import pytest
from aiohttp import client, client_proto, client_reqrep, connector, http_writer, streams
from aiohttp.base_protocol import BaseProtocol
from aiohttp.client_proto import ResponseHandler


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (aiohttp.TCPConnector.connect, ["self", "req", "traces", "timeout"]),
        (aiohttp.TCPConnector._create_connection, ["self", "req", "traces", "timeout"]),
        (
            aiohttp.TCPConnector._wrap_create_connection,
            ["self", "args", "addr_infos", "req", "timeout", "client_error", "kwargs"],
        ),
        (connector.BaseConnector._get, ["self", "key", "traces"]),
        (connector.Connection.release, ["self"]),
        (connector.Connection.close, ["self"]),
        (ResponseHandler.__init__, ["self", "loop"]),
        (ResponseHandler.data_received, ["self", "data"]),
        (ResponseHandler.connection_lost, ["self", "exc"]),
        (ResponseHandler.set_exception, ["self", "exc", "exc_cause"]),
        (ResponseHandler.abort, ["self"]),
        (ResponseHandler.read, ["self"]),
        (ResponseHandler.is_connected, ["self"]),
        (streams.DataQueue.feed_data, ["self", "data", "size"]),
        (streams.StreamReader.readany, ["self"]),
        (client_reqrep.ClientRequest.update_body_from_data, ["self", "body", "_stacklevel"]),
        (client_reqrep.ClientRequest.send, ["self", "conn"]),
        (http_writer.StreamWriter.write_headers, ["self", "status_line", "headers"]),
        (http_writer.StreamWriter.write, ["self", "chunk", "drain", "LIMIT"]),
    ],
)
def test_a_function_takes_what_it_took(function, parameters: list[str]) -> None:
    assert list(inspect.signature(function).parameters) == parameters


def test_a_response_is_made_of_what_it_was() -> None:
    taken = set(inspect.signature(client_reqrep.ClientResponse.__init__).parameters)
    assert taken == {
        "self", "method", "url", "writer", "continue100", "timer", "request_info", "traces",
        "loop", "session", "stream_writer",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (client_reqrep.ClientRequest.send, ["self._timer", "self._session", "self._traces"]),
        (client_reqrep.ClientRequest.send, ["self.response_class", "self.original_url"]),
        (client_reqrep.ClientRequest.send, ["url.raw_path_qs", "str(self.url)", "self.proxy"]),
        (connector.BaseConnector.__init__, ["self._factory = functools.partial(ResponseHandler"]),
        (connector.TCPConnector, ["self._factory", "await self._create_direct_connection("]),
        (connector.BaseConnector.connect, ["await self._get(", "await self._create_connection("]),
        (connector.BaseConnector._release, ["protocol.should_close", "protocol.close()"]),
        (ResponseHandler.data_received, ["self.feed_data((message, payload), 0)"]),
        (ResponseHandler.data_received, ["self._payload = payload"]),
        (BaseProtocol.resume_reading, ['self.data_received(b"")', "self._reading_paused = False"]),
        (BaseProtocol.pause_reading, ["self._reading_paused = True"]),
        (connector.TCPConnector._create_connection, ["_, proto = await", "return proto"]),
        (connector.TCPConnector._wrap_create_connection, ["create_connection(*args, **kwargs, "]),
        (
            connector.TCPConnector._create_direct_connection,
            ["ssl=sslcontext,", "server_hostname=server_hostname,", "client_error=client_error,"],
        ),
        (client.ClientSession._request, ["except asyncio.TimeoutError", "ConnectionTimeoutError("]),
    ],
)
def test_a_name_is_where_it_was(place, words: list[str]) -> None:
    source = inspect.getsource(place)
    assert [word for word in words if word not in source] == []


def test_a_connection_is_opened_for_a_request_that_has_only_a_url() -> None:
    """All that opening one asks of a request, and none of it is made by a session."""
    place = inspect.getsource(aiohttp.TCPConnector._create_direct_connection)
    place += inspect.getsource(aiohttp.TCPConnector._wrap_create_connection)
    place += inspect.getsource(aiohttp.TCPConnector._get_ssl_context)
    asked = set(re.findall(r"\breq\.(\w+)", place))
    assert asked <= {"url", "port", "connection_key", "server_hostname", "is_ssl", "ssl"}


def test_an_answer_is_read_until_it_is_more_than_information() -> None:
    source = inspect.getsource(client_reqrep.ClientResponse.start)
    assert "message, payload = await protocol.read()" in source
    assert "if message.code < 100 or message.code > 199 or message.code == 101" in source


def test_nothing_is_awaited_between_getting_a_connection_and_writing() -> None:
    source = inspect.getsource(client.ClientSession._request)
    between = source[source.index("conn = await self._connector.connect(") :]
    between = between[: between.index("resp = await req.send(conn)")]
    assert between.count("await") == 1
    assert "conn.protocol.set_response_params(" in between


def test_the_compiled_parser_is_in_use() -> None:
    assert client_proto.HttpResponseParser.__module__ == "aiohttp._http_parser"
