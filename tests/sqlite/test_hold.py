"""One process has a database file, and within it one queue."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from stoat_jobs._sqlite.hold import FileHold
from stoat_jobs._stored.store import StoreInUseError

from ..support.another import Another
from ..support.holding import another, held, is_free, make_database, next_descriptor

ROUNDS = 50

NOT_ON_WINDOWS = pytest.mark.skipif(sys.platform == "win32", reason="files of POSIX")


# Another process.


def test_a_second_process_is_refused_until_the_first_is_done(path: Path) -> None:
    """Before, while and after another process has it, in either order."""
    with another(path) as other:
        with held(path):
            assert other.do("hold.take()").startswith("StoreInUseError: ")
        assert other.do("hold.take()") is None
        with pytest.raises(StoreInUseError):
            FileHold(path).take()
        other.do("hold.release()")
        with held(path):
            assert other.do("hold.take()").startswith("StoreInUseError: ")


def test_the_refusal_names_the_holder_and_the_remedy(path: Path) -> None:
    """Whoever starts a second process reads which one is in the way, and what to do."""
    with another(path) as other, held(path):
        refused = other.do("hold.take()")
    assert re.fullmatch(
        rf"StoreInUseError: {re.escape(str(path))}: held by process {os.getpid()} on host \S+ since"
        r" \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, as far as its lock file says; run one server"
        r" process \(no `--workers 2`\), stop the other one, or, in a rolling deployment, wait for"
        r' it with options=\{"lock_wait": seconds\}',
        refused,
    )


def test_a_killed_holder_leaves_the_file_to_the_next(path: Path) -> None:
    """The system releases the lock with the process, and what the lock file says is old."""
    with another(path) as other:
        other.do("hold.take()")
        other.kill()
        other.process.wait()
        assert "pid" in Path(f"{path}.lock").read_text()
        with held(path):
            assert not is_free(path)


@NOT_ON_WINDOWS
def test_of_two_that_start_at_once_one_wins(path: Path) -> None:
    """In every round, also if somebody deletes the lock file before it."""
    gate = path.parent / "gate"
    os.mkfifo(gate)
    with another(path) as first, another(path) as second:
        for number in range(ROUNDS):
            if number % 2:
                Path(f"{path}.lock").unlink()
            answers = _at_once(gate, first, second)
            assert answers.count(None) == 1, answers
            first.do("hold.release()")
            second.do("hold.release()")


def _at_once(gate: Path, *others: Another) -> list[str | None]:
    """Let them take it as soon as the gate is opened; their errors, if any."""
    closed = os.open(gate, os.O_RDWR)
    for other in others:
        other.do(f"gate = os.open({str(gate)!r}, os.O_RDONLY)")
        other.tell("os.read(gate, 1), os.close(gate), hold.take()")
    os.close(closed)
    return [other.answer() for other in others]


# Other queues of this process.


def same(path: Path) -> Path:
    return path


def through_the_parent(path: Path) -> Path:
    return path.parent / ".." / path.parent.name / path.name


def through_a_link(path: Path) -> Path:
    (path.parent / "elsewhere").mkdir()
    link = path.parent / "elsewhere" / "link.db"
    link.symlink_to(path)
    return link


def through_a_linked_folder(path: Path) -> Path:
    link = path.parent / "linked"
    link.symlink_to(path.parent, target_is_directory=True)
    return link / path.name


def through_a_hard_link(path: Path) -> Path:
    other = path.parent / "other.db"
    other.hardlink_to(path)
    return other


def with_the_same_lock_file(path: Path) -> Path:
    """As where a folder is mounted a second time."""
    folder = path.parent / "mounted"
    folder.mkdir()
    (folder / "jobs.db.lock").hardlink_to(f"{path}.lock")
    return folder / "jobs.db"


WAYS = [
    same,
    through_the_parent,
    through_a_link,
    through_a_linked_folder,
    through_a_hard_link,
    with_the_same_lock_file,
]


@NOT_ON_WINDOWS
@pytest.mark.parametrize("way", WAYS)
def test_a_second_queue_of_the_process_is_refused(path: Path, way: Callable[[Path], Path]) -> None:
    """By whatever path it comes, and without the first one's lock being lost to it."""
    make_database(path)
    with held(path) as hold:
        hold.note_files()
        with pytest.raises(StoreInUseError, match="another queue of this process has it open"):
            FileHold(way(path)).take()
        assert not is_free(path)


@NOT_ON_WINDOWS
def test_a_second_process_is_refused_through_a_link(path: Path) -> None:
    """The lock file is beside the database itself, as SQLite's own files are."""
    with held(through_a_link(path)):
        assert not is_free(path)


def test_a_database_with_two_names_is_refused(path: Path) -> None:
    """Two processes that open it by two names would not see each other, nor each other's WAL."""
    make_database(path)
    through_a_hard_link(path)
    with pytest.raises(OSError, match="has 2 hard links, so that another process could open it"):
        FileHold(path).take()
    assert not Path(f"{path}.lock").exists()


def test_threads_that_take_it_at_once_get_one_hold(path: Path) -> None:
    """One of them has it, and all others are refused; in every round."""
    start = threading.Barrier(8)
    won: list[FileHold] = []

    def take() -> None:
        for _ in range(ROUNDS):
            hold = FileHold(path)
            start.wait()
            with suppress(StoreInUseError):
                hold.take()
                won.append(hold)
            start.wait()
            hold.release()

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == ROUNDS


def test_a_hold_may_be_taken_again_after_its_release(path: Path) -> None:
    """A release is for good, whether it was taken, and however often it is called."""
    hold = FileHold(path)
    hold.release()
    for _ in range(3):
        hold.take()
        assert not is_free(path)
        hold.release()
        hold.release()
        assert is_free(path)


def test_what_is_refused_leaves_nothing_open(path: Path) -> None:
    """Neither a descriptor nor an entry in the registry remains of an attempt."""
    with another(path) as other:
        other.do("hold.take()")
        before = next_descriptor()
        for _ in range(3):
            with pytest.raises(StoreInUseError, match="held by process"):
                FileHold(path).take()
        assert next_descriptor() == before
        other.do("hold.release()")
        with held(path):
            pass
