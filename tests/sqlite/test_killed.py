"""A process that is killed at any moment loses nothing that it had said."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..support.programs import Program, run_python
from .auditing import Found, faults
from .programs.ledger import Line, lines

ROOT = Path(__file__).parents[2]
PROGRAMS = "tests.sqlite.programs"


class Rounds:
    """A queue whose process is killed and started again, and its ledger."""

    def __init__(self, folder: Path) -> None:
        seed = random.SystemRandom().getrandbits(32)
        print(f"seed {seed}")
        self._random = random.Random(seed)
        self._folder = folder
        self._database = folder / "jobs.db"
        self._ledger = folder / "ledger"
        self._ledger.touch()
        self._log = folder / "log"

    def _command(self) -> list[str]:
        seed = str(self._random.getrandbits(32))
        return ["-m", f"{PROGRAMS}.load", str(self._database), str(self._ledger), seed]

    def _entries(self) -> list[Line]:
        return list(lines(self._ledger.read_bytes()))

    def kill(self, times: int) -> None:
        """Start a process and kill it at a random moment, again and again; what it said is so."""
        for _ in range(times):
            until = len(self._entries()) + self._random.randrange(10, 1_500)
            command = [sys.executable, *self._command()]
            with self._log.open("wb") as log, Program(command, cwd=ROOT, stderr=log) as program:
                self._wait_for(until, program)
                time.sleep(self._random.random() / 50)
                program.kill()
            assert faults(self._found(), self._entries()) == []

    def _wait_for(self, number: int, program: Program) -> None:
        """Until the ledger has so many lines."""
        while self._ledger.read_bytes().count(b"\n") < number:
            assert program.process.poll() is None, (program.hangs, self._log.read_text()[-2_000:])
            time.sleep(0.002)

    def _found(self) -> Found:
        """In a copy, because the next process is to find what the killed one has left."""
        copy = self._folder / "copy"
        copy.mkdir()
        for name in ("jobs.db", "jobs.db-wal"):
            if (self._folder / name).exists():
                shutil.copy(self._folder / name, copy)
        found = Found(copy / "jobs.db")
        shutil.rmtree(copy)
        return found

    @contextmanager
    def beside(self, program: str) -> Iterator[None]:
        """Let another program have the database open; it goes on whatever happens."""
        command = [sys.executable, "-m", f"{PROGRAMS}.{program}", self._database]
        with Program(command, cwd=ROOT, stdout=subprocess.PIPE) as running:
            assert running.process.stdout is not None
            assert running.process.stdout.readline()
            yield
            assert running.process.poll() is None

    def finish(self) -> None:
        """Let all jobs finish, in a last process."""
        run_python(*self._command(), "--finish", cwd=ROOT)
        found, entries = self._found(), self._entries()
        assert faults(found, entries) == []
        assert [job_id for job_id, kept in found.jobs.items() if not kept.is_finished] == []
        words = {line.word for line in entries}
        assert words >= {"submitted", "ended", "cancelled", "deleted", "began", "stopped"}


@pytest.mark.parametrize("times", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_process_that_is_killed_loses_nothing__fault_43(times: int, tmp_path: Path) -> None:
    """What was accepted ends once, and what was told of a job is true for ever."""
    rounds = Rounds(tmp_path)
    rounds.kill(times)
    rounds.finish()


@pytest.mark.parametrize("program", ["visitor", "reader"])
def test_who_only_reads_costs_no_job(program: str, tmp_path: Path) -> None:
    """Another process may open the file for reading, again and again or for long."""
    rounds = Rounds(tmp_path)
    rounds.kill(1)
    with rounds.beside(program):
        rounds.kill(2)
        rounds.finish()
