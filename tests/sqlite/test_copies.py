"""What is worth keeping of a file into which a queue writes: a backup, and no copy."""

from __future__ import annotations

import random
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from ..support.power_loss.recording import compile_recorder, needs_compiler, record
from ..support.power_loss.replay import Disk, write_out
from ..support.programs import Program
from .auditing import Found, Told, damage, lost
from .programs.ledger import lines

ROOT = Path(__file__).parents[2]
LOAD = ("-m", "tests.sqlite.programs.load")
COPIES = 60


def test_files_that_are_copied_in_turn_may_be_damaged(tmp_path: Path) -> None:
    """Of the file and its ``-wal``, each of another moment, nothing is certain."""
    needs_compiler()
    folder = tmp_path / "files"
    folder.mkdir()
    command = (*LOAD, folder / "jobs.db", folder / "ledger", "1", "--acts", "600")
    events, disk = record(folder, compile_recorder(tmp_path), *command, cwd=ROOT), Disk()
    moments = sorted(random.Random(1).sample(range(len(events)), COPIES))
    wholes = []
    for number, event in enumerate(events):
        disk.take(event)
        if number in moments:
            wholes.append(disk.whole())
    assert any(_damage(tmp_path / str(at), *wholes[at : at + 2]) for at in range(COPIES - 1))


def _damage(into: Path, first: dict[str, bytearray], second: dict[str, bytearray]) -> str:
    """What is wrong with a copy for which first the one file was read, and then the other."""
    copied = {"jobs.db": first, "jobs.db-wal": second}
    write_out({name: files[name] for name, files in copied.items() if name in files}, into)
    return damage(into / "jobs.db")


def test_a_backup_has_all_that_was_told(tmp_path: Path) -> None:
    """SQLite's backup of a file in use is whole, and of one moment."""
    database, ledger = tmp_path / "jobs.db", tmp_path / "ledger"
    command = [sys.executable, *LOAD, database, ledger, "1", "--acts", "600"]
    backups = 0
    with Program(command, cwd=ROOT) as program:
        while program.process.poll() is None:
            if not ledger.exists() or not (told := ledger.read_bytes()):
                continue
            copy = tmp_path / f"backup-{backups}.db"
            _back_up(database, copy)
            backups += 1
            found, gone = Found(copy), Told([*lines(ledger.read_bytes())]).of("deleting")
            assert found.damage == ""
            assert [each for each in lost(found, Told([*lines(told)])) if each not in gone] == []
    assert backups > 0


def _back_up(database: Path, into: Path) -> None:
    with (
        closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(into)) as target,
    ):
        source.backup(target)
