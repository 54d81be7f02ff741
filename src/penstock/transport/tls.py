"""Whom to trust where TLS is spoken."""

from __future__ import annotations

import ssl

from penstock.errors import JobError


def tls_context(ca_file: str) -> ssl.SSLContext:
    """What trusts the authorities in a file. Raises JobError where there are none."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, FileNotFoundError) else "not in PEM format"
        raise JobError(
            f"can't read the certificates of --ca-file {ca_file}: {words}",
            "Give a file of one or more CERTIFICATE blocks in PEM format.",
        ) from None
    context.set_alpn_protocols(["http/1.1"])
    return context
