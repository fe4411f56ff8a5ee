"""The lock file, and what is checked before something is acknowledged."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stoat_jobs._sqlite import hold as module
from stoat_jobs._sqlite.hold import FileHold
from stoat_jobs._stored.store import StoreInUseError

from ..support.holding import another, held, is_free, make_database, next_descriptor

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="files of POSIX")


# The lock file.


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


def make_a_pipe(lock_file: Path) -> None:
    os.mkfifo(lock_file)


BLOCKED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a folder": (Path.mkdir, r"jobs\.db\.lock: cannot be opened: Is a directory"),
    "a pipe": (make_a_pipe, r"jobs\.db\.lock: is no file; delete it"),
    "a link": (link_the_lock_file, r"jobs\.db\.lock: cannot be opened: Too many levels of symb"),
    "no folder": (lambda path: path.parent.rmdir(), r"new: no such folder; make it"),
}


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
    before = next_descriptor()
    with pytest.raises(
        OSError, match=r"\.lock: cannot be locked: .+; keep the database on a local"
    ):
        FileHold(path).take()
    assert next_descriptor() == before


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
    link = path.with_name("link.db")
    link.symlink_to(path)
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
