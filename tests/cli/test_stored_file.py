"""`stoat-jobs list` and `stoat-jobs show` of a file of the `sqlite` backend."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stoat_jobs import JobContext, JobHandlers, JobQueueSettings, create_queue
from stoat_jobs._cli.main import main

from ..support.programs import Start
from ..support.terminal import CONTROL, StartTerminal

handlers = JobHandlers()


@handlers.job
async def double(ctx: JobContext, n: int) -> int:
    return 2 * n


@handlers.job
async def endless(ctx: JobContext) -> None:
    await asyncio.Event().wait()


def settings(path: Path) -> JobQueueSettings:
    return JobQueueSettings(backend="sqlite", url=str(path), concurrency=2, drain_timeout=0)


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A file with 300 jobs that completed, which no queue has open."""

    async def fill() -> None:
        async with create_queue(handlers, settings(tmp_path / "jobs.db")) as queue:
            ids = await queue.submit_many("double", [{"n": n} for n in range(300)])
            for job_id in ids:
                await queue.wait(job_id)

    asyncio.run(fill())
    return tmp_path / "jobs.db"


async def test_jobs_are_read_while_a_queue_has_them(start: Start, tmp_path: Path) -> None:
    """The jobs of a running app are listed and shown, and the app does not notice."""
    path = tmp_path / "jobs.db"
    where = ("--backend", "sqlite", "--url", path)
    async with create_queue(handlers, settings(path)) as queue:
        done = await queue.submit("double", {"n": 21}, metadata={"user": "ada"})
        await queue.wait(done)
        running = await queue.submit("endless")
        code, out, err = await asyncio.to_thread(start("list", *where).finish)
        assert (code, err) == (0, "")
        rows = [line.split()[:3] for line in out.splitlines()[1:]]
        assert rows == [[running, "endless", "running"], [done, "double", "completed"]]
        code, out, err = await asyncio.to_thread(start("show", done, *where, "--json").finish)
        assert (code, err) == (0, "")
        assert json.loads(out) == (await queue.get_result(done)).model_dump(mode="json")
        assert (await queue.wait(await queue.submit("double", {"n": 1}))).result == 2


def test_a_reader_that_waits_holds_nothing(start: Start, filled: Path) -> None:
    """While a pager waits in the middle of a list, the whole WAL can be emptied."""
    command = start("list", "--json", "--limit", "300", "--backend", "sqlite", "--url", filled)
    command.wait_until_unread(4096)
    with closing(sqlite3.connect(filled, isolation_level=None)) as connection:
        connection.execute("update job set progress = 1")
        busy, left, _ = connection.execute("pragma wal_checkpoint(truncate)").fetchone()
    assert (busy, left) == (0, 0)
    assert command.process.poll() is None
    code, out, err = command.finish()
    assert (code, err) == (0, "")
    assert len({json.loads(line)["job_id"] for line in out.splitlines()}) == 300


def test_a_reader_of_the_output_that_leaves(start: Start, filled: Path) -> None:
    """`stoat-jobs list | head -1` ends without a word."""
    command = start("list", "--json", "--limit", "300", "--backend", "sqlite", "--url", filled)
    command.wait_until_unread(4096)
    command.stdout.close()
    assert command.finish_unread() == (1, "")


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_ctrl_c_ends_a_list_that_nobody_reads(start: Start, filled: Path, form: list[str]) -> None:
    """Ctrl-C ends a list also while its output waits for a reader that has stopped."""
    where = ("--backend", "sqlite", "--url", filled)
    command = start("list", *form, "--limit", "300", *where, pipesize=4096)
    command.wait_until_unread(3500)
    command.interrupt()
    assert command.finish_unread() == (130, "")


@pytest.fixture
def unreadable(tmp_path: Path) -> Iterator[Path]:
    """A folder of files that are none of ours."""
    (tmp_path / "text").write_text("no database")
    (tmp_path / "empty").touch()
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("create table theirs (number)")
    yield tmp_path


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.db", "there is no such file"),
        ("no/folder.db", "there is no such folder"),
        ("text", "is not a database"),
        ("empty", "is empty"),
        ("other.db", "belongs to another program"),
        ("", "is a folder"),
    ],
)
@pytest.mark.parametrize("command", [["list"], ["show", "0" * 36]], ids=lambda each: each[0])
def test_a_file_that_is_not_ours_is_one_line(
    unreadable: Path,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    name: str,
    reason: str,
) -> None:
    """A file that is missing or another program's is one line on stderr, exit code 2, and as before."""
    before = {each: each.read_bytes() for each in unreadable.iterdir()}
    url = str(unreadable / name)
    assert main([*command, "--backend", "sqlite", "--url", url]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"stoat-jobs {command[0]}: backend 'sqlite' ")
    assert reason in err
    assert {each: each.read_bytes() for each in unreadable.iterdir()} == before


def test_a_url_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    """Without --url one line says what it should be."""
    assert main(["list", "--backend", "sqlite"]) == 2
    assert "needs `url` in its settings: the path of a file" in capsys.readouterr().err


@pytest.mark.parametrize(("columns", "whole"), [(120, True), (70, True), (40, False)])
def test_a_terminal_gets_a_table_that_fits(
    terminal: StartTerminal, filled: Path, columns: int, whole: bool
) -> None:
    """In a terminal the table is coloured and fits, and ids are whole where there is room."""
    where = ("--backend", "sqlite", "--url", filled)
    code, out = terminal("list", *where, "--limit", "300", columns=columns, lines=400).finish()
    assert code == 0
    assert "\x1b[32mcompleted\x1b[0m" in out
    lines = CONTROL.sub("", out).splitlines()
    assert len(lines) == 301
    assert max(map(len, lines)) <= columns
    assert {len(line.split()[0]) for line in lines[1:]} == {36 if whole else 9}


def test_no_color_is_respected(terminal: StartTerminal, filled: Path) -> None:
    """With NO_COLOR a terminal gets the same table, without control codes."""
    where = ("--backend", "sqlite", "--url", filled)
    shown = terminal("list", *where, "--limit", "3", columns=70, NO_COLOR="1")
    code, out = shown.finish()
    assert code == 0
    assert out.replace("\r\n", "").isprintable()
    assert max(map(len, out.splitlines()[:4])) <= 70
