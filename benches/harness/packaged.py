"""Peers that are packages: each in an environment of its own, made on request."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec

from harness.client import Client, Prepared, Task
from harness.loops import BUILD, PEERS, loop_arguments


class Packaged(msgspec.Struct, frozen=True, kw_only=True):
    """A peer, by what is installed for it and the script in peers/ that uses it."""

    name: str
    what: str
    requirements: tuple[str, ...]  # the first one is the peer
    script: str
    weight: float

    @property
    def python(self) -> Path:
        return BUILD / self.name / "bin" / "python"

    def client(self, reason: str | None) -> Client:
        """As something to measure; `reason` is why it could not be installed, if so."""
        if reason is None and not self.python.exists():
            reason = "not installed; peers.py --install does that"
        return Client(
            name=self.name,
            what=self.what,
            prepare=self.prepare,
            version=self.version,
            weight=self.weight,
            optional=True,
            tls=False,
            missing=reason,
        )

    def prepare(self, task: Task) -> Prepared:
        return Prepared([str(self.python), str(PEERS / self.script), *loop_arguments(task)])

    def version(self) -> str:
        package = self.requirements[0].partition("[")[0]
        ask = f"from importlib.metadata import version; print(version({package!r}))"
        return subprocess.run(
            [self.python, "-c", ask], capture_output=True, text=True, check=True
        ).stdout.strip()


PACKAGED = (
    Packaged(
        name="lm-deluge",
        what="lm-deluge's LLMClient.process_prompts_async",
        requirements=("lm-deluge",),
        script="lm_deluge_client.py",
        weight=10,
    ),
    Packaged(
        name="ray-data",
        what="Ray Data's HTTP stage, one actor",
        requirements=("ray[data]", "pydantic", "aiohttp"),
        script="ray_data.py",
        weight=1,  # it takes ten seconds to begin, and not twice the same
    ),
    Packaged(
        name="openai",
        what="the openai SDK, AsyncOpenAI",
        requirements=("openai",),
        script="openai_sdk.py",
        weight=40,
    ),
    Packaged(
        name="litellm",
        what="LiteLLM, acompletion",
        requirements=("litellm",),
        script="litellm_sdk.py",
        weight=100,
    ),
)


def install(peer: Packaged) -> str | None:
    """Make the peer's environment; why that failed, where it did."""
    commands = [
        [sys.executable, "-m", "venv", str(BUILD / peer.name)],
        [str(peer.python), "-m", "pip", "install", "--quiet", *peer.requirements],
    ]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return (done.stderr.strip() or "it failed").splitlines()[-1]
    return None
