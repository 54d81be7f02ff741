"""Every step at which a run can be struck, by name, and in how many ways.

A step of the disk is a verb and a kind of file; a step of the engine is one of `FUNCTIONS`. That
the table is whole, and nothing in it out of date, is a test of its own.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Function(NamedTuple):
    """A step that is a function of ours: whose process it runs in, and `module:name`."""

    role: str
    name: str


class Step(NamedTuple):
    """A step in a process of a role. Some come only after something else has struck: `needs`."""

    role: str
    name: str
    needs: str = ""

    def __str__(self) -> str:
        return f"{self.role}: {self.name}"


class Point(NamedTuple):
    """A step and a side of it. One that is not warm may come before anything was leased."""

    step: Step
    side: str
    warm: bool = True


FUNCTIONS: Final = {
    "recovery": Function("supervisor", "penstock.engine.opening:recover"),
    "worker spawned": Function("supervisor", "penstock.engine.worker_process:WorkerProcess.spawn"),
    "worker greeted": Function("supervisor", "penstock.engine.crew:Crew.came_up"),
    "lease sent": Function("supervisor", "penstock.engine.leasing:Leasing._send"),
    "batches counted": Function("supervisor", "penstock.engine.books:Books.absorb"),
    "socket drained": Function("supervisor", "penstock.engine.crew:Crew._lost"),
    "worker reaped": Function("supervisor", "penstock.engine.worker_process:WorkerProcess.end"),
    "worker's segments read": Function("supervisor", "penstock.engine.books:Books.untold"),
    "leases given back": Function("supervisor", "penstock.engine.leases:LeaseTable.give_back"),
    "checkpoint taken": Function("supervisor", "penstock.engine.books:Books.checkpoint"),
    "workers drained": Function("supervisor", "penstock.engine.crew:Crew.drain"),
    "export": Function("supervisor", "penstock.engine.run:Conductor._export"),
    "redo begun": Function("supervisor", "penstock.engine.redo:begin_redo"),
    "worker opened": Function("worker", "penstock.ledger.segment:SegmentWriter.__init__"),
    "lease received": Function("worker", "penstock.engine.work:Work.add"),
    "request made": Function("worker", "penstock.engine.asker:Asker.ask"),
    "result settled": Function("worker", "penstock.engine.committer:Committer.add"),
    "batch taken": Function("worker", "penstock.engine.committer:Committer._flush"),
    "told committed": Function("worker", "penstock.engine.committer:Committer._told"),
    "committer closed": Function("worker", "penstock.engine.committer:Committer.close"),
}

# A file that is replaced whole goes through all of these, in this order.
REPLACED: Final = ("unlink", "open", "write", "fsync", "rename")

# What the supervisor asks of the disk, by kind of file; `needs` after the colon.
SUPERVISOR: Final = {
    "run folder": ("mkdir", "fsync"),
    "segments folder": ("mkdir", "fsync"),
    "spool folder": ("mkdir", "fsync"),
    "generations folder": ("mkdir", "fsync"),
    "output folder": ("fsync",),
    "lock": ("open",),
    "spool": ("open", "write", "truncate", "fsync"),
    "manifest": REPLACED,
    "epoch": REPLACED,
    "workers": REPLACED,
    "checkpoint": ("unlink", "open", "write", "fsync", "rename old", "rename new"),
    "generation": REPLACED,
    "segment": ("fsync", "link:torn"),
    "seal": tuple(f"{verb}:torn" for verb in REPLACED),
    "torn": ("unlink:torn",),
    "abandoned": ("unlink:torn",),
    "output": REPLACED,
    "letters": REPLACED,
    "exports": REPLACED,
    "summary": REPLACED,
}
WORKER: Final = {
    "segment": ("open", "write", "fsync"),
    "segments folder": ("fsync",),
    "abandoned": ("unlink:abandoned", "open:abandoned", "fsync:abandoned"),
}
AFTER_A_DEATH: Final = ("worker's segments read", "leases given back")

# Nothing depends on them.
UNWATCHED: Final = {"log open", "log write"}


def steps() -> list[Step]:
    """The whole table."""
    found = []
    for role, kinds in (("supervisor", SUPERVISOR), ("worker", WORKER)):
        for kind, verbs in kinds.items():
            for verb in verbs:
                name, _, needs = verb.partition(":")
                found.append(Step(role, f"{kind} {name}", needs))
    for name, function in FUNCTIONS.items():
        found.append(Step(function.role, name, "death" if name in AFTER_A_DEATH else ""))
    return found


def points() -> list[Point]:
    """Each step on each of its sides; every step is there at least twice."""
    found = []
    for step in steps():
        verb = step.name.split()[-1]
        if verb == "unlink":  # of what is usually not there
            found += [Point(step, "before"), Point(step, "before")]
        elif verb == "mkdir":  # once, as the run begins
            found += [Point(step, "before", warm=False), Point(step, "after", warm=False)]
        elif verb == "write":
            found += [Point(step, "before"), Point(step, "amid"), Point(step, "after")]
        else:
            found += [Point(step, "before"), Point(step, "after")]
    return found
