"""What file system a path is on: a run directory belongs on a local disk.

The ledger stands on flock, fsync, rename and O_EXCL meaning what they say. On NFS and SMB flock is
turned into locks of a process, which a worker does not inherit; object stores mounted as files have
neither rename nor fsync. Those are refused. Where it depends on the server behind it, it is a
warning.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from penstock.errors import RunDirectoryError

MOUNTS: Final = Path("/proc/mounts")
REFUSED: Final = re.compile(
    r"nfs\d?|cifs|smb\w*|afs|ncpfs|"
    r"fuse\.(sshfs|s3fs|gcsfuse|goofys|rclone|blobfuse2?|s3ql|mount-s3|mountpoint-s3|juicefs)"
)
DOUBTED: Final = re.compile(r"fuse\..+|9p|virtiofs|ceph|lustre|glusterfs|gpfs|beegfs|vboxsf")
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


def check_mount(path: Path, mounts: str | None = None) -> str | None:
    """A warning if `path` is on a mount that may not keep its promises.

    `mounts` is in the format of /proc/mounts; elsewhere than on Linux nothing is known.
    Raises RunDirectoryError if it is on one that does not.
    """
    if mounts is None:
        mounts = MOUNTS.read_text(errors="replace") if MOUNTS.exists() else ""
    kind = kind_of(path.resolve(), mounts)
    if REFUSED.fullmatch(kind):
        raise RunDirectoryError(
            f"{path} is on a {kind} mount, where locks and fsync do not hold",
            "Put the run directory on a local disk by --run-dir; the output may stay there.",
        )
    if DOUBTED.fullmatch(kind):
        return f"{path} is on a {kind} mount; if locks or fsync do not hold there, rows can be lost"
    return None


def kind_of(path: Path, mounts: str) -> str:
    """The type of the file system that an absolute path is on; empty if unknown."""
    kind, depth = "", -1
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = Path(_OCTAL.sub(lambda found: chr(int(found[1], 8)), fields[1]))
        # Of mounts on the same point the last is the one that is seen.
        if path.is_relative_to(point) and len(point.parts) >= depth:
            kind, depth = fields[2], len(point.parts)
    return kind
