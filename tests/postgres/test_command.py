"""`stoat-jobs postgres`: the tables by hand, and what is wrong with them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from stoat_jobs import BackendError
from stoat_jobs._cli.main import main
from stoat_jobs._cli.postgres.description import status_lines
from stoat_jobs._postgres import by_hand
from stoat_jobs._postgres import status as module
from stoat_jobs._postgres.schema import VERSION
from stoat_jobs.postgres import create_tables, tables_status

from ..support import SAFETY_NET
from ..support.postgres.cluster import PASSWORD, Cluster, name_in
from ..support.postgres.lifeline import poll
from ..support.postgres.secrets import texts_of
from ..support.postgres.standby import Standby

Run = Callable[..., tuple[int, str, str]]

JOB = """
INSERT INTO stoat_jobs.job (id, seq, type, metadata, is_kept, timeout, keep_payload, status,
    submitted_at, not_before, started_at)
VALUES (gen_random_uuid(), {seq}, '{type}', '{{}}', false, 60, true, '{status}',
    now() - interval '{age} s', now() + interval '{delay} s', {started})
"""
ROW = """
INSERT INTO stoat_jobs.pgqueuer (id, priority, entrypoint, status)
VALUES ({seq}, 0, '{type}', 'queued')
"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command; gives its exit code, output and errors, none of which has the password."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["postgres", *arguments])
        out, err = capsys.readouterr()
        assert PASSWORD not in out + err
        return code, out, err

    return run


class Jobs:
    """The tables of a database, as tests fill them."""

    def __init__(self, cluster: Cluster, url: str) -> None:
        self._cluster, self._database = cluster, name_in(url)
        self._seq = 0

    def sql(self, sql: str) -> str:
        return self._cluster.sql(sql, self._database)

    def add(
        self,
        job_type: str = "scan",
        status: str = "pending",
        *,
        age: float = 0,
        delay: float | None = None,
        started: str = "NULL",
        with_row: bool = True,
    ) -> None:
        self._seq += 1
        values: dict[str, Any] = {"seq": self._seq, "type": job_type, "status": status}
        delay = -age if delay is None else delay
        self.sql(JOB.format(**values, age=age, delay=delay, started=started))
        if with_row:
            self.sql(ROW.format(**values))


@pytest.fixture
def jobs(cluster: Cluster, url: str, run: Run) -> Jobs:
    assert run("init", url)[0] == 0
    return Jobs(cluster, url)


def problems(run: Run, url: str) -> list[str]:
    """What `status` finds wrong, the same as text and as JSON."""
    code, out, err = run("status", url)
    assert (code, err) in ((0, ""), (1, ""))
    found = [line[2:] for line in out.splitlines() if line.startswith("! ")]
    assert code == (1 if found else 0)
    code, out, err = run("status", url, "--json")
    assert len(json.loads(out)["problems"]) == len(found)
    return found


def test_init_upgrade_and_status(run: Run, url: str) -> None:
    """Exit code 0, and one line that says what is there now; twice is once."""
    assert run("upgrade", url)[0] == 2
    for command in ("init", "init", "upgrade"):
        assert run(command, url) == (0, "The tables in schema stoat_jobs are current.\n", "")
    code, out, err = run("status", url)
    assert (code, err) == (0, "")
    assert ", schema stoat_jobs\ntables: version 1\nPgQueuer: version " in out
    assert "no jobs\ntable job: 0.1 MB, 0 rows, 0 dead\n" in out


def test_another_schema(run: Run, url: str) -> None:
    """As many as there are queues; each is alone."""
    assert run("init", url, "--schema", "river")[0] == 0
    assert ", schema river\n" in run("status", url, "--schema", "river")[1]
    code, out, err = run("status", url)
    assert (code, out) == (2, "")
    assert err == (
        "stoat-jobs postgres status: backend 'postgres' has no tables in schema stoat_jobs:"
        " run `stoat-jobs postgres init URL`\n"
    )


@pytest.mark.parametrize("command", ["init", "upgrade", "status"])
def test_what_fails_is_one_line(run: Run, cluster: Cluster, command: str) -> None:
    """Exit code 2; a server that cannot be used, a url of another kind, a schema's name."""
    for url, reason in [
        (cluster.url_of("nowhere"), "there is no such database"),
        (f"mysql://stoat:{PASSWORD}@h/x", "cannot use a url that begins with mysql://"),
        (f"postgresql://stoat:wrong@127.0.0.1:{cluster.port}/jobs", "refused the password"),
    ]:
        code, out, err = run(command, url)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"stoat-jobs postgres {command}: backend 'postgres' ")
        assert reason in err
    code, _, err = run(command, cluster.url, "--schema", "No\nSchema; DROP")
    assert code == 2
    assert "its name has at most 40 lower-case letters, digits and _" in err


def test_status_counts(run: Run, url: str, jobs: Jobs) -> None:
    """By status and type, and for how long the oldest has been due."""
    jobs.add("scan", age=30)
    jobs.add("scan", delay=1000)
    jobs.add("mail", "running", started="now()")
    jobs.add("mail", "failed", with_row=False)
    code, out, _ = run("status", url)
    assert code == 0
    assert "failed mail: 1\npending scan: 2\nrunning mail: 1\noldest pending job: due for 3" in out
    found = json.loads(run("status", url, "--json")[1])
    assert found["counts"] == {
        "pending": {"scan": 2},
        "running": {"mail": 1},
        "failed": {"mail": 1},
    }
    assert (found["version"], found["schema"], found["problems"]) == (1, "stoat_jobs", [])


def test_status_lists_what_nobody_runs(run: Run, url: str, jobs: Jobs) -> None:
    """A type that is due for a minute, of which none runs or has run since."""
    jobs.add("forgotten", age=200)
    jobs.add("forgotten", age=100)
    jobs.add("busy", age=200)
    jobs.add("busy", "running", started="now() - interval '100 s'")
    jobs.add("slow", age=200)
    jobs.add("slow", "completed", started="now() - interval '10 s'", with_row=False)
    jobs.add("fresh", age=10)
    jobs.add("later", age=200, delay=10)
    (line,) = problems(run, url)
    assert line.startswith("2 jobs of type 'forgotten' are due, the oldest for 20")
    assert line.endswith(" s, and none runs: is there a worker with its handler?")


def test_status_compares_the_two_tables(run: Run, url: str, jobs: Jobs) -> None:
    """Live jobs without a row of the engine are wrong; rows without a job do no harm."""
    jobs.add("lost", with_row=False)
    jobs.add("done", "completed")
    (line,) = problems(run, url)
    assert line.startswith("1 live jobs are not in the engine's table: a worker that runs queues")
    assert "1 rows of the engine have no live job, which does no harm" in run("status", url)[1]


async def test_status_names_what_keeps_dead_rows(
    url: str, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long transaction by its application and process, or one that was prepared."""
    old = module._BLOCKERS.replace(f"interval '{module._OLD} s'", "interval '0 s'")
    monkeypatch.setattr(module, "_BLOCKERS", old)
    await create_tables(url)
    assert (await tables_status(url)).blockers == ()
    reporting = await asyncpg.connect(url, server_settings={"application_name": "reports"})
    async with reporting.transaction(isolation="repeatable_read"):
        pid = await reporting.fetchval("SELECT pg_backend_pid()")
        found = await tables_status(url)
        (blocker,) = found.blockers
        assert (blocker.kind, blocker.name, blocker.pid) == ("transaction", "reports", pid)
        line = f"! dead rows cannot be removed because of: transaction 'reports', pid {pid}, for "
        assert line in "\n".join(status_lines(found))
    await reporting.close()


@pytest.fixture
def sensitive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever keeps dead rows is a blocker, however young it is."""
    young = module._BLOCKERS.replace(f"interval '{module._OLD} s'", "interval '0 s'")
    monkeypatch.setattr(module, "_BLOCKERS", young.replace("age(xmin) > 100000", "true"))


@pytest.mark.usefixtures("sensitive")
async def test_status_names_a_prepared_transaction(own_cluster: Cluster) -> None:
    """One that a transaction manager forgot, by its name; no process has it."""
    own_cluster.configure(max_prepared_transactions="2")
    own_cluster.restart()
    await create_tables(own_cluster.url)
    connection = await asyncpg.connect(own_cluster.url)
    await connection.execute("BEGIN; CREATE TABLE t (n int); PREPARE TRANSACTION 'forgotten'")
    (blocker,) = (await tables_status(own_cluster.url)).blockers
    assert str(blocker).startswith("prepared transaction 'forgotten', for ")
    await connection.execute("ROLLBACK PREPARED 'forgotten'")
    await connection.close()
    assert (await tables_status(own_cluster.url)).blockers == ()


@pytest.mark.usefixtures("sensitive")
async def test_status_names_a_replication_slot(own_cluster: Cluster, standby: Standby) -> None:
    """That of a standby which tells what it still reads, and then is gone."""
    own_cluster.sql("SELECT pg_create_physical_replication_slot('copy')")
    standby.configure(
        primary_slot_name="copy", hot_standby_feedback="on", wal_receiver_status_interval="1"
    )
    standby.restart()
    await create_tables(own_cluster.url)
    held = "SELECT xmin IS NOT NULL FROM pg_replication_slots"
    assert await asyncio.to_thread(poll, lambda: own_cluster.sql(held) == "t", SAFETY_NET)
    standby.stop("immediate")
    gone = "SELECT count(*) FROM pg_stat_replication"
    assert await asyncio.to_thread(poll, lambda: own_cluster.sql(gone) == "0", SAFETY_NET)
    (blocker,) = (await tables_status(own_cluster.url)).blockers
    assert str(blocker) == "replication slot 'copy'"


def test_status_of_old_tables(
    run: Run, url: str, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They can be read, and the line says to upgrade them."""
    monkeypatch.setattr(module, "VERSION", VERSION + 1)
    assert problems(run, url) == ["the tables are old: run `stoat-jobs postgres upgrade URL`"]
    assert "tables: version 1, here 2\n" in run("status", url)[1]


def test_hostile_names_are_escaped(run: Run, url: str, jobs: Jobs) -> None:
    """Whoever named a type cannot change what the terminal shows."""
    jobs.add("evil' || chr(27) || '[2J", age=200)
    assert "\x1b" not in run("status", url)[1]
    assert "evil\\x1b[2J" in run("status", url)[1]


async def test_a_server_that_goes_away_meanwhile(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told in one line as well, and no error of the chain has the password."""

    async def gone(*_: Any) -> None:
        raise ConnectionResetError("reset by peer")

    await create_tables(url)
    monkeypatch.setattr(by_hand, "status", gone)
    with pytest.raises(BackendError, match="failed: the server cannot be reached; ") as caught:
        await tables_status(url)
    assert PASSWORD not in texts_of(caught.value)
