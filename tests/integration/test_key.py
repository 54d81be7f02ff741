"""The key: it may die, it may change, and it is nowhere but in the requests."""

from __future__ import annotations

import base64
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa

from conftest import Simulate
from integration.conftest import MakePlace
from integration.place import Place
from integration.server import answering, asked, chat, echo, refusal, serving
from transport.raw import counted

ROWS = 400
KEY = "sk-canary/42+x=/do-not-write-me-down"
OTHER_KEY = "sk-other/43+y=/do-not-write-me-down"


def traces_of(key: str, folder: Path) -> list[str]:
    """Where below `folder` the key is found: as it is, in base64, or in a segment's cells."""
    forms = [key.encode(), *(base64.b64encode(b" " * n + key.encode())[4:-4] for n in range(3))]
    found = []
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes() + cells_of(path)
            found += [f"{path}: {form!r}" for form in forms if form in data]
    return found


def cells_of(path: Path) -> bytes:
    """All that a segment's or a checkpoint's batches hold, decompressed."""
    if path.suffix != ".arrow":
        return b""
    table = pa.ipc.open_file(path).read_all()
    return repr((table.schema.metadata, table.to_pylist())).encode()


def test_a_key_that_dies_half_way_stops_the_run_and_costs_no_row(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(ROWS), simulate(key_dies_after=ROWS // 2)
    run.environment["THE_KEY"] = KEY
    ended = run.run(provider.base_url, api_key_env="THE_KEY", max_concurrency=16, workers=2)
    assert ended.code == 4, ended.stderr
    assert "--api-key-env" in ended.stderr
    stopped = ended.summary
    assert stopped["failed"] == 0
    assert stopped["succeeded"] == provider.stats()["answered_bodies"] == ROWS // 2
    assert stopped["pending"] == ROWS - ROWS // 2
    assert not run.output.exists()
    check_secrecy(run, ended.stdout + ended.stderr, KEY)
    provider.reset()
    run.environment["THE_KEY"] = OTHER_KEY
    ended = run.run(provider.base_url, api_key_env="THE_KEY", max_concurrency=16)
    assert ended.code == 0, ended.stderr
    assert provider.stats()["received"] == ROWS - ROWS // 2
    run.check_answers()
    assert run.dead_letters() == []
    check_secrecy(run, ended.stdout + ended.stderr, OTHER_KEY)


def check_secrecy(run: Place, said: str, key: str) -> None:
    assert key not in said
    assert traces_of(key, run.folder) == []


def test_the_search_for_traces_finds_a_key_in_a_compressed_segment(tmp_path: Path) -> None:
    batch = pa.record_batch({"output": [f"a key: {KEY}"]})
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(tmp_path / "x.arrow", batch.schema, options=options) as writer:
        writer.write_batch(batch)
    (tmp_path / "y").write_bytes(base64.b64encode(f"a key: {KEY}".encode()))
    assert len(traces_of(KEY, tmp_path)) == 2


def echo_the_key(head: str, body: dict[str, Any]) -> bytes:
    """An answer, or every third time a refusal, with the key in each place that is kept."""
    key = head.partition("Authorization: ")[2].partition("\r\n")[0] or head
    header = f"x-request-id: req {key}\r\n"
    if int(asked(body).split()[1].strip(",")) % 3 == 0:
        return refusal(400, f"no: {key}", code=key, type=key)
    return counted(chat(f"echo: {asked(body)} {key}", model=key), headers=header)


def test_a_server_that_echoes_the_key_everywhere_does_not_get_it_written_down(
    place: MakePlace,
) -> None:
    run = place(60)
    run.environment["THE_KEY"] = KEY
    with serving(answering(echo_the_key)) as base_url:
        ended = run.run(base_url, api_key_env="THE_KEY", response="always")
        assert ended.code == 3, ended.stderr
        assert len(run.dead_letters()) == 20
        assert "***" in run.results()[1]["output"]
        with run.start(base_url, api_key_env="THE_KEY", fresh=True, yes=True) as live:
            live.until_running(1)
            lines = [arguments(one.pid) for one in live.workers()] + [arguments(live.process.pid)]
            live.wait()
    assert not [line for line in lines if KEY.encode() in line]
    check_secrecy(run, ended.stdout + ended.stderr, KEY)


def arguments(pid: int) -> bytes:
    """What anyone on the machine may read of a process."""
    path = Path(f"/proc/{pid}/cmdline")
    return path.read_bytes() if path.exists() else b""


def test_a_key_file_that_changes_during_the_run_is_read_again_and_the_run_goes_on(
    place: MakePlace,
) -> None:
    run, key_file, lock = place(ROWS), Path(), threading.Lock()
    key_file = run.folder.parent / f"{run.folder.name}.key"
    key_file.write_text(KEY)
    seen = {"good": KEY, "answered": 0, "refused": 0}

    def answer(head: str, body: dict[str, Any]) -> bytes:
        with lock:
            if f"Bearer {seen['good']}\r\n" not in head:
                seen["refused"] += 1
                return refusal(401, "no such key", code="invalid_api_key")
            seen["answered"] += 1
            if seen["answered"] == ROWS // 2:
                key_file.write_text(OTHER_KEY)
                seen["good"] = OTHER_KEY
            return echo(head, body)

    with serving(answering(answer)) as base_url:
        ended = run.run(base_url, api_key_file=key_file, max_concurrency=32, workers=2)
    assert ended.code == 0, ended.stderr
    assert seen["refused"] > 1
    run.check_answers()
    assert run.dead_letters() == []


def test_a_key_file_that_is_gone_when_the_key_dies_is_a_matter_for_the_user_and_no_row_s_fault(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(ROWS), simulate(key_dies_after=ROWS // 2)
    key_file = run.folder.parent / f"{run.folder.name}.key"
    key_file.write_text(KEY)
    with run.start(provider.base_url, api_key_file=key_file, max_concurrency=4) as live:
        live.until_running(1)
        key_file.unlink()
        ended = live.wait()
    assert ended.code == 4, ended.stderr
    assert ended.summary["failed"] == 0
    assert not [one for one in run.events() if one["event"] == "row_quarantined"]


def test_an_unknown_model_stops_the_run_after_a_handful_of_requests(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(2000), simulate()
    ended = run.run(provider.base_url, model="does-not-exist", max_concurrency=16)
    assert ended.code == 4, ended.stderr
    assert "--model" in ended.stderr
    assert ended.summary["failed"] == 0
    assert provider.stats()["received"] <= 16
