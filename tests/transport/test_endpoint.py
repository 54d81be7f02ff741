"""What is worked out once for an endpoint."""

from __future__ import annotations

import pytest

from penstock.errors import JobError
from penstock.transport.endpoint import Endpoint, Endpoints


def test_the_same_url_and_headers_are_worked_out_once() -> None:
    endpoints, headers = Endpoints(), {"Authorization": "a"}
    assert endpoints.of("http://h/v1", headers) is endpoints.of("http://h/v1", headers)


def test_other_headers_for_the_same_url_are_another_endpoint() -> None:
    endpoints, one, two = Endpoints(), {"Authorization": "a"}, {"Authorization": "b"}
    assert endpoints.of("http://h/v1", one).headers["authorization"] == "a"
    assert endpoints.of("http://h/v1", two).headers["authorization"] == "b"
    assert endpoints.of("http://h/v1", one).headers["authorization"] == "a"


def test_connections_are_shared_by_what_is_at_one_place_and_by_nothing_else() -> None:
    endpoints, headers = Endpoints(), {"Authorization": "a"}
    here = endpoints.of("http://h:8000/v1/chat", headers).idle
    assert endpoints.of("http://h:8000/v1/embeddings", {"Authorization": "b"}).idle is here
    for elsewhere in ("http://h:8001/v1/chat", "https://h:8000/v1/chat", "http://g:8000/v1/chat"):
        assert endpoints.of(elsewhere, headers).idle is not here


def test_headers_made_anew_each_time_are_never_mixed_up_and_take_bounded_memory() -> None:
    endpoints = Endpoints()
    for number in range(2000):
        endpoint = endpoints.of("http://h/v1", {"Authorization": str(number)})
        assert endpoint.headers["authorization"] == str(number)
    assert len(endpoints._known) <= 256


def test_what_is_not_said_has_defaults_and_what_is_said_stands() -> None:
    said = Endpoint("http://h/v1", {"accept-encoding": "identity", "User-Agent": "mine"}).headers
    assert dict(said) == {
        "accept-encoding": "identity",
        "User-Agent": "mine",
        "Accept": "application/json",
        "Content-Type": "application/json",
    }


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://h/v1", "h:80"),
        ("https://h/v1", "h:443"),
        ("http://[::1]:8000/v1", "[::1]:8000"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
    ],
)
def test_a_place_is_host_and_port(url: str, place: str) -> None:
    assert Endpoint(url, {}).place == place


@pytest.mark.parametrize(
    "url", ["", "h/v1", "/v1", "ftp://h/", "http://", "http:///v1", "http://[/"]
)
def test_what_is_not_an_absolute_url_is_refused(url: str) -> None:
    with pytest.raises(JobError, match="not an absolute URL"):
        Endpoint(url, {})
