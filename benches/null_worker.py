"""A worker that asks nobody: every row it is leased ends at once, written as real workers write.

It is what measures the supervisor, whose work is the same whether answers come over the wire or
not: it gives credit, takes leases, writes and syncs segments and tells of them by the real code.
One row in a thousand fails. `ENVIRONMENT` makes a run start it in place of its own workers.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import uvloop

from penstock._core import monotonic_ns
from penstock.disk import Disk
from penstock.engine.channel import Channel
from penstock.engine.leases import count
from penstock.engine.messages import (
    Committed,
    Cut,
    Drain,
    FromSupervisor,
    Goodbye,
    Hello,
    Lease,
    Setup,
    Want,
)
from penstock.engine.region import Region
from penstock.ledger.mark import ShardMark
from penstock.ledger.schema import RESULT_SCHEMA
from penstock.ledger.segment import SegmentWriter
from penstock.observe.slab_layout import C

BATCH_ROWS = 256
ANSWER = "forty-two " * 20
HELD_ROWS = 2048  # as a real worker holds at 8,000 records a second
FAILED_ONE_IN = 1000
SYNC_SECONDS = 1.0

SITE = """
import os, sys
if "penstock.engine.worker" in sys.orig_argv:
    import null_worker
    os._exit(null_worker.main(sys.orig_argv[-4:]))
"""


def environment(folder: Path) -> dict[str, str]:
    """An environment in which runs have these workers."""
    (folder / "sitecustomize.py").write_text(SITE)
    folders = (str(folder), str(Path(__file__).parent), os.environ.get("PYTHONPATH", ""))
    return os.environ | {"PYTHONPATH": ":".join(filter(None, folders))}


class NullWorker:
    """One such worker, from its first message to its last."""

    def __init__(self, region_descriptor: int) -> None:
        loop = asyncio.get_running_loop()
        self._region_descriptor = region_descriptor
        self._channel: Channel[FromSupervisor] = Channel(FromSupervisor, self._received, self._lost)
        self._setup: asyncio.Future[Setup] = loop.create_future()
        self._over = asyncio.Event()
        self._rows: list[int] = []
        self._shards: set[ShardMark] = set()
        self._promised = 0
        self._random = random.Random(0)

    async def live(self, ours: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self._channel, sock=ours)
        setup = await self._setup
        self._slab = Region(setup.layout, self._region_descriptor).slab(setup.seat)
        folder = Path(setup.run_directory) / "segments"
        self._writer = SegmentWriter(Disk(), folder, setup.run_id, setup.epoch, setup.worker)
        self._channel.send(Hello(os.getpid()))
        synced_at = loop.time()
        while not self._over.is_set():
            self._slab.set(C.HEARTBEAT_NS, monotonic_ns())
            idle = not self._write()
            self._ask()
            if loop.time() - synced_at > SYNC_SECONDS or (idle and self._promised == HELD_ROWS):
                synced_at = loop.time()
                self._tell(await loop.run_in_executor(None, self._writer.sync))
            await asyncio.sleep(0.005 if idle else 0)
        self._tell(self._writer.close())
        self._channel.send(Goodbye())
        self._channel.close()
        await asyncio.sleep(0)

    def _received(self, message: FromSupervisor, payload: bytes) -> None:
        if isinstance(message, Setup):
            self._setup.set_result(message)
        elif isinstance(message, Lease):
            self._promised -= count(message.wanted)
            for start, end in message.wanted:
                self._rows.extend(range(start, end))
            self._shards.add(ShardMark(message.first_row, message.rows, message.checksum))
        elif isinstance(message, Drain | Cut):
            self._over.set()

    def _lost(self) -> None:
        os._exit(0)

    def _ask(self) -> None:
        missing = HELD_ROWS - len(self._rows) - self._promised
        if missing >= HELD_ROWS // 4:
            self._promised += missing
            self._channel.send(Want(missing))

    def _write(self) -> bool:
        """End some rows, in about the order they came in; whether there were any."""
        rows, self._rows = self._rows[:BATCH_ROWS], self._rows[BATCH_ROWS:]
        if not rows:
            return False
        self._random.shuffle(rows)
        self._writer.write(batch_of(rows), sorted(self._shards)[:16])
        self._shards = {one for one in self._shards if one.first_row + one.rows > min(rows)}
        self._slab.add(C.RECORDS_SUCCEEDED, len(rows))
        return True

    def _tell(self, written: list) -> None:
        if written:
            self._channel.send(Committed(written))


def batch_of(rows: list[int]) -> pa.RecordBatch:
    """Results of about the size of real ones, made column by column."""
    number = pa.array(rows, pa.int64())
    failed = pa.array([row % FAILED_ONE_IN == 0 for row in rows])
    text = number.cast(pa.string())
    known = {
        "row": number,
        "id": text,
        "outcome": pc.if_else(failed, "failed", "succeeded"),
        "output": pc.if_else(failed, None, pc.binary_join_element_wise(text, ANSWER, ": ")),
        "request_hash": pc.binary_join_element_wise(text, "0" * 24, ""),
        "error_class": pc.if_else(failed, "invalid_request", None),
        "error_message": pc.if_else(failed, "no", None),
    }
    rest = constants(len(rows))
    arrays = [known.get(name, rest[name]) for name in RESULT_SCHEMA.names]
    return pa.RecordBatch.from_arrays(arrays, schema=RESULT_SCHEMA)


@cache
def constants(rows: int) -> dict[str, pa.Array]:
    """Columns that are alike in every row."""
    values = {
        "finish_reason": "stop",
        "truncated": False,
        "model": "bench",
        "endpoint": "127.0.0.1:1",
        "http_status": 200,
        "input_tokens": 120,
        "output_tokens": 48,
        "cost_usd": 0.0001,
        "attempts": 1,
        "latency_seconds": 0.25,
        "elapsed_seconds": 0.3,
        "finished_at": 1_700_000_000_000_000,
        "source": "bought",
        "generation": 0,
    }
    return {
        field.name: pa.array([values.get(field.name)] * rows, field.type) for field in RESULT_SCHEMA
    }


def main(arguments: list[str]) -> int:
    """As the real worker's: the descriptors of socket and region are what it needs."""
    socket_descriptor, region_descriptor = map(int, arguments[:2])

    async def live() -> None:
        await NullWorker(region_descriptor).live(socket.socket(fileno=socket_descriptor))

    uvloop.run(live())
    return 0
