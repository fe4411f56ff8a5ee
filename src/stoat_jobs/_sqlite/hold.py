"""One process holds a database file, for certain.

- The lock is ``lockf`` on a file beside the database. The system releases it with the process,
  however that ends. A ``flock`` would be inherited by children, and outlive a killed holder.
- Such a lock vanishes when anything in the process opens and closes the file it is on. So it is
  not on the database, whose own locks are of that kind too, and nothing here closes the database,
  its ``-wal`` or its ``-shm`` while SQLite has them open.
- Should the application do that, a guard stays in SQLite's place, on Linux: a lock of an open
  file, which nothing but its own descriptor releases. Without it a visitor that writes would
  delete the WAL as it leaves. A forked child keeps the guard too, and that does no harm: it only
  keeps others from deleting a WAL.
- Within the process the system refuses nothing: a registry does. It is asked before the lock
  file is opened, because closing that again would release the lock of the one who has it.
- The lock file stays. If the holder deleted it, a second process could lock the file that is
  gone, and a third one a new file of that name.
- A forked child has the holder's memory, but not its lock. It closes nothing, not even as its
  interpreter exits: once the holder is gone, SQLite would delete the WAL there, and that may be
  the one of a later holder.
- What is in the lock file is text for people: in a container every process may have the id 1.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import sqlite3
import stat
import struct
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from .._stored.store import StoreInUseError
from .._text import one_line

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, 2**30, os.SEEK_SET)  # what is locked can't be read, so not the text
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


if sys.platform == "linux":

    def _set_guard(descriptor: int, kind: int, place: tuple[int, int]) -> None:
        """Set a guard to this *kind* of lock, on the bytes on which SQLite has its own."""
        flock = struct.pack("hhqqi4x", kind, os.SEEK_SET, *place, 0)
        with suppress(OSError):  # a file system without them
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, flock)


_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_TEXT_LIMIT = 500

# From which byte on, and how many: each connection to a database has a shared lock there.
_PLACES = {"": (2**30 + 2, 510), "-shm": (128, 1)}
_REMEDY = (
    "run one server process (no `--workers 2`), stop the other one, or, in a rolling deployment,"
    ' wait for it with options={"lock_wait": seconds}'
)

Identity = tuple[int, int]
"""The device and the number of a file: the same by whatever path it is reached."""


class FileHold:
    """The sole right of this process to open the database at *path*."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._pid = 0
        self._files: dict[Path, Identity] = {}
        self._connections: list[sqlite3.Connection] = []
        self._guards: list[tuple[int, tuple[int, int]]] = []

    @property
    def is_forked_child(self) -> bool:
        """Whether this process is a child of the one that has it, and so must touch nothing."""
        return self._descriptor is not None and self._pid != os.getpid()

    def take(self) -> None:
        """Take it, now or not at all.

        Raises:
            StoreInUseError: another queue has it, of this process or of another; says which, as
                far as that is known, and what to do.
            OSError: the lock file cannot be made or locked; says why in one line.
        """
        with _registry.lock:
            _registry.refuse(self.path)
            _refuse_hard_links(self.path)
            lock_path = _beside(self.path, ".lock")
            self._descriptor, self._pid = _locked(lock_path), os.getpid()
            self._files = {lock_path: _identity(os.fstat(self._descriptor))}
            _registry.holds.append(self)

    def note_files(self) -> None:
        """Note which files the database and its ``-wal`` are, and guard them; they must exist."""
        for path in (self.path, _beside(self.path, "-wal")):
            self._files[path] = _identity(path.stat())
        if sys.platform == "linux":
            for suffix, place in _PLACES.items():
                descriptor = os.open(_beside(self.path, suffix), os.O_RDONLY | os.O_CLOEXEC)
                self._guards.append((descriptor, place))
                _set_guard(descriptor, fcntl.F_RDLCK, place)

    def unguard(self) -> None:
        """Let SQLite tidy up as the last connection is closed, which comes next."""
        if sys.platform == "linux" and not self.is_forked_child:
            for descriptor, place in self._guards:
                _set_guard(descriptor, fcntl.F_UNLCK, place)

    def keep(self, connection: sqlite3.Connection) -> None:
        """Keep a forked child from closing *connection* as it drops it, or as it exits."""
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
        self._connections.append(connection)

    def check(self) -> None:
        """Raise if what is acknowledged from here on would not be found by the next process.

        Raises:
            OSError: a file was deleted or replaced since :meth:`note_files`, or this process is
                a forked child of the holder.
        """
        if self.is_forked_child:
            raise OSError(
                f"{self.path}: process {self._pid} has it open, and this is a forked child of it;"
                " submit jobs in the parent"
            )
        for path, identity in self._files.items():
            if _identity_of(path) != identity:
                raise OSError(
                    f"{path}: was deleted or replaced while the queue has it open, so the next"
                    " process would not find what is written; stop, put the file back, start again"
                )

    def has(self, lock_path: Path, identities: set[Identity | None]) -> bool:
        """Whether it is that of this lock file, or of one of the files with these *identities*."""
        return lock_path in self._files or not identities.isdisjoint(self._files.values())

    def release(self) -> None:
        """Let another queue have it; also if it was never taken, and in a forked child."""
        if self._descriptor is None or self.is_forked_child:
            return
        with _registry.lock:
            while self._connections:
                ctypes.pythonapi.Py_DecRef(ctypes.py_object(self._connections.pop()))
            while self._guards:
                os.close(self._guards.pop()[0])
            with suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None
            _registry.holds.remove(self)

    def in_use(self) -> StoreInUseError:
        """What to tell others of this process, or of a forked child of it."""
        if self.is_forked_child:
            return StoreInUseError(
                f"{self.path}: process {self._pid} had it open when this process was forked, and"
                " SQLite does not survive that; start this one by `spawn` instead"
            )
        return StoreInUseError(f"{self.path}: another queue of this process has it open")


class _Registry:
    """The holds of this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.holds: list[FileHold] = []

    def refuse(self, path: Path) -> None:
        """Raise if *path* is held, by that path or by another one."""
        lock_path = _beside(path, ".lock")
        identities = {_identity_of(path), _identity_of(lock_path)}
        for hold in self.holds:
            if hold.has(lock_path, identities):
                raise hold.in_use()

    def after_fork(self) -> None:
        """In the child: another thread of the parent may have had the lock."""
        self.lock = threading.Lock()


_registry = _Registry()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_registry.after_fork)


def _beside(path: Path, suffix: str) -> Path:
    """A file beside the database itself, as SQLite names it too, if *path* is a link to that."""
    return Path(os.path.realpath(path) + suffix)


def _identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino


def _identity_of(path: Path) -> Identity | None:
    try:
        return _identity(path.stat())
    except FileNotFoundError:
        return None


def _refuse_hard_links(path: Path) -> None:
    with suppress(FileNotFoundError):
        if (number := path.stat().st_nlink) > 1:
            raise OSError(
                f"{path}: has {number} hard links, so that another process could open it by"
                " another name, with another -wal; delete all but one"
            )


def _locked(path: Path) -> int:
    """A descriptor of the lock file at *path*, which has the lock."""
    while True:
        descriptor = _opened(path)
        try:
            _lock_or_raise(path, descriptor)
            if _identity_of(path) == _identity(os.fstat(descriptor)):  # else it was deleted
                _sign(descriptor)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _opened(path: Path) -> int:
    try:
        descriptor = os.open(path, _FLAGS, 0o600)
    except FileNotFoundError as error:
        raise OSError(f"{path.parent}: no such folder; make it") from error
    except OSError as error:
        raise OSError(f"{path}: cannot be opened: {error.strerror}") from error
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(f"{path}: is no file; delete it")


def _lock_or_raise(path: Path, descriptor: int) -> None:
    try:
        _lock(descriptor)
    except (BlockingIOError, PermissionError) as error:
        holder = _holder(descriptor)
        raise StoreInUseError(f"{path.with_suffix('')}: {holder}; {_REMEDY}") from error
    except OSError as error:
        raise OSError(
            f"{path}: cannot be locked: {error.strerror}; keep the database on a local disk"
        ) from error


def _sign(descriptor: int) -> None:
    """Write who this is, for people; the lock holds without it, as on a full disk."""
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since})
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, f"{text}\n".encode())


def _holder(descriptor: int) -> str:
    """Who has it, as the lock file says, if it says anything."""
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        told = json.loads(os.read(descriptor, _TEXT_LIMIT))
        text = f"process {told['pid']} on host {told['host']} since {told['since']}"
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return "held by another process"
    return f"held by {one_line(text, _TEXT_LIMIT)}, as far as its lock file says"
