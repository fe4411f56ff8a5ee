"""One process at a time runs the jobs of a file, and nobody takes an accepted job from it."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from stoat_jobs import BackendError
from stoat_jobs._sqlite.hold import FileHold
from stoat_jobs._stored.store import StoreInUseError

from ..support import SAFETY_NET
from ..support.another import Another
from ..support.holding import is_free
from ..support.listening import Heard, listening
from ..support.loops import ON_UVLOOP
from ..support.notes_queue import another_queue, kept, notes_queue

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="files and processes of POSIX"),
]

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="a guard of Linux")

LOOPS = ["asyncio", pytest.param("uvloop", marks=ON_UVLOOP)]

SEVERAL = 3
"""Refusals after which a successor has waited."""


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def other(path: Path, loop: str) -> Iterator[Another]:
    """Another process, whose queue is open."""
    with another_queue(path, loop) as process:
        assert process.do("run(queue.__aenter__())") is None
        yield process


@pytest.fixture
def run(loop: str) -> Iterator[Callable[[Any], Any]]:
    """Runs coroutines, one after the other."""
    with asyncio.Runner(loop_factory=import_module(loop).new_event_loop) as runner:
        yield lambda main: runner.run(asyncio.wait_for(main, SAFETY_NET))


class Refusals:
    """Counts how often a hold is refused."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._count = 0
        self._told: Callable[[], object] = lambda: None
        original = FileHold.take

        def take(hold: FileHold) -> None:
            try:
                original(hold)
            except StoreInUseError:
                self._count += 1
                if self._count == SEVERAL:
                    self._told()
                raise

        monkeypatch.setattr(FileHold, "take", take)

    async def several(self) -> None:
        """Wait for the third one."""
        reached, loop = asyncio.Event(), asyncio.get_running_loop()
        self._told = lambda: loop.call_soon_threadsafe(reached.set)
        await reached.wait()


@pytest.fixture
def refusals(monkeypatch: pytest.MonkeyPatch) -> Refusals:
    return Refusals(monkeypatch)


# A second process.


def test_a_second_process_does_not_start(path: Path, other: Another, run: Any) -> None:
    """Its error says who has the file, and what to do; the first one goes on."""
    with pytest.raises(BackendError) as refused:
        run(notes_queue(path).__aenter__())
    assert re.fullmatch(
        rf"backend 'sqlite' cannot start: {re.escape(str(path))}: held by process"
        rf" {other.process.pid} on host \S+ since .+ UTC, as far as its lock file says; run one"
        r" server process .+ options=\{\"lock_wait\": seconds\}",
        str(refused.value),
    )
    assert other.do("run(add(1, 2))") is None
    other.do("stop()")
    assert kept(path) == [1, 2]


def test_a_second_queue_of_the_process_does_not_start(path: Path, run: Any) -> None:
    """And once the first one is closed, it does."""

    async def main() -> None:
        second = notes_queue(path)
        async with notes_queue(path) as first:
            with pytest.raises(BackendError, match="another queue of this process has it open"):
                await second.__aenter__()
            await first.submit("note", {"number": 1}, key="1")
            assert not is_free(path)
        async with second:
            await second.submit("note", {"number": 2}, key="2")

    run(main())
    assert kept(path) == [1, 2]


def test_a_killed_process_leaves_its_jobs_to_the_next(path: Path, other: Another, run: Any) -> None:
    """The next one starts at once, and has all that was acknowledged."""
    other.do("run(add(*range(20)))")
    other.kill()
    other.process.wait()

    async def main() -> None:
        async with notes_queue(path) as queue:
            await queue.submit("note", {"number": 20}, key="20")

    run(main())
    assert kept(path) == list(range(21))


# A predecessor that drains.


def test_a_successor_waits_for_a_predecessor_that_drains(
    path: Path, other: Another, run: Any, refusals: Refusals
) -> None:
    """With `lock_wait` it starts when the last job of the other process has finished."""
    gate = path.with_name("gate")
    os.mkfifo(gate)
    opened = os.open(gate, os.O_RDWR)
    job_id = other.do(f"answer = run(begin({str(gate)!r}))")
    other.tell("stop()")

    async def main() -> str:
        queue = notes_queue(path, lock_wait=SAFETY_NET)
        starts = asyncio.ensure_future(queue.__aenter__())
        await refusals.several()
        assert not starts.done()
        os.close(opened)
        await starts
        status = await queue.get_status(job_id)
        await queue.__aexit__(None, None, None)
        return status

    assert run(main()) == "completed"
    assert other.answer() is None


def test_a_successor_that_is_cancelled_while_it_waits_leaves_nothing(
    path: Path, other: Another, run: Any, refusals: Refusals
) -> None:
    """No lock, no thread and nothing in the way of another queue."""

    async def main() -> None:
        starts = asyncio.ensure_future(notes_queue(path, lock_wait=SAFETY_NET).__aenter__())
        await refusals.several()
        starts.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starts

    before = set(threading.enumerate())
    run(main())
    ours = {each for each in threading.enumerate() if each.name.startswith("stoat-jobs")}
    assert ours <= before
    other.do("stop()")
    assert is_free(path)
    hold = FileHold(path)
    hold.take()
    hold.release()


def test_a_successor_gives_up_in_the_end(path: Path, other: Another, run: Any) -> None:
    """After `lock_wait` it says who has the file, as without it."""
    with pytest.raises(BackendError, match=f"held by process {other.process.pid} on host"):
        run(notes_queue(path, lock_wait=0.2).__aenter__())


# Forks.


def test_a_child_that_is_forked_in_a_handler_submits_nothing(path: Path, other: Another) -> None:
    """It is refused by name and does not hang, and its parent goes on and loses nothing."""
    other.do("run(add(1))")
    said = other.do('answer = run(queue.wait(run(queue.submit("forks")))).result')
    assert said == (
        "BackendError: backend 'sqlite' is open in another process, from which this one was"
        " forked: use the queue there"
    )
    assert not is_free(path)
    other.do("run(add(2))")
    other.kill()
    other.process.wait()
    assert kept(path) == [1, 2]


# Visitors, and files that vanish.


def visit(path: Path) -> None:
    """What a tool does that opens the file to write, looks at it and closes it again."""
    with closing(sqlite3.connect(path)) as visitor:
        visitor.execute("select count(*) from job").fetchone()


def test_visitors_take_nothing_with_them(path: Path, other: Another) -> None:
    """Whatever tools open the file beside the queue, every acknowledged job is there."""
    for number in range(20):
        other.do(f"run(add({number}))")
        visit(path)
    other.kill()
    other.process.wait()
    visit(path)
    assert kept(path) == list(range(20))


@ON_LINUX
@pytest.mark.parametrize("suffix", ["", "-shm"])
def test_visitors_take_nothing_although_sqlites_locks_are_gone(
    path: Path, other: Another, suffix: str
) -> None:
    """Anything in the process that opens and closes a file of SQLite's takes its locks away.

    Then a visitor would delete the WAL as it leaves, or begin its index anew under the queue.
    """
    for number in range(10):
        other.do(f"run(add({number})); open({str(path) + suffix!r}).close()")
        visit(path)
    assert other.do("run(add(10))") is None
    other.kill()
    other.process.wait()
    assert kept(path) == list(range(11))


def test_a_visitor_that_takes_the_wal_with_it_is_noticed(path: Path, other: Another) -> None:
    """Where there is no guard: from there on, jobs are refused by name."""
    other.do("run(add(*range(10)))")
    other.do("from stoat_jobs._sqlite.hold import _registry; _registry.holds[0].unguard()")
    # Newer SQLites notice at the index that the lock on the database alone is gone.
    for suffix in "", "-shm":
        other.do(f"open({str(path) + suffix!r}).close()")
    visit(path)
    refused = other.do("run(add(10))")
    assert refused.startswith("JobNotKeptError: backend 'sqlite' cannot keep a job: ")
    assert "jobs.db-wal: was deleted or replaced while the queue has it open" in refused
    other.kill()
    other.process.wait()
    assert kept(path) == list(range(10))


def test_the_last_one_who_leaves_takes_the_wal_along(path: Path, other: Another) -> None:
    """After an orderly stop there is one file with everything in it."""
    other.do("run(add(1)); stop()")
    assert sorted(file.name for file in path.parent.iterdir()) == ["jobs.db", "jobs.db.lock"]
    assert kept(path) == [1]


def delete(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    copy = path.with_name("copy.db")
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("create table job (key, job_type, number)")
    copy.replace(path)


@pytest.mark.parametrize("harm", [delete, replace])
def test_a_file_that_is_gone_is_noticed(path: Path, run: Any, harm: Callable[[Path], None]) -> None:
    """Jobs are refused by name, the log says once why, and they are accepted when it is back."""

    async def main() -> None:
        async with notes_queue(path) as queue:
            await queue.submit("note", {"number": 1}, key="1")
            safe = path.with_name("safe.db")
            safe.hardlink_to(path)
            harm(path)
            for _ in range(3):
                with pytest.raises(BackendError, match=r"jobs\.db: was deleted or replaced while"):
                    await queue.submit("note", {"number": 2}, key="2")
            safe.replace(path)
            await queue.submit("note", {"number": 3}, key="3")

    with listening(Heard()) as heard:
        run(main())
    events = [record.msg for record in heard.records if record.msg.startswith("store_")]
    assert events == ["store_failed", "store_recovered"]
    assert kept(path) == [1, 3]
