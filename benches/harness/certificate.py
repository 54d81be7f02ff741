"""A certificate for 127.0.0.1 that vouches for itself, made for one run."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple


class Certificate(NamedTuple):
    """A certificate that is its own authority, and its key."""

    path: Path
    key_path: Path

    @classmethod
    def made(cls, folder: Path) -> Certificate:
        """Made by openssl: ECDSA P-256, what most providers' servers show today."""
        made = cls(folder / "certificate.pem", folder / "key.pem")
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
                *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
                *("-addext", "subjectAltName=IP:127.0.0.1"),
                *("-addext", "basicConstraints=critical,CA:TRUE"),
                *("-keyout", str(made.key_path), "-out", str(made.path)),
            ],
            check=True,
            capture_output=True,
        )
        return made
