"""`stoat-jobs cancel`, `resubmit` and `delete` of jobs in a file of the `sqlite` backend."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ..support import SAFETY_NET
from ..support.operated import Report
from ..support.operators import APP, Operated
from ..support.postgres.lifeline import poll
from ..support.programs import Start
from ..support.terminal import StartTerminal

Run = Callable[..., tuple[int, str, str]]
MISSING = "0" * 36


@pytest.fixture
def jobs(tmp_path: Path) -> Operated:
    """The jobs in a file; it is made when the first is submitted."""
    return Operated("sqlite", str(tmp_path / "jobs.db"))


@pytest.fixture
def run(start: Start, jobs: Operated) -> Run:
    """Runs the command in a process of its own."""

    def run(*arguments: str) -> tuple[int, str, str]:
        return start(*arguments, *jobs.where).finish()

    return run


def statuses(run: Run) -> dict[str, str]:
    """What a list says."""
    records = map(json.loads, run("list", "--json")[1].splitlines())
    return {each["job_id"]: each["status"] for each in records}


def rows(jobs: Operated) -> list[Any]:
    """All that is in the table of jobs."""
    with closing(sqlite3.connect(jobs.url)) as connection:
        return connection.execute("select * from job order by number").fetchall()


def test_jobs_in_a_file_that_nobody_has_open(run: Run, jobs: Operated) -> None:
    """They are cancelled, deleted and submitted again; none is run, and what waits goes on waiting."""
    (done,) = jobs.submit("scan", {"files": 3})
    jobs.finished(done)
    waiting = jobs.submit("endless", {}, {}, {})
    code, out, err = run("resubmit", done, "--app", APP)
    assert (code, err) == (0, "")
    again = out.split()[-1]
    assert run("cancel", waiting[0]) == (0, f"{waiting[0]} cancelled\n", "")
    expected = {done: "completed", again: "pending"} | dict.fromkeys(waiting, "pending")
    assert statuses(run) == expected | {waiting[0]: "cancelled"}
    assert run("cancel", "--type", "endless", "--yes") == (0, "2 jobs cancelled.\n", "")
    code, out, err = run("delete", done, again, MISSING)
    assert (code, out) == (1, f"{done} deleted\n")
    assert f"job {again} has not finished" in err.splitlines()[0]
    assert f"no job '{MISSING}'" in err.splitlines()[1]
    assert statuses(run) == {again: "pending"} | dict.fromkeys(waiting, "cancelled")
    assert jobs.finished(again).result == Report(files=3)


def test_what_a_killed_process_left_stays_as_it_is(run: Run, jobs: Operated) -> None:
    """A command that changes one job changes no other: not its starts, not old records."""
    (done,) = jobs.submit("scan", {"files": 3})
    jobs.finished(done)
    waiting, *_ = jobs.submit("endless", {}, {}, {})
    with jobs.worker() as worker:
        worker.read_until("started")
        assert poll(lambda: "running" in statuses(run).values(), SAFETY_NET)
    with closing(sqlite3.connect(jobs.url, isolation_level=None)) as connection:
        connection.execute("update job set finished = finished - 1e6 where finished is not null")
    before = rows(jobs)
    run("cancel", MISSING)
    run("resubmit", waiting, "--app", APP)
    assert rows(jobs) == before
    assert run("cancel", waiting)[0] == 0
    changed = [old for old, new in zip(before, rows(jobs), strict=True) if old != new]
    assert [waiting in row for row in changed] == [True]


@pytest.mark.parametrize(
    "command", [["cancel"], ["delete"], ["resubmit", "--app", APP]], ids=lambda each: each[0]
)
def test_a_file_that_an_application_has_open(run: Run, jobs: Operated, command: list[str]) -> None:
    """The command says who can change its jobs, and changes nothing; the application goes on."""
    (job_id,) = jobs.submit("endless")
    with jobs.worker() as worker:
        worker.read_until("started")
        assert poll(lambda: statuses(run)[job_id] == "running", SAFETY_NET)
        code, out, err = run(*command, job_id)
        assert (code, out) == (2, "")
        assert err == (
            f"stoat-jobs {command[0]}: backend 'sqlite' lets only the process that has its jobs"
            " open change them, and one has: use the HTTP or the dashboard of that application, or"
            " stop it first\n"
        )
        assert statuses(run) == {job_id: "running"}
        assert worker.process.poll() is None


@pytest.mark.parametrize("command", [["cancel", MISSING], ["delete", "--all", "--yes"]])
def test_a_file_that_is_not_there_is_not_made(
    run: Run, jobs: Operated, tmp_path: Path, command: list[str]
) -> None:
    """A wrong path is one line, and leaves nothing behind."""
    code, out, err = run(*command)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "there is no such file" in err
    assert list(tmp_path.iterdir()) == []


def test_many_are_asked_about(terminal: StartTerminal, run: Run, jobs: Operated) -> None:
    """On a terminal the number is shown; no means no."""
    waiting = jobs.submit("endless", {}, {})
    for keys, code, status in [
        (b"no\n", 1, "pending"),
        (b"\x04", 1, "pending"),
        (b"yes\n", 0, "cancelled"),
    ]:
        asked = terminal("cancel", "--type", "endless", *jobs.where, columns=100)
        asked.read_until("Cancel 2 jobs? [y/N] ")
        asked.press(keys)
        assert asked.finish()[0] == code
        assert statuses(run) == dict.fromkeys(waiting, status)
