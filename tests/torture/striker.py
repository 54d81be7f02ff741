"""What strikes in a process of a run, at a step that an order names. Production carries none of it.

The text of this file is put into every process of a run (`Place.patched`), so it uses nothing but
the standard library. A step of the disk is what the system is asked for, whoever asks: a verb and a
kind of file. A step of the engine is a function. Both are looked for only where an order, or the
wish to have all written down, asks for them.

That it strikes is written down before it does: once for each order, whatever dies.
"""

import errno
import functools
import importlib
import inspect
import json
import os
import random
import signal
import sys
import time
import traceback

CALLS = {
    "write": "write",
    "pwrite": "write",
    "fsync": "fsync",
    "ftruncate": "truncate",
    "open": "open",
    "rename": "rename",
    "replace": "rename",
    "link": "link",
    "unlink": "unlink",
    "remove": "unlink",
    "mkdir": "mkdir",
    "rmdir": "rmdir",
}
REAL = {name: getattr(os, name) for name in CALLS}
NAMES = {
    "run.json": "manifest",
    "epoch": "epoch",
    "lock": "lock",
    "workers.json": "workers",
    "checkpoint.arrow": "checkpoint",
    "checkpoint.previous.arrow": "checkpoint",
    "exports.json": "exports",
    "summary.json": "summary",
    "log.jsonl": "log",
}
ENDINGS = {".sealing": "seal", ".torn": "torn", ".abandoned": "abandoned"}
FOLDERS = ("segments", "spool", "generations")


def kind_of(path, run_dir):
    """What a path is in a run; empty for what is none of it."""
    folder, _, name = path.removesuffix(".new").rpartition("/")
    if path == run_dir:
        return "run folder"
    if folder == run_dir:
        return f"{name} folder" if name in FOLDERS else NAMES.get(name, "stranger")
    if folder.startswith(run_dir + "/"):
        ending = "." + name.rpartition(".")[2]
        return ENDINGS.get(ending, folder.rpartition("/")[2].removesuffix("s"))
    beside = run_dir.rpartition("/")[0]
    if path == beside:
        return "output folder"
    if folder != beside or not name.lstrip(".").startswith("out."):
        return ""
    return "letters" if ".failed.jsonl" in name else "output"


def step_of(call, arguments, run_dir):
    """The name of the step that a call to the system is; empty for none."""
    subject = arguments[0]
    if call == "open" and not arguments[1] & os.O_CREAT:
        return ""
    if isinstance(subject, int):
        try:
            subject = os.readlink(f"/proc/self/fd/{subject}")  # noqa: PTH115
        except OSError:
            return ""
    path = os.fsdecode(subject)
    kind = kind_of(path, run_dir)
    if not kind:
        return ""
    verb = CALLS[call]
    if kind == "checkpoint" and verb == "rename":
        verb = "rename new" if path.endswith(".new") else "rename old"
    return f"{kind} {verb}"


class Order:
    """Strike once: in a process of this role, at the n-th time of a step, on one side of it."""

    def __init__(self, folder, run_dir, *, number, role, step, side, nth, deed, warm, helps):
        self.folder = folder
        self.run_dir = run_dir
        self.number, self.role, self.step, self.side = number, role, step, side
        self.nth, self.deed, self.warm = nth, deed, warm
        self.helps = helps
        self.leader = os.getppid()
        self.seen = 0
        self.victim = None

    def struck(self):
        return has_struck(self.folder, self.number)

    def is_wanted(self):
        """Whether one that helps others still does; orphans help nobody."""
        waiting = [one for one in self.helps if not has_struck(self.folder, one)]
        return bool(waiting) and os.getppid() == self.leader

    def due(self, side):
        """Whether this is the moment; only one process is ever told so."""
        if side != self.side or (self.warm and not self.has_begun()):
            return False
        if self.helps and not self.is_wanted():
            return False
        self.seen += 1
        return self.seen == self.nth and self.claim()

    def claim(self):
        """Write down that it strikes; False where another process was first.

        At once and whole, for another order may kill this process at any moment.
        """
        self.victim = self.find_victim()
        line = {"order": self.number, "at": time.monotonic_ns()}
        line |= {"by": os.getpid(), "victim": self.victim}
        draft = f"{self.folder}/claim.{self.number}.{os.getpid()}"
        say(draft, json.dumps(line))
        try:
            REAL["link"](draft, f"{self.folder}/struck.{self.number}")
        except FileExistsError:
            return False
        finally:
            REAL["unlink"](draft)
        return True

    def has_begun(self):
        """Whether rows of the run have ended: then something was written, by any worker."""
        try:
            return bool(os.listdir(f"{self.run_dir}/segments"))  # noqa: PTH208
        except FileNotFoundError:
            return False

    def strike(self):
        """Do it. Comes back where another process was struck, or where the disk is to fail."""
        if self.victim is None:
            raise OSError(errno.EIO, "struck")
        os.kill(self.victim, signal.SIGKILL)

    def find_victim(self):
        if self.deed == "fail":
            return None
        if self.deed == "kill parent":
            return os.getppid()
        if self.deed == "kill child" and (found := children()):
            return random.choice(found)
        return os.getpid()


def has_struck(folder, number):
    return os.path.exists(f"{folder}/struck.{number}")  # noqa: PTH110


def children():
    """The workers of this supervisor."""
    found = []
    for task in os.listdir("/proc/self/task"):  # noqa: PTH208
        with open(f"/proc/self/task/{task}/children") as file:
            found += map(int, file.read().split())
    return found


def say(path, line):
    file = REAL["open"](path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    REAL["write"](file, line.encode() + b"\n")
    os.close(file)


class Striker:
    """The orders of this process."""

    def __init__(self, folder):
        with open(f"{folder}/plan.json") as file:
            plan = json.load(file)
        self.folder = folder
        self.role = "worker" if "penstock.engine.worker" in sys.orig_argv else "supervisor"
        self.run_dir = plan["run_dir"]
        self.functions = plan["functions"]
        self.writes_down = plan["record"]
        self.written = set()
        self.orders = {}
        for given in plan["orders"]:
            order = Order(folder, self.run_dir, **given)
            if order.role == self.role and not order.struck():
                self.orders.setdefault(order.step, []).append(order)
        for name, value in plan["shrunk"].items():
            module, _, constant = name.partition(":")
            if self.role in plan["shrunk_in"].get(module, ()):
                setattr(importlib.import_module(module), constant, value)

    def arm(self):
        """Look out for the steps that are asked for."""
        wanted = set(self.orders)
        if wanted - set(self.functions) or self.writes_down:
            for call in CALLS:
                setattr(os, call, self.watched_call(call))
        for step, (role, name) in self.functions.items():
            if role == self.role and (step in wanted or self.writes_down):
                module, _, function = name.partition(":")
                owner = importlib.import_module(module)
                *path, last = function.split(".")
                for part in path:
                    owner = getattr(owner, part)
                setattr(owner, last, self.watched_function(step, getattr(owner, last)))

    def watched_call(self, call):
        real = REAL[call]

        @functools.wraps(real)
        def watched(*arguments, **options):
            step = step_of(call, arguments, self.run_dir)
            if not step:
                return real(*arguments, **options)
            self.meet(step, "before")
            for order in self.orders.get(step, ()):
                if CALLS[call] == "write" and order.due("amid"):
                    file, data, *rest = arguments
                    real(file, bytes(data)[: len(data) // 2], *rest)
                    order.strike()
            done = real(*arguments, **options)
            self.meet(step, "after")
            return done

        return watched

    def watched_function(self, step, real):
        if inspect.iscoroutinefunction(real):

            @functools.wraps(real)
            async def watched(*arguments, **options):
                self.meet(step, "before")
                done = await real(*arguments, **options)
                self.meet(step, "after")
                return done

            return watched

        @functools.wraps(real)
        def watched(*arguments, **options):
            self.meet(step, "before")
            done = real(*arguments, **options)
            self.meet(step, "after")
            return done

        return watched

    def meet(self, step, side):
        if self.writes_down and step not in self.written:
            self.written.add(step)
            say(f"{self.folder}/steps", f"{self.role}: {step}")
        for order in self.orders.get(step, ()):
            if order.due(side):
                order.strike()


def strike_in(folder):
    """Arm this process; one that can't be must not run unharmed."""
    try:
        Striker(folder).arm()
    except BaseException:
        traceback.print_exc()
        os._exit(97)
