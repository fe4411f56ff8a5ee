"""Finds the regular files below a directory and reads their content."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from io import FileIO
from typing import NamedTuple, Protocol

from .._display import printable

CHUNK_BYTES = 1 << 20
UNREADABLE_LISTED = 20

# Larger than any file worth scanning; files that claim to be larger, like /proc/kcore, never end.
MOST_BYTES = 1 << 40

# A file may have become a fifo or a link since it was listed: do not block, do not follow.
_OPEN_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class ScanContext(Protocol):
    """What a scan needs of the context of its job."""

    def set_progress(self, fraction: float, message: str | None = None) -> None: ...

    def raise_if_cancelled(self) -> None: ...


class File(NamedTuple):
    """A regular file, with its path below the scanned directory."""

    path: str
    name: str
    size: int


class Tree:
    """Yields each regular file once, in a fixed order; counts the entries that it leaves out.

    Symbolic links are not followed. If a file has several names (hard links), the first counts.
    """

    def __init__(self, ctx: ScanContext, root: str) -> None:
        self.symlinks = 0
        self.special = 0
        self.hard_links = 0
        self.unreadable = 0
        self.listed: list[tuple[str, str]] = []
        self._ctx = ctx
        self._root = root
        self._prefix = root if root.endswith(os.sep) else root + os.sep
        self._linked: set[tuple[int, int]] = set()

    def files(self) -> Iterator[File]:
        """Walk the tree; raises as soon as the job is cancelled."""
        folders = [self._root]
        while folders:
            below: list[str] = []
            for entry in self._entries(folders.pop()):
                self._ctx.raise_if_cancelled()
                status = self._status(entry)
                if status is None:
                    continue
                if stat.S_ISDIR(status.st_mode):
                    below.append(entry.path)
                elif self._counts(status):
                    yield File(entry.path, self.name_of(entry.path), status.st_size)
            folders += reversed(below)

    def add_unreadable(self, path: str, error: OSError) -> None:
        """Count and list an entry that could not be read."""
        self.unreadable += 1
        if len(self.listed) < UNREADABLE_LISTED:
            self.listed.append((self.name_of(path), error.strerror or str(error)))

    def name_of(self, path: str) -> str:
        """*path* relative to the scanned directory, printable."""
        return printable(path[len(self._prefix) :]) or "."

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self.add_unreadable(folder, error)
            return []

    def _status(self, entry: os.DirEntry[str]) -> os.stat_result | None:
        try:
            return entry.stat(follow_symlinks=False)
        except OSError as error:
            self.add_unreadable(entry.path, error)
            return None

    def _counts(self, status: os.stat_result) -> bool:
        if stat.S_ISLNK(status.st_mode):
            self.symlinks += 1
        elif not stat.S_ISREG(status.st_mode):
            self.special += 1
        elif self._known(status):
            self.hard_links += 1
        else:
            return True
        return False

    def _known(self, status: os.stat_result) -> bool:
        if status.st_nlink < 2:
            return False
        identity = (status.st_dev, status.st_ino)
        known = identity in self._linked
        self._linked.add(identity)
        return known


def chunks(path: str, buffer: memoryview) -> Iterator[memoryview]:
    """The content of the file at *path*, through *buffer*; no more than its size says.

    More bytes would come from a file that grows, or from one that never ends.

    Raises:
        OSError: it cannot be read, is not a regular file any more, or is too large.
    """
    with open(path, "rb", buffering=0, opener=_opened) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file any more")
        if status.st_size > MOST_BYTES:
            raise OSError(errno.EFBIG, "too large to read")
        yield from filled(file, buffer, status.st_size)


def filled(file: FileIO, buffer: memoryview, size: int) -> Iterator[memoryview]:
    """The rest of *file*, through *buffer*; at most *size* bytes.

    Raises:
        OSError: it cannot be read, or reading would block.
    """
    count: int | None = 0
    while size > 0 and (count := file.readinto(buffer[:size])):
        size -= count
        yield buffer[:count]
    if count is None:
        raise OSError(errno.EAGAIN, "reading would block")


def _opened(path: str, flags: int) -> int:
    return os.open(path, flags | _OPEN_FLAGS)
