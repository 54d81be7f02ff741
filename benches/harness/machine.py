"""What was measured on: the machine, and the versions of all that took part."""

from __future__ import annotations

import os
import platform
import re
import ssl
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import msgspec

LIBRARIES = ("aiohttp", "uvloop", "msgspec", "pyarrow", "xxhash", "Cython")
ROOT = Path(__file__).parents[2]
CODE = (":/", ":!/benches/results", ":!/README.md", ":!/docs")  # what is measured, and by what


class Machine(msgspec.Struct, frozen=True):
    """The machine, as far as figures depend on it."""

    cpu: str
    cores: int  # that this process may use
    memory_bytes: int
    kernel: str
    disk: str  # the file system that segments are synced to
    load: float  # of the last minute, when measuring began: what else was going on


def machine(folder: Path) -> Machine:
    """This machine; `folder` is where runs are written."""
    info = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*: (.*)$", info, re.MULTILINE)
    pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return Machine(
        cpu=model[1] if model else platform.processor(),
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=pages * page,
        kernel=platform.release(),
        disk=said("stat", "-f", "-c", "%T", str(folder)),
        load=os.getloadavg()[0],
    )


def versions() -> dict[str, str]:
    """The versions of the engine's own parts and of the server."""
    return {
        "penstock": penstock_version(),
        "python": f"{platform.python_version()} ({Path(sys.executable).resolve()})",
        **{name: version(name) for name in LIBRARIES},
        "openssl (Python)": ssl.OPENSSL_VERSION.split()[1],
        "nginx": said("nginx", "-v").rpartition("/")[2],
    }


def penstock_version() -> str:
    """The version, and the commit where this is a checkout; `+` says that its code was changed."""
    git = ("git", "-C", str(ROOT))
    commit = said(*git, "rev-parse", "--short", "HEAD")
    if not commit:
        return version("penstock")
    changed = said(*git, "status", "--porcelain", "--untracked-files=no", "--", *CODE)
    return f"{version('penstock')} ({commit}{'+' if changed else ''})"


def said(*command: str) -> str:
    """What a command says, on either stream; nothing where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip() if done.returncode == 0 else ""
