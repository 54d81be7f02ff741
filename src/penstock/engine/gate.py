"""Waiting at the gate, where it is shut (see `_core.Gate`)."""

from __future__ import annotations

import asyncio

from penstock._core import Gate


async def enter(gate: Gate) -> None:
    """Wait for a place, and take it."""
    overtaken = False
    while not gate.enter():
        call: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if overtaken:
            gate.line.appendleft(call)
        else:
            gate.line.append(call)
        try:
            await call
        except asyncio.CancelledError:
            if call.done() and not call.cancelled():  # called in the same turn: the next is
                gate.call()
            raise
        overtaken = True
