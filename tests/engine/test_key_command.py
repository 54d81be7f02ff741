"""A key that a command prints."""

from __future__ import annotations

import pytest

from penstock.engine import key_command
from penstock.engine.key_command import key_printed_by
from penstock.engine.secret import Secret
from penstock.errors import JobError

CANARY = "sk-canary-0123456789"


def test_what_a_command_prints_is_the_key_and_it_sees_the_environment() -> None:
    printed = key_printed_by('echo; echo "  $TOKEN " | tr -d x', {"TOKEN": f"x{CANARY}"})
    assert printed == Secret(CANARY)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (f"echo {CANARY} >&2; echo {CANARY}; exit 3", "exit status 3"),
        ("true", "printed 0 lines"),
        (f"echo {CANARY}; echo {CANARY}", "printed 2 lines"),
        (f"printf '{CANARY}\\001\\n'", "characters that no key has"),
        ("no-such-command-here", "exit status 127"),
    ],
)
def test_a_command_that_prints_no_key_is_refused_and_nothing_it_printed_is_shown(
    command: str, says: str
) -> None:
    with pytest.raises(JobError) as caught:
        key_printed_by(command, {})
    assert says in caught.value.what
    assert CANARY not in str(caught.value)


def test_a_command_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_command, "MOST_SECONDS", 0.05)
    with pytest.raises(JobError, match="not at its end"):
        key_printed_by("exec sleep 60", {})
