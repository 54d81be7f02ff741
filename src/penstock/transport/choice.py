"""Which transport serves a job."""

from __future__ import annotations

from penstock.transport.direct import DirectTransport
from penstock.transport.session import SessionTransport
from penstock.transport.transport import Transport


def transport_for(timeout_seconds: float, ca_file: str | None, proxy: str | None) -> Transport:
    """The direct transport wherever it serves, which is without a proxy.

    Raises JobError for a file or a proxy that can't work.
    """
    if proxy is None:
        return DirectTransport(timeout_seconds, ca_file=ca_file)
    return SessionTransport(timeout_seconds, ca_file=ca_file, proxy=proxy)
