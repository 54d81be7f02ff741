"""What is the same for all requests of an endpoint, worked out once.

Parsing a URL and building headers cost more than all else that we do for a request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from multidict import CIMultiDict
from yarl import URL

from penstock.errors import JobError

if TYPE_CHECKING:
    from penstock._wire import Line

# gzip: every provider speaks it, nothing else has to be installed, and inflating is bounded.
_DEFAULT_HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "Content-Type": "application/json",
    "User-Agent": "penstock",
}
# What is said once: where to, and how the body is sent.
_OURS: Final = {"host", "content-length", "transfer-encoding"}
_FORBIDDEN: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Endpoint:
    """A URL and its headers, checked and in the forms that aiohttp wants."""

    __slots__ = ("head", "headers", "idle", "place", "source", "url")

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self.idle: dict[Line, None] = {}  # connections to its place that wait to be used
        self.source = headers  # held, so that its id stays its own while this is cached
        self.url = parse_url(url, schemes=("http", "https"), what="the endpoint's URL")
        if self.url.user is not None or self.url.password is not None:
            raise JobError(
                f"the URL of {self.url.host} holds credentials",
                "Take them out of it and send them as a header: --header 'Authorization=env:VAR'.",
            )
        self.place = f"{self.url.host_subcomponent}:{self.url.port}"
        self.headers = CIMultiDict(headers)
        for name, value in self.headers.items():
            if _FORBIDDEN.search(name) or _FORBIDDEN.search(value):
                raise JobError(
                    f"the header {name!r} for {self.place} holds a control character",
                    "Look for a line break at the end of its value.",
                )
        for name, value in _DEFAULT_HEADERS.items():
            self.headers.setdefault(name, value)
        self.head = head_of(self.url, self.headers)


def head_of(url: URL, headers: CIMultiDict[str]) -> bytes:
    """A POST's head, up to where its body's length stands: what follows is all that changes."""
    fields = [("Host", headers.get("Host", url.host_port_subcomponent))]
    fields += [one for one in headers.items() if one[0].lower() not in _OURS]
    lines = [f"POST {url.raw_path_qs} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join([*lines, "Content-Length: "]).encode()


class Endpoints:
    """The endpoints seen so far, by URL and by which headers object came with it."""

    _MOST = 256  # more than any job has; a bound for a caller that makes new headers every time

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], Endpoint] = {}
        self._idle: dict[URL, dict[Line, None]] = {}

    def of(self, url: str, headers: Mapping[str, str]) -> Endpoint:
        """The endpoint of a request; raises JobError where its URL or headers can't be sent."""
        key = (url, id(headers))
        known = self._known.get(key)
        if known is None:
            known = Endpoint(url, headers)
            known.idle = self._idle.setdefault(known.url.origin(), known.idle)
            if len(self._known) >= self._MOST:
                self._known.clear()
            self._known[key] = known
        return known


def parse_url(text: str, *, schemes: tuple[str, ...], what: str) -> URL:
    """Parse an absolute URL; raises JobError, which never repeats the text: it may be secret."""
    try:
        url = URL(text)
        if url.scheme in schemes and url.host and url.port:
            return url
    except ValueError:
        pass
    raise JobError(
        f"{what} is not an absolute URL",
        f"It has to look like {schemes[0]}://host:port/path.",
    )


def parse_proxy(proxy: str) -> URL:
    """A proxy's URL. Raises JobError unless it is an http:// one."""
    return parse_url(proxy, schemes=("http",), what="--proxy")
