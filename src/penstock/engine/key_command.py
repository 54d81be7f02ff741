"""A key that a command prints: for tokens that expire."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

from penstock.engine.secret import Secret, checked
from penstock.errors import JobError

MOST_SECONDS = 60.0
BY_HAND = "Run it by hand to see what it says."  # which may be a secret, so it is not shown


def key_printed_by(command: str, environment: Mapping[str, str]) -> Secret:
    """Run a command in a shell and take what it prints for the key. It blocks. Raises JobError."""
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            timeout=MOST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise JobError(
            f"--api-key-command: not at its end after {MOST_SECONDS:g} s", BY_HAND
        ) from None
    except OSError as error:
        raise JobError(f"--api-key-command: {error.strerror}", "Mend that.") from None
    if done.returncode:
        raise JobError(f"--api-key-command: ended with exit status {done.returncode}", BY_HAND)
    lines = done.stdout.decode("utf-8", "replace").split("\n")
    printed = [line.strip() for line in lines if line.strip()]
    if len(printed) != 1:
        raise JobError(
            f"--api-key-command: printed {len(printed)} lines",
            "It has to print the key, and nothing else.",
        )
    return checked(printed[0], "--api-key-command")
