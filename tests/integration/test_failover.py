"""Several endpoints, and what befalls one of them: every row is answered, each limit is kept."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from conftest import Simulate
from integration.conftest import MakePlace
from integration.place import Place

ROWS = 600
KEY = "sk-canary/0123456789+abc"


def endpoints(*tables: dict[str, Any]) -> str:
    return json.dumps(tables)


def answered_by(run: Place) -> Counter[str]:
    return Counter(one["endpoint"] for one in run.results())


def happened(events: list[dict[str, object]], name: str) -> bool:
    return any(one["event"] == name for one in events)


def test_one_that_is_killed_costs_no_row_and_the_other_keeps_its_rate(
    place: MakePlace, simulate: Simulate
) -> None:
    run = place(ROWS)
    doomed, sound = simulate(ttft_seconds=0.02), simulate(ttft_seconds=0.02)
    several = endpoints(
        {"name": "doomed", "base_url": doomed.base_url, "rps": 100},
        {"name": "sound", "base_url": sound.base_url, "rps": 100},
    )
    with run.start(sound.base_url, endpoints=several, max_attempts=1) as live:
        live.until(lambda: doomed.stats()["answered_bodies"] > 60)
        doomed.stop()
        ended = live.wait()
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert happened(run.events(), "endpoint_down")
    assert "doomed is down" in ended.stderr
    by = answered_by(run)
    assert set(by) == {"doomed", "sound"} and by["sound"] > by["doomed"] > 50
    assert sound.stats()["busiest_second"] <= 110  # by the server's clock


def test_one_with_a_revoked_key_is_out_and_one_that_throttles_is_left_alone(
    place: MakePlace, simulate: Simulate
) -> None:
    run = place(ROWS)
    good = simulate(ttft_seconds=0.02)
    revoked = simulate(key="another", ttft_seconds=0.02)
    tight = simulate(rps=20, ttft_seconds=0.02, retry_after_seconds=1.0)
    several = endpoints(
        {"name": "good", "base_url": good.base_url, "rps": 150},
        {"name": "revoked", "base_url": revoked.base_url, "api_key_env": "REVOKED"},
        {"name": "tight", "base_url": tight.base_url, "rps": 60},
    )
    run.environment["REVOKED"] = KEY
    ended = run.run(good.base_url, endpoints=several)
    assert ended.code == 0, ended.stderr
    run.check_answers()
    by = answered_by(run)
    assert set(by) == {"good", "tight"}
    assert "revoked refuses for good, auth (HTTP 401)" in ended.stderr
    assert revoked.stats()["answered_bodies"] == 0
    assert good.stats()["busiest_second"] <= 160
    assert KEY not in ended.stderr


def test_the_last_endpoints_fatal_verdict_ends_the_run_with_exit_4(
    place: MakePlace, simulate: Simulate
) -> None:
    run, one, other = place(100), simulate(key="a-key-000"), simulate(key="b-key-000")
    several = endpoints({"base_url": one.base_url}, {"base_url": other.base_url})
    ended = run.run(one.base_url, endpoints=several)
    assert ended.code == 4, ended.stderr
    assert ended.summary["succeeded"] == 0 and ended.summary["failed"] == 0
    assert "refuses for good" in ended.summary["message"]


def test_a_key_that_expires_is_printed_anew_by_its_command(
    place: MakePlace, simulate: Simulate, tmp_path: Path
) -> None:
    """The first key that the command prints is an old one."""
    run, provider = place(100), simulate(key=KEY)
    calls = tmp_path / "calls"
    script = tmp_path / "token.sh"
    script.write_text(
        f"if [ -e {calls} ]; then echo '{KEY}'; else echo sk-expired-000; touch {calls}; fi\n"
    )
    ended = run.run(provider.base_url, api_key_command=f"sh {script}", workers=2)
    assert ended.code == 0, ended.stderr
    run.check_answers()
    kept = b"".join(path.read_bytes() for path in run.run_dir.rglob("*") if path.is_file())
    assert KEY.encode() not in kept and b"sk-expired-000" not in kept
