"""A key is in the requests and nowhere else, whatever the server, a crash or the user does."""

from __future__ import annotations

import base64
import json
import signal
import threading
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from integration.canary import HEADER_KEY, KEY, SHOWN, found_below, spelled, traces
from integration.conftest import MakePlace
from integration.place import Ended, Live, Place
from integration.server import answering, asked, chat, echo, refusal, serving
from transport.raw import Peer, chunked, counted

FORMS = list(SHOWN.values())
PLACES = 8  # of an answer, where a key may stand
CUT = 6  # the one in which the answer is cut
ROWS = PLACES * len(FORMS)


class Parrot:
    """A server that shows the keys it is sent: in another place each row, in all forms by turns."""

    def __init__(self) -> None:
        self._asked: Counter[int] = Counter()
        self._lock = threading.Lock()
        self.keys: set[str] = set()

    async def serve(self, peer: Peer) -> None:
        """Answer request for request; an answer that is cut ends the connection."""
        while True:
            body = json.loads(await peer.request())
            answer, cut = self._answer(peer.heads.pop().decode(), body)
            peer.say(answer)
            if cut:
                return

    def _answer(self, head: str, body: dict[str, Any]) -> tuple[bytes, bool]:
        row = int(asked(body).split()[1].strip(","))
        place, form = row % PLACES, FORMS[row // PLACES]
        with self._lock:
            self.keys |= {key for key in (KEY, HEADER_KEY) if key in head}
            self._asked[row] += 1
            again = self._asked[row] > 1
        said = f"{form(KEY)} {form(HEADER_KEY)}"
        cut = place == CUT and not again
        answer = self._said(place, f"echo: {asked(body)}", said, again)
        return (answer[:-40], True) if cut else (answer, False)

    def _said(self, place: int, good: str, keys: str, again: bool) -> bytes:
        headers = f"x-request-id: {'r' * 180} {keys}\r\nserver: {keys}\r\n"
        match place:
            case 0:
                return counted(chat(f"{good} {keys}", model=keys), headers=headers)
            case 1:  # where messages and codes are cut
                filler = "no " * 160
                return refusal(400, f"{filler}{keys}", code=f"{'c' * 90}{keys}", type=keys)
            case 2:  # in chunks that end within a key
                return chunked(chat(f"{good} {keys}"), headers=headers, pieces=97)
            case 3:
                text = spelled(json.dumps(f"{good} {keys}")[1:-1])
                return counted(chat("@").replace(b'"@"', f'"{text}"'.encode()), headers=headers)
            case 4 if not again:
                waits = f"retry-after: {keys}\r\nretry-after-ms: 50\r\n"
                return counted(f"<title>{keys}</title>".encode(), 503, headers + waits)
            case 5 if not again:
                return counted(json.dumps({"error": {"message": keys, "code": 503}}).encode())
            case 6 if not again:  # cut
                return counted(chat(f"{good} {keys}"), headers=headers)
            case _:
                return counted(chat(good, finish_reason=keys), headers=headers)


def keyed(run: Place) -> dict[str, Any]:
    """The options of a run with two keys; its environment gets them."""
    run.environment |= {"THE_KEY": KEY, "OTHER_KEY": HEADER_KEY}
    return {"api_key_env": "THE_KEY", "header": {"X-Other": "env:OTHER_KEY"}}


def check(run: Place, *said: str | bytes) -> None:
    """No key is below the run's folder, nor in anything that was said."""
    for key in (KEY, HEADER_KEY):
        found = found_below(key, run.folder)
        assert found == [], "\n".join(found)
        for one in said:
            data = one if isinstance(one, bytes) else one.encode()
            assert traces(key, data) == [], data[-2000:]


def test_the_search_finds_a_key_in_whatever_form_it_is(tmp_path: Path) -> None:
    for name, form in SHOWN.items():
        assert traces(HEADER_KEY, form(HEADER_KEY).encode()), name
    assert traces(KEY, spelled(KEY).encode())
    batch = pa.record_batch({"output": [f"a key: {KEY}"] * 99})
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(tmp_path / "x.arrow", batch.schema, options=options) as writer:
        writer.write_batch(batch, custom_metadata={"k": "v"})
    (tmp_path / "y").write_bytes(base64.b64encode(f"a key: {KEY}".encode()))
    assert len({one.partition(":")[0] for one in found_below(KEY, tmp_path)}) == 2


def test_a_server_that_shows_the_keys_everywhere_does_not_get_them_kept(place: MakePlace) -> None:
    run, parrot = place(ROWS), Parrot()
    options = keyed(run) | {"response": "always", "max_concurrency": 8, "stop_failed": "100%"}
    with serving(parrot.serve) as base_url:
        with run.start(
            base_url, **options, progress="json", metrics_port="auto", rps=40, workers=2
        ) as live:
            live.until_running(2)
            live.until(lambda: len(parrot._asked) > ROWS // 2)
            seen = [scraped(live), *arguments_of(live)]
            live.until(run.output.exists)
            live.signal(signal.SIGINT)  # to wait for no further scrape
            ended = live.wait()
        assert ended.code == 3, ended.stderr
        assert parrot.keys == {KEY, HEADER_KEY}
        check(run, ended.stdout, ended.stderr, *seen)
        run.check_answers(dead=range(1, ROWS, PLACES))
        assert "***" in run.results()[0]["output"]
        assert len(run.dead_letters()) == len(FORMS)
        check(run, *(part for one in all_that_tells(run) for part in (one.stdout, one.stderr)))


def scraped(live: Live) -> bytes:
    """The metrics, of whatever port the run says that they are on."""
    port = next((w for w in live.stderr.split('"') if "metrics are on port" in w), "port 9464")
    url = f"http://127.0.0.1:{port.split()[-1]}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        body = bytes(answer.read())
    assert b"penstock_requests_total" in body
    return body


def arguments_of(live: Live) -> list[bytes]:
    """What anyone on the machine may read of the run's processes."""
    pids = [live.process.pid, *(one.pid for one in live.workers())]
    paths = [Path(f"/proc/{pid}/cmdline") for pid in pids]
    return [path.read_bytes() for path in paths if path.exists()]


def all_that_tells(run: Place) -> list[Ended]:
    """Every command that reads a run."""
    return [
        run.penstock("status", run.run_dir),
        run.penstock("show", run.run_dir, "--row", 1),
        run.penstock("show", run.run_dir, "--row", 3, "--curl"),
        run.penstock("export", run.run_dir, "-o", run.folder / "again.parquet"),
    ]


@pytest.mark.parametrize("ending", ["redirect", "refused key"])
def test_a_refusal_that_stops_the_run_does_not_quote_the_keys(
    place: MakePlace, ending: str
) -> None:
    run = place(4)
    options = keyed(run)
    host = KEY.replace("/", "").replace("+", "").replace("=", "")
    run.environment["THE_KEY"] = host
    answers = {
        "redirect": counted(b"", 307, f"location: http://{host}:80/\r\n"),
        "refused key": refusal(401, f"no: {host} {HEADER_KEY}", code="invalid_api_key"),
    }
    with serving(answering(lambda head, body: answers[ending])) as base_url:
        ended = run.run(base_url, **options, progress="bar")
    assert ended.code == 4, ended.stderr
    check(run, ended.stdout, ended.stderr)
    assert traces(host, (ended.stdout + ended.stderr).encode()) == []
    assert found_below(host, run.folder) == []


CRASHES = {
    "a worker, by one row": """
if "penstock.engine.worker" in sys.orig_argv:
    from penstock.engine import asker
    judge = asker.Asker._judge
    def judge_or_fail(self, ask, *judged):
        if b"text 3," in ask.body:
            raise RuntimeError(f"headers were {self._headers}")
        return judge(self, ask, *judged)
    asker.Asker._judge = judge_or_fail
""",
    "a worker, at its start": """
if "penstock.engine.worker" in sys.orig_argv:
    from penstock.providers import provider
    def fail(*_, **__):
        raise RuntimeError(f"no: {os.environ['THE_KEY']} {os.environ['OTHER_KEY']}")
    provider.provider_for = fail
""",
    "the supervisor": """
if "penstock.engine.worker" not in sys.orig_argv:
    from penstock.engine import supervisor
    def fail(self, now_ns):
        key = self._plan.endpoints[0].key.reveal()
        raise RuntimeError(f"no: {key} {self._plan.endpoints[0].headers}")
    supervisor.Supervisor._sample = fail
""",
}


@pytest.mark.parametrize("source", CRASHES.values(), ids=CRASHES)
def test_a_crash_with_the_keys_in_its_words_does_not_show_them(
    place: MakePlace, source: str
) -> None:
    run = place(6)
    options = keyed(run)
    run.patched("import os, sys\n" + source)
    with serving(answering(echo)) as base_url:
        ended = run.run(base_url, **options, rps=5)
    assert ended.code in (3, 6), ended.stderr
    assert "***" in ended.stderr
    check(run, ended.stdout, ended.stderr)
