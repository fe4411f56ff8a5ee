"""One process has a database file, and within it one queue."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from stoat_jobs._backends.store import StoreInUseError
from stoat_jobs._sqlite import hold as module
from stoat_jobs._sqlite.hold import FileHold

from ..support.another import Another
from ..support.holding import another, held, is_free, make_database

ROUNDS = 50

NOT_ON_WINDOWS = pytest.mark.skipif(sys.platform == "win32", reason="files of POSIX")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


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
        before = _next_descriptor()
        for _ in range(3):
            with pytest.raises(StoreInUseError, match="held by process"):
                FileHold(path).take()
        assert _next_descriptor() == before
        other.do("hold.release()")
        with held(path):
            pass


def _next_descriptor() -> int:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    return descriptor


# The lock file.


@NOT_ON_WINDOWS
def test_the_lock_file_is_its_users_own_and_stays(path: Path) -> None:
    """Nobody else may read it, no other program inherits it, and a release empties it."""
    lock_file = Path(f"{path}.lock")
    with held(path) as hold:
        assert stat.S_IMODE(lock_file.stat().st_mode) == 0o600
        assert hold._descriptor is not None
        assert not os.get_inheritable(hold._descriptor)
        assert lock_file.read_text().count("\n") == 1
    assert lock_file.read_bytes() == b""


def test_a_lock_file_that_is_deleted_meanwhile_is_made_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is locked is what the next process will find."""
    lock_file, lock = Path(f"{path}.lock"), module._lock
    tries = iter([lock_file.unlink, lambda: None])

    def late(descriptor: int) -> None:
        next(tries)()
        lock(descriptor)

    monkeypatch.setattr(module, "_lock", late)
    with held(path) as hold:
        hold.check()
        assert not is_free(path)


GARBAGE = {
    "empty": b"",
    "no JSON": b"\xff\0held by me",
    "another JSON": b"[4242]",
    "incomplete": b'{"pid": 4242}',
    "nested": b"[" * 100_000,
    "a number too long": b"1" * 10_000,
}


@pytest.mark.parametrize("text", GARBAGE.values(), ids=GARBAGE)
def test_garbage_in_the_lock_file_does_no_harm(path: Path, text: bytes) -> None:
    """Whatever it contains, the lock decides."""
    lock_file = Path(f"{path}.lock")
    lock_file.write_bytes(text)
    with another(path) as other, held(path):
        refused = other.do(f"Path({str(lock_file)!r}).write_bytes({text!r}); hold.take()")
        assert refused.startswith(f"StoreInUseError: {path}: held by another process; run one")


def test_a_lock_file_forges_no_line(path: Path) -> None:
    """What it says is shown on one line."""
    with another(path) as other:
        other.do("hold.take()")
        Path(f"{path}.lock").write_text('{"pid": 1, "host": "a\\nb\\u001b[2J", "since": "now"}')
        with pytest.raises(
            StoreInUseError, match=r"process 1 on host a\\nb\\x1b\[2J since now, as"
        ):
            FileHold(path).take()


@NOT_ON_WINDOWS
def test_a_full_disk_does_not_keep_it_from_being_taken(path: Path) -> None:
    """Who has it can't be written then, but it is locked all the same."""
    with another(path) as full:
        full.do("import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))")
        assert full.do("hold.take()") is None
        with pytest.raises(StoreInUseError, match="held by another process"):
            FileHold(path).take()


def link_the_lock_file(lock_file: Path) -> None:
    (lock_file.parent / "precious").touch()
    lock_file.symlink_to(lock_file.parent / "precious")


BLOCKED = {
    "a folder": (Path.mkdir, r"jobs\.db\.lock: cannot be opened: Is a directory"),
    "a pipe": (os.mkfifo, r"jobs\.db\.lock: is no file; delete it"),
    "a link": (link_the_lock_file, r"jobs\.db\.lock: cannot be opened: Too many levels of symb"),
    "no folder": (lambda path: path.parent.rmdir(), r"new: no such folder; make it"),
}


@NOT_ON_WINDOWS
@pytest.mark.parametrize("kind", BLOCKED)
def test_what_is_in_the_way_of_the_lock_file_is_named(tmp_path: Path, kind: str) -> None:
    """In one line, and it is left as it is."""
    block, reason = BLOCKED[kind]
    path = tmp_path / "new" / "jobs.db"
    path.parent.mkdir()
    block(Path(f"{path}.lock"))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OSError, match=reason):
        FileHold(path).take()
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_named(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Where nothing can be locked, the queue does not start, and nothing remains."""

    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module, "_lock", refuse)
    before = _next_descriptor()
    with pytest.raises(
        OSError, match=r"\.lock: cannot be locked: .+; keep the database on a local"
    ):
        FileHold(path).take()
    assert _next_descriptor() == before


# The files are still those.


def delete(file: Path) -> None:
    file.unlink()


def replace(file: Path) -> None:
    copy = file.with_name("copy")
    copy.write_bytes(file.read_bytes())
    copy.replace(file)


def move_the_folder(file: Path) -> None:
    file.parent.rename(file.parent.with_name("moved"))
    file.parent.mkdir()


@NOT_ON_WINDOWS
@pytest.mark.parametrize("harm", [delete, replace, move_the_folder])
@pytest.mark.parametrize("suffix", ["", "-wal", ".lock"])
def test_files_that_are_no_longer_there_are_named(
    tmp_path: Path, suffix: str, harm: Callable[[Path], None]
) -> None:
    """What is written to a file without a name is lost, so it is not acknowledged."""
    path = tmp_path / "folder" / "jobs.db"
    path.parent.mkdir()
    make_database(path)
    with held(path) as hold:
        hold.note_files()
        hold.check()
        harm(Path(f"{path}{suffix}"))
        with pytest.raises(OSError, match="was deleted or replaced while the queue has it open"):
            hold.check()


def test_a_link_that_leads_elsewhere_is_named(path: Path) -> None:
    """The next process would follow it to the other database."""
    make_database(path)
    link = through_a_link(path)
    with held(link) as hold:
        hold.note_files()
        link.unlink()
        other = path.with_name("other.db")
        make_database(other)
        link.symlink_to(other)
        with pytest.raises(OSError, match=r"link\.db: was deleted or replaced"):
            hold.check()


def test_only_files_that_are_there_are_noted(path: Path) -> None:
    """A database that was not opened is an error, not a file to look out for."""
    with held(path) as hold, pytest.raises(FileNotFoundError):
        hold.note_files()
