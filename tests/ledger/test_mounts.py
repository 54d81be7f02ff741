"""Where a run directory may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.errors import RunDirectoryError
from penstock.ledger.mounts import check_mount, kind_of

MOUNTS = r"""/dev/vda / ext4 rw 0 0
proc /proc proc rw 0 0
server:/x /mnt/nfs nfs4 rw 0 0
tmpfs /mnt/nfs/fast tmpfs rw 0 0
bucket /mnt/bucket fuse.s3fs rw 0 0
share /mnt/my\040share 9p rw 0 0
/dev/old /mnt/twice nfs rw 0 0
/dev/new /mnt/twice xfs rw 0 0
broken
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/me/out.run", "ext4"),
        ("/mnt/nfs/out.run", "nfs4"),
        ("/mnt/nfs/fast/out.run", "tmpfs"),
        ("/mnt/nfsx/out.run", "ext4"),
        ("/mnt/my share/a b", "9p"),
        ("/mnt/twice/a", "xfs"),
    ],
)
def test_a_path_is_on_the_innermost_mount_above_it(path: str, kind: str) -> None:
    assert kind_of(Path(path), MOUNTS) == kind


@pytest.mark.parametrize("path", ["/mnt/nfs/out.run", "/mnt/bucket/out.run"])
def test_where_locks_do_not_hold_is_refused(path: str) -> None:
    with pytest.raises(RunDirectoryError, match="where locks and fsync do not hold\nPut the run"):
        check_mount(Path(path), MOUNTS)


def test_where_it_depends_is_a_warning() -> None:
    warning = check_mount(Path("/mnt/my share/out.run"), MOUNTS)
    assert warning is not None
    assert "is on a 9p mount" in warning


def test_a_local_disk_is_fine() -> None:
    assert check_mount(Path("/home/me/out.run"), MOUNTS) is None


def test_without_a_list_of_mounts_nothing_is_known() -> None:
    assert check_mount(Path("/mnt/nfs/x"), "") is None


def test_the_list_of_this_machine_can_be_read(tmp_path: Path) -> None:
    check_mount(tmp_path)
