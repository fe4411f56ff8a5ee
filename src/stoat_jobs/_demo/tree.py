"""The regular files below a directory, and how their content is read."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from io import FileIO
from typing import NamedTuple

from stoat_jobs import JobContext

from .._display import printable

CHUNK_BYTES = 1 << 20
UNREADABLE_LISTED = 20

# More than any file has that somebody would have read; what says so has no end (/proc/kcore).
MOST_BYTES = 1 << 40

# A file that became a fifo or a link since it was listed must neither block nor be followed.
_OPEN_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class File(NamedTuple):
    """A regular file, with its path below the scanned directory."""

    path: str
    name: str
    size: int


class Tree:
    """Yields each regular file once, in a fixed order; counts what it leaves out.

    Symbolic links are not followed. Of several names of one file (hard links) the first counts.
    """

    def __init__(self, ctx: JobContext, root: str) -> None:
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
        """Walk the tree; stops as soon as the job is told to."""
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

    def refuse(self, path: str, error: OSError) -> None:
        """Count and list what could not be read."""
        self.unreadable += 1
        if len(self.listed) < UNREADABLE_LISTED:
            self.listed.append((self.name_of(path), error.strerror or str(error)))

    def name_of(self, path: str) -> str:
        """*path* below the scanned directory, printable."""
        return printable(path[len(self._prefix) :]) or "."

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self.refuse(folder, error)
            return []

    def _status(self, entry: os.DirEntry[str]) -> os.stat_result | None:
        try:
            return entry.stat(follow_symlinks=False)
        except OSError as error:
            self.refuse(entry.path, error)
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
    """The content of the file at *path*, through *buffer*; as much as it says it has.

    More would be of a file that grows, or of one that gives bytes without end.

    Raises:
        OSError: it cannot be read, is no regular file any more, or says that it is too large.
    """
    with open(path, "rb", buffering=0, opener=_opened) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "no regular file any more")
        if status.st_size > MOST_BYTES:
            raise OSError(errno.EFBIG, "too large to be read")
        yield from filled(file, buffer, status.st_size)


def filled(file: FileIO, buffer: memoryview, size: int) -> Iterator[memoryview]:
    """What is left in *file*, through *buffer*; at most *size* bytes.

    Raises:
        OSError: it cannot be read, or would have to be waited for.
    """
    count: int | None = 0
    while size > 0 and (count := file.readinto(buffer[:size])):
        size -= count
        yield buffer[:count]
    if count is None:
        raise OSError(errno.EAGAIN, "nothing to read for now")


def _opened(path: str, flags: int) -> int:
    return os.open(path, flags | _OPEN_FLAGS)
