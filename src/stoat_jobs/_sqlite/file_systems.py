"""File systems on which SQLite is not safe, as the system's mount table names them."""

from __future__ import annotations

from pathlib import Path


def check_file_system(path: Path) -> None:
    """Refuse a file system on which several machines, or a machine and its guests, meet.

    Raises:
        OSError: *path* is on one of them, as NFS, SMB, 9p, virtiofs or a fuse file system that is
            not known to be local; names it, and the option that allows it.
    """
    raise NotImplementedError
