"""The endpoints of a run as its supervisor sees them: who is out, and who has another key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from engine.limiters import limiter
from engine.virtual_time import Clock, VirtualLoop
from penstock.engine.messages import EndpointSetup, Failing, Fatal, Message, NewKey, Out
from penstock.engine.plan import EndpointPlan
from penstock.engine.retry import FAILURES_UNTIL_DOWN
from penstock.engine.run_endpoints import RunEndpoints
from penstock.engine.secret import Secret
from penstock.engine.stopping import Stopped
from penstock.errors import EXIT_PROVIDER, JobError
from penstock.job import Job
from penstock.observe import events
from penstock.observe.state import Endpoint, RunState

SECOND = 1_000_000_000
REVOKED = Fatal("auth", "bad key", 401)


class Scene:
    """Endpoints `a` and `b`, of which the first may have a command that prints these keys."""

    def __init__(
        self, loop: VirtualLoop, *printed: str | Exception, refresh: float | None = None
    ) -> None:
        self.loop = loop
        self.printed = list(printed)
        self.events: list[events.Event] = []
        self.sent: list[Message] = []
        self.hidden: list[str] = []
        self.stopped: list[Stopped] = []
        self.limiters = [limiter(), limiter()]
        plans = [
            EndpointPlan(
                name=name,
                job=Job(api_key_refresh=refresh if name == "a" else None),
                key=Secret(f"{name}-first"),
                headers={},
                buckets=[],
                largest_tokens=1,
                room=3,
                places=3,
                first_places=3,
                renew=self._print if name == "a" and printed else None,
            )
            for name in "ab"
        ]
        self.state = RunState(
            run_id="r", started_ns=0, started_at=0.0, endpoints={"a": Endpoint(), "b": Endpoint()}
        )
        self.endpoints = RunEndpoints(
            SimpleNamespace(endpoints=plans, workers=2),  # type: ignore[arg-type]
            self.state,
            self.events.append,
            send=self.sent.append,
            hide=self.hidden.append,
            on_stop=self.stopped.append,
            on_ended=lambda task: task.result(),
        )

    def _print(self) -> Secret:
        said = self.printed.pop(0)
        if isinstance(said, Exception):
            raise said
        return Secret(said)

    def setups(self, seat: int = 0, quarantine: bool = False) -> tuple[EndpointSetup, ...]:
        worker = SimpleNamespace(seat=seat, quarantine=quarantine)
        return self.endpoints.setups(worker)  # type: ignore[arg-type]

    def watch(self) -> None:
        self.endpoints.watch(self.limiters, self.loop.now_ns)

    def told(self) -> list[str]:
        return [type(one).__name__ for one in self.events]


Play = Callable[..., None]


@pytest.fixture
def play(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Play:
    async def at_once(work: Callable[[], Any]) -> Any:
        await asyncio.sleep(0)
        return work()

    monkeypatch.setattr("penstock.engine.run_endpoints.asyncio.to_thread", at_once)

    def run(
        main: Callable[[Scene], Coroutine[Any, Any, None]], *printed: str | Exception, **more: Any
    ) -> None:
        clock.run(lambda loop: main(Scene(loop, *printed, **more)))

    return run


def test_one_that_refuses_for_good_is_out_and_the_last_one_ends_the_run(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.endpoints.refused(REVOKED)
        scene.endpoints.refused(REVOKED)  # of another worker
        assert scene.sent == [Out(0)]
        assert scene.told() == ["EndpointOut"]
        assert "a refuses for good, auth (HTTP 401): bad key" in scene.events[0].text
        assert "Check the key" in scene.events[0].text
        assert [one.out for one in scene.setups()] == [True, False]
        assert scene.stopped == []
        scene.endpoints.refused(Fatal("quota", "no money", 429, 1))
        assert [one.exit_code for one in scene.stopped] == [EXIT_PROVIDER]
        assert "b refuses for good, quota" in scene.stopped[0].message

    play(main)


def test_each_worker_has_its_own_places_and_a_quarantine_one_of_each(play: Play) -> None:
    async def main(scene: Scene) -> None:
        places = [[one.places for one in scene.setups(seat)] for seat in (0, 1)]
        assert places == [[2, 1], [1, 2]]
        assert [one.places for one in scene.setups(quarantine=True)] == [1, 1]

    play(main)


def test_what_goes_down_comes_back_or_pauses_for_long_is_told_by_name(play: Play) -> None:
    async def main(scene: Scene) -> None:
        for _ in range(FAILURES_UNTIL_DOWN):
            scene.limiters[1].record_failure()
        scene.endpoints.failing(Failing("HTTP 502", 1))
        scene.watch()
        assert scene.told() == ["EndpointDown"]
        assert (scene.state.endpoints["a"].up, scene.state.endpoints["b"].up) == (True, False)
        scene.limiters[1].record_success()
        scene.limiters[0].pause(scene.loop.now_ns + 60 * SECOND)
        for _ in range(3):
            scene.watch()
        assert sorted(scene.told()) == ["EndpointDown", "EndpointPaused", "EndpointUp"]

    play(main)


def test_a_refused_key_is_renewed_once_for_all_workers(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.endpoints.refused(REVOKED)
        scene.endpoints.refused(REVOKED)
        await asyncio.sleep(1)
        assert scene.sent == [NewKey(0, "second", 1)]
        assert scene.hidden == ["second"]
        setup = scene.setups()[0]
        assert (setup.key, setup.key_number, setup.out) == ("second", 1, False)
        scene.endpoints.refused(REVOKED)  # sent with the first key
        await asyncio.sleep(1)
        assert len(scene.sent) == 1
        scene.endpoints.refused(Fatal("auth", "expired", 401, 0, 1))
        await asyncio.sleep(1)
        assert scene.sent[1:] == [NewKey(0, "third", 2)]
        assert scene.events == []

    play(main, "second", "third")


@pytest.mark.parametrize("printed", ["a-first", JobError("it ended with exit status 1")])
def test_where_there_is_no_other_key_the_endpoint_is_out(
    play: Play, printed: str | Exception
) -> None:
    async def main(scene: Scene) -> None:
        scene.endpoints.refused(REVOKED)
        await asyncio.sleep(1)
        assert scene.sent == [Out(0)]
        assert scene.told()[-1] == "EndpointOut"

    play(main, printed)


def test_another_verdict_than_auth_asks_for_no_other_key(play: Play) -> None:
    async def main(scene: Scene) -> None:
        scene.endpoints.refused(Fatal("quota", "no money", 429))
        await asyncio.sleep(1)
        assert scene.sent == [Out(0)]

    play(main, "second")


def test_a_key_is_renewed_before_it_expires_and_a_failure_then_is_a_warning(play: Play) -> None:
    async def main(scene: Scene) -> None:
        for _ in range(35 * 4):
            scene.watch()
            await asyncio.sleep(0.25)
        assert scene.sent == [NewKey(0, "second", 1), NewKey(0, "third", 2)]
        assert scene.told() == ["Warned"]
        assert not scene.state.endpoints["a"].out

    play(main, "second", JobError("no"), "third", refresh=10.0)
