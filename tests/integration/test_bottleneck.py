"""A run that is made to be limited by one thing names that thing."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

import pytest

from conftest import Simulate
from integration.conftest import MakePlace

QUICK = {"ttft_seconds": 0.01}
SLOW = {"ttft_seconds": 0.1, "ttft_spread": 0.1}
HEAVY = "{% for n in range(4000) %}{% endfor %}{{ text }}"

SLOW_DISK = """
import sys
if "penstock.engine.worker" in sys.orig_argv:
    import time
    from penstock.engine import committer
    from penstock.ledger.segment import SegmentWriter
    write = SegmentWriter.write
    def write_slowly(self, *what):
        time.sleep(0.15)
        return write(self, *what)
    SegmentWriter.write = write_slowly
    committer.BATCH_RESULTS, committer.MOST_UNWRITTEN = 8, 2
"""


@pytest.mark.parametrize(
    ("reason", "rows", "provider", "options", "words"),
    [
        ("requests", 120, QUICK, {"rps": 100}, "requests/s"),
        ("tokens", 250, QUICK, {"tpm": 600_000}, "tokens/min"),
        ("concurrency", 120, SLOW, {"max_concurrency": 8}, "concurrency 8"),
        # Of more rows some would come late enough to be held back by a limit that was found.
        ("throttled", 60, {**QUICK, "rps": 40}, {}, "throttled"),
        ("cpu", 250, QUICK, {"prompt": HEAVY}, "CPU"),
        ("disk", 200, QUICK, {}, "disk"),
    ],
)
def test_what_limits_a_run_has_the_largest_share_of_its_slots_time(
    place: MakePlace,
    simulate: Simulate,
    reason: str,
    rows: int,
    provider: dict[str, Any],
    options: dict[str, Any],
    words: str,
) -> None:
    run = place(rows)
    if reason == "disk":
        run.patched(SLOW_DISK)
    ended = run.run(simulate(**provider).base_url, **options)
    assert ended.code == 0, ended.stderr
    shares = ended.summary["bottleneck"]
    assert max(shares, key=shares.__getitem__) == reason, shares
    assert sum(shares.values()) <= 1.0 + 1e-9
    assert words in ended.summary["limited_by"]


def test_a_run_that_waits_for_its_input_says_so(place: MakePlace, simulate: Simulate) -> None:
    """Standard input in bursts, each of which is answered long before the next is there."""
    run, provider = place(0), simulate(**QUICK)
    rows = [{"text": f"text {n}", "more": "x" * 4000} for n in range(800)]
    bursts = [rows[start : start + 200] for start in range(0, 800, 200)]
    command = run.command(provider.base_url, inputs=["-"], max_concurrency=16)
    process = subprocess.Popen(
        command,
        env=run.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stdin is not None and process.stdout is not None
        for burst in bursts:
            process.stdin.write(b"".join(json.dumps(row).encode() + b"\n" for row in burst))
            process.stdin.flush()
            while not provider.stats()["answered_bodies"]:
                assert process.poll() is None
                time.sleep(0.05)
            time.sleep(0.7)  # this is the slowness of the input
        process.stdin.close()
        shares = json.loads(process.stdout.read())["bottleneck"]
    assert process.returncode == 0
    assert max(shares, key=shares.__getitem__) == "input", shares
