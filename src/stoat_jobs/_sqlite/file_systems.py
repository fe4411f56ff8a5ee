"""File systems on which SQLite is not safe, as the system's mount table names them.

- A file system is refused if several machines, or a machine and its guests, may meet on it: the
  locks or the shared memory of one do not reach the others, and the file is corrupted silently.
- Of fuse, which anybody may implement, only what is known to be local passes.
- Any other unknown type passes, because new local ones appear from time to time.
- Where no table can be read, everything passes, with a warning in the log.
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .._events.log import log_event
from .._text import one_line

SHARED = frozenset({
    # Of several machines.
    "9p", "acfs", "afpfs", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs", "gfs2",
    "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "panfs", "pvfs2",
    "smb2", "smb3", "smbfs", "webdav", "wekafs",
    # Of a machine and its guests.
    "applevirtiofs", "drvfs", "fakeowner", "grpcfuse", "osxfs", "prl_fs", "vboxsf", "virtiofs",
    "vmhgfs",
})  # fmt: skip
"""Types that are refused; those of fuse are not here."""

LOCAL_FUSE = frozenset({
    "fuseblk",  # on a block device, as NTFS and exFAT
    "fuse.exfat",
    "fuse.ntfs-3g",
    "fuse.fuse-overlayfs",  # the files of a container without root
})  # fmt: skip
"""Types of fuse that pass."""

_MOUNTINFO = Path("/proc/self/mountinfo")
_OCTAL = re.compile(r"\\([0-7]{3})")
_MOUNTINFO_LINE = re.compile(
    r"^([^ \n]+) ([^ \n]+) [^ \n]+ [^ \n]+ ([^ \n]+) .*?- ([^ \n]+) ", re.MULTILINE
)
_MOUNT_LINE = re.compile(r".+? on (/.*) \(([^()]+)\)")
_MOUNT_COMMAND_S = 10


class Mount(NamedTuple):
    """What is mounted where."""

    point: str
    type: str
    is_local: bool = True

    @property
    def is_safe(self) -> bool:
        """Whether SQLite may be used on it."""
        if self.type.startswith("fuse"):
            return self.type in LOCAL_FUSE
        return self.is_local and self.type.lower() not in SHARED


def check_file_system(path: Path) -> None:
    """Refuse a file system on which several machines, or a machine and its guests, meet.

    Raises:
        OSError: *path* is on one of them, as NFS, SMB, 9p, virtiofs or a fuse file system that is
            not known to be local; names it, and the option that allows it.
    """
    try:
        mount = _mount_of(os.path.realpath(path))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        log_event(logging.WARNING, "file_system_unknown", path=str(path), error=str(error))
        return
    if mount is not None and (reason := _refusal(mount, os.path.realpath(path))):
        raise OSError(
            f"{path}: {reason}; or, if you know that only one machine ever opens it, set"
            ' options={"unsafe_filesystem": True}'
        )


def _refusal(mount: Mount, real: str) -> str | None:
    if mount.point == real:
        return (
            "is mounted as a single file, so that its -wal and its lock are not where others look"
            " for them: mount its folder"
        )
    if not mount.is_safe:
        return (
            f"its file system, {one_line(mount.type, 80)} at {one_line(mount.point, 200)}, may be"
            " shared between machines, where SQLite corrupts files without an error: use a local"
            " disk"
        )
    return None


def _mount_of(real: str) -> Mount | None:
    if sys.platform == "linux":
        return mount_in_mountinfo(os.fsdecode(_MOUNTINFO.read_bytes()), real)
    if sys.platform == "darwin":
        return mount_in_list(os.fsdecode(_mount_command()), real)
    return None


def _mount_command() -> bytes:
    return subprocess.run(
        ["/sbin/mount"], capture_output=True, check=True, timeout=_MOUNT_COMMAND_S
    ).stdout


def mount_in_mountinfo(table: str, path: str) -> Mount | None:
    """What the absolute *path* is on, as Linux's table says: ``proc(5)`` explains its fields.

    From the root down, a mount counts if it is on the one found so far; so what a later mount
    covers does not.
    """
    lines = _MOUNTINFO_LINE.findall(table)
    ids = {number for number, *_ in lines}
    mounts = {}
    for number, parent, point, kind in lines:
        below = parent if parent in ids and parent != number else ""
        mounts[below, _unescaped(point)] = number, _unescaped(kind)
    found, number = None, ""
    for folder in _from_the_root(path):
        while above := mounts.pop((number, folder), None):
            number, kind = above
            found = Mount(folder, kind)
    return found


def mount_in_list(listed: str, path: str) -> Mount | None:
    """What the absolute *path* is on, as the command ``mount`` of macOS says, oldest first."""
    found = None
    for point, kind in _MOUNT_LINE.findall(listed):
        words = kind.split(", ")
        if path.startswith(point.rstrip("/") + "/"):
            found = Mount(point, words[0], is_local="local" in words)
    return found


def _from_the_root(path: str) -> Iterator[str]:
    yield "/"
    for end in re.finditer(r"(?<=[^/])(?=/|$)", path):
        yield path[: end.start()]


def _unescaped(text: str) -> str:
    return _OCTAL.sub(lambda octal: chr(int(octal[1], 8)), text)
