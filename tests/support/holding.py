"""A hold of a database file, and other processes that want it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stoat_jobs._sqlite.hold import FileHold

from .another import Another
from .programs import unmeasured

_BEGINNING = """
import os, sqlite3, subprocess, sys, threading
from pathlib import Path
from stoat_jobs._sqlite.hold import FileHold
hold = FileHold(Path({path!r}))
"""

_FUNCTIONS = """
def opened():
    connection = sqlite3.connect(hold.path, isolation_level=None)
    connection.execute("pragma journal_mode = wal")
    connection.execute("create table if not exists note (number)")
    hold.keep(connection)
    return connection

def add(count):
    for number in range(count):
        connection.execute("insert into note values (?)", (number,))

def in_child(act):
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            answer = act()
        except Exception as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(writing, str(answer).encode())
        os._exit(0)
    os.close(writing)
    os.wait()
    with open(reading) as file:
        return file.read()
"""

_LOCK = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(3)
"""


def another(path: Path) -> Another:
    """Another process, with a ``hold`` of *path* that it has not yet taken."""
    return Another(_BEGINNING.format(path=str(path)) + _FUNCTIONS)


@contextmanager
def held(path: Path) -> Iterator[FileHold]:
    """A hold of *path* that this process has taken."""
    hold = FileHold(path)
    hold.take()
    try:
        yield hold
    finally:
        hold.release()


def is_free(path: Path) -> bool:
    """Whether another process could take it now."""
    if sys.platform == "win32":
        with another(path) as other:
            return other.do("hold.take()") is None
    command = [sys.executable, "-I", "-S", "-c", _LOCK, f"{path}.lock"]
    code = subprocess.run(command, check=False, env=unmeasured()).returncode
    assert code in (0, 3)
    return code == 0


def make_database(path: Path) -> None:
    """The files that SQLite would make, as far as a hold looks at them."""
    path.touch()
    Path(f"{path}-wal").touch()
    Path(f"{path}-shm").touch()


def next_descriptor() -> int:
    """What the system gives to the next file: the same as before, if none was left open."""
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    return descriptor
