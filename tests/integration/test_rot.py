"""Batches that rotted after they were written."""

from __future__ import annotations

from conftest import Simulate
from integration.conftest import MakePlace


def test_what_rotted_is_missed_by_the_export_and_asked_again_by_the_next_run(
    place: MakePlace, simulate: Simulate
) -> None:
    """The checkpoint still says that every row is done, and must not be believed twice."""
    run, provider = place(300), simulate()
    assert run.run(provider.base_url).code == 0
    (segment,) = (run.run_dir / "segments").glob("*.arrow")
    data = bytearray(segment.read_bytes())
    data[data.index(b"text 150")] ^= 1
    segment.write_bytes(data)
    missed = run.run(provider.base_url)
    assert missed.code == 6, missed.stderr
    assert "has no result" in missed.stderr
    ended = run.run(provider.base_url)
    assert ended.code == 0, ended.stderr
    run.check_answers()
    assert provider.stats()["asked_again"] > 0
