"""A forked child has no part in what its parent holds, and takes nothing of it along."""

from __future__ import annotations

import os
import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ..support.another import Another
from ..support.holding import another, held, is_free

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks on this system"),
]


@pytest.fixture
def parent(path: Path) -> Iterator[Another]:
    """A process that has the database open."""
    with another(path) as process:
        process.do("hold.take(); connection = opened(); hold.note_files()")
        yield process


def rows(path: Path) -> int:
    """How many notes a process finds that begins now."""
    with closing(sqlite3.connect(path)) as connection:
        count: int = connection.execute("select count(*) from note").fetchone()[0]
    return count


ENDS = {
    "exit": "sys.exit()",
    "exit at once": "os._exit(0)",
    "exit after a release": "hold.unguard(), hold.release(), sys.exit()",
    "exit without the queue": "del hold, connection; sys.exit()",
    "another program": 'os.execv(sys.executable, [sys.executable, "-c", ""])',
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_child_that_ends_leaves_the_lock_with_its_parent(
    path: Path, parent: Another, end: str
) -> None:
    """However it ends: the parent goes on, and loses nothing."""
    parent.do("add(10)")
    parent.do(f"if os.fork() == 0: {end}" if ";" not in end else f"if os.fork() == 0:\n {end}")
    parent.do("os.wait()")
    assert not is_free(path)
    assert parent.do("add(10); hold.check()") is None
    assert Path(f"{path}.lock").read_text()  # still says who has it
    parent.kill()
    parent.process.wait()
    assert rows(path) == 20


PROGRAMS = ["", "close_fds=False", "preexec_fn=lambda: None", "start_new_session=True"]


@pytest.mark.parametrize("option", PROGRAMS)
def test_a_program_that_is_started_takes_no_lock_along(
    path: Path, parent: Another, option: str
) -> None:
    """While it runs and after that, the parent has the lock; once the parent is gone, nobody."""
    run = f'subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, {option})'
    parent.do(f"program = {run}; add(10); hold.check()")
    assert not is_free(path)
    parent.do("program.communicate()")
    assert not is_free(path)
    parent.do(f"program = {run}")
    parent.kill()
    parent.process.wait()
    assert is_free(path)


def test_a_child_that_lives_on_keeps_no_lock_of_a_killed_parent(
    path: Path, parent: Another
) -> None:
    """The next process may start, although the child has a copy of everything."""
    gate = path.parent / "gate"
    os.mkfifo(gate)
    parent.do(f"if os.fork() == 0: open({str(gate)!r}).read(), os._exit(0)")
    opened = os.open(gate, os.O_WRONLY)
    parent.kill()
    parent.process.wait()
    with held(path):
        pass
    os.close(opened)


@pytest.mark.parametrize("end", ["sys.exit()", "hold.release(), sys.exit()"])
def test_a_child_that_outlives_its_parent_deletes_no_wal(
    path: Path, parent: Another, end: str
) -> None:
    """SQLite would, as the child's interpreter exits: that of a process which it knows nothing of.

    Its parent was killed, the next process stopped, and of the one after that, killed too, all
    that was acknowledged is in the WAL.
    """
    gate = path.parent / "gate"
    os.mkfifo(gate)
    parent.do("hold.unguard(); add(10)")  # a guard would do, but is not everywhere
    parent.do(f"if os.fork() == 0: open({str(gate)!r}).read(), {end}")
    opened = os.open(gate, os.O_WRONLY)
    parent.kill()
    for ending in ["connection.close(); hold.release()", "os.kill(os.getpid(), 9)"]:
        with another(path) as successor:
            successor.do("hold.take(); connection = opened(); add(10)")
            successor.tell(ending)
            successor.tell("sys.exit()")
            successor.process.wait()
    os.close(opened)
    parent.stdout.read()  # until the child has left too
    assert rows(path) == 30


@pytest.mark.skipif(sys.platform != "linux", reason="a guard of Linux")
def test_a_child_takes_no_guard_from_its_parent(path: Path, parent: Another) -> None:
    """It shares the guard with its parent, and leaves it alone."""
    parent.do("add(10); in_child(hold.unguard)")
    parent.do("open(hold.path).close()")
    assert rows(path) == 10  # a visitor that would delete the WAL as it leaves
    assert parent.do("add(10); hold.check()") is None


def test_a_child_is_told_that_it_is_one(parent: Another) -> None:
    """It is refused by name before it touches a file."""
    assert parent.do("answer = hold.is_forked_child") is False
    assert parent.do("answer = in_child(lambda: hold.is_forked_child)") == "True"
    refused = parent.do("answer = in_child(hold.check)")
    number = parent.process.pid
    assert re.fullmatch(
        rf"OSError: /.+/jobs\.db: process {number} has it open, and this is a forked child of it;"
        r" submit jobs in the parent",
        refused,
    )


def test_a_child_cannot_open_what_its_parent_has_open(path: Path, parent: Another) -> None:
    """SQLite in the child would take its parent's locks for its own, also when those are gone."""
    refused = parent.do("answer = in_child(lambda: FileHold(hold.path).take())")
    assert refused.startswith(f"StoreInUseError: {path}: process {parent.process.pid} had it open")
    assert refused.endswith("start this one by `spawn` instead")
    assert not is_free(path)


def test_a_child_may_open_what_its_parent_had_open(path: Path, parent: Another) -> None:
    """A server may fork its workers after a queue was closed."""
    parent.do("connection.close(); hold.release()")
    assert parent.do("answer = in_child(hold.take)") == "None"
    assert is_free(path)


def test_a_fork_while_a_thread_takes_a_hold_is_no_deadlock(path: Path, parent: Another) -> None:
    """The child has the locks of threads that it does not have."""
    other = path.with_name("other.db")
    parent.do("from stoat_jobs._sqlite import hold as module; module._registry.lock.acquire()")
    taken = parent.do(f"answer = in_child(FileHold(Path({str(other)!r})).take)")
    assert taken == "None"


def test_connections_are_dropped_after_a_release(parent: Another) -> None:
    """Nothing of a queue that was closed stays in the parent."""
    parent.do("import gc, weakref")
    parent.do("class Watched(sqlite3.Connection): pass")
    parent.do("watched = Watched(':memory:'); hold.keep(watched); there = weakref.ref(watched)")
    parent.do("watched.close(); connection.close(); hold.release(); del watched")
    assert parent.do("gc.collect(); answer = there() is None") is True
