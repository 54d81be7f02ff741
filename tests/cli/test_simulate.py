from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec
import pytest

import penstock.simulator
from cli.conftest import Penstock
from penstock.cli.simulate import key_of
from penstock.errors import UsageError
from penstock.simulator import Settings


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings of each simulator that a command would have served."""
    found: list[Settings] = []

    def serve(settings: Settings, announce: Callable[[str], None]) -> None:
        found.append(settings)
        announce("http://127.0.0.1:8000/v1")

    monkeypatch.setattr(penstock.simulator, "serve", serve)
    return found


def test_without_flags_all_is_as_the_settings_have_it(
    penstock: Penstock, served: list[Settings]
) -> None:
    found = penstock("simulate")
    assert found.code == 0 and served == [Settings()]
    assert found.out == "http://127.0.0.1:8000/v1\n"
    assert "--base-url http://127.0.0.1:8000/v1" in found.err
    assert "curl -s http://127.0.0.1:8000/stats" in found.err


def test_every_setting_but_the_key_is_a_flag(penstock: Penstock, served: list[Settings]) -> None:
    values: dict[str, Any] = {
        "host": "localhost",
        "certfile": "a",
        "keyfile": "b",
        "tpm_counts": "asked",
        "rate_headers": "together",
        "count_refused": True,
        "models": ("a", "b"),
        "ttft_spread": 0.25,
    }
    flags: list[str] = []
    for field in msgspec.structs.fields(Settings):
        if field.name == "key":
            continue
        default = field.default
        value = values.setdefault(
            field.name, 0.01 if isinstance(default, float) and default <= 1 else 2
        )
        flag = "--" + field.name.replace("_", "-")
        if value is True:
            flags.append(flag)
        for one in value if isinstance(value, tuple) else () if value is True else (value,):
            flags += [flag, str(one)]
    assert penstock("simulate", *flags).code == 0
    assert served == [Settings(**values)]


def test_a_share_may_be_in_percent(penstock: Penstock, served: list[Settings]) -> None:
    assert penstock("simulate", "--throttle", "1%", "--reject", "0.5").code == 0
    assert (served[0].throttle, served[0].reject) == (0.01, 0.5)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--throttle", "200%"], "'200%' is no share"),
        (["--rps", "x"], "'x' is not a valid integer"),
        (["--rps", "-1"], "rps = -1 is out of bounds"),
        (["--throttle", "60%", "--timeout", "0.6"], "add up to 1.2"),
        (["--tpm-counts", "x"], "is not one of 'used', 'asked'"),
        (["--key", "sk-1"], "there is no option --key\nDid you mean --key"),
        (["--certfile", "a"], "TLS needs certfile and keyfile"),
        (["--key-env", "SURELY_NOT_SET"], "there is no key in the environment variable"),
    ],
)
def test_settings_that_can_not_be_are_refused(
    penstock: Penstock, served: list[Settings], flags: list[str], says: str
) -> None:
    found = penstock("simulate", *flags)
    assert (found.code, found.out, served) == (2, "", []) and says in found.err


def test_the_key_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sk-file\n")
    assert key_of(None, None, {}) is None
    assert key_of("KEY", None, {"KEY": " sk-env "}) == "sk-env"
    assert key_of(None, str(file), {}) == "sk-file"
    with pytest.raises(UsageError, match="both"):
        key_of("KEY", str(file), {"KEY": "a"})
    file.write_text("\n")
    for variable, path in (("KEY", None), (None, str(file)), (None, str(tmp_path / "none"))):
        with pytest.raises(UsageError):
            key_of(variable, path, {})


def test_it_serves_until_it_is_interrupted() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "penstock.cli", "simulate", "--seed", "7"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        base_url = process.stdout.readline().strip()
        with urlopen(base_url.removesuffix("/v1") + "/stats", timeout=10) as answer:
            assert json.load(answer)["in_flight"] == 0
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (0, "") and "Ctrl+C" in err
