"""`stoat-jobs list`, `show`, `cancel`, `resubmit` and `delete` of jobs on a server."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from stoat_jobs._cli.main import main

from ..support.operated import Report
from ..support.operators import APP, Operated
from ..support.postgres.cluster import PASSWORD, Cluster, name_in
from ..support.programs import Command
from ..support.terminal import Terminal

Run = Callable[..., tuple[int, str, str]]
MISSING = "00000000-0000-4000-8000-000000000000"
UNKNOWN = "it was never submitted, or is not kept any more"


@pytest.fixture
def jobs(url: str) -> Operated:
    """The jobs of the app; this process runs none."""
    return Operated("postgres", url, worker=False)


@pytest.fixture
def worker(jobs: Operated) -> Iterator[None]:
    """A process that runs them."""
    with jobs.worker() as worker:
        worker.read_until("started")
        yield


@pytest.fixture
def run(jobs: Operated, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command; gives its exit code, output and errors, none of which has the password."""

    def run(*arguments: str, where: list[str] = jobs.where) -> tuple[int, str, str]:
        code = main([*arguments, *where])
        out, err = capsys.readouterr()
        assert PASSWORD not in out + err
        return code, out, err

    return run


@pytest.fixture
def ask(jobs: Operated) -> Iterator[Callable[..., Terminal]]:
    """Starts the command in a terminal."""
    with ExitStack() as stack:

        def ask(*arguments: str) -> Terminal:
            environment = {**os.environ, "TERM": "dumb"}
            terminal = Terminal(*arguments, *jobs.where, columns=100, environment=environment)
            return stack.enter_context(terminal)

        yield ask


def objects(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.usefixtures("worker")
def test_jobs_are_listed_and_shown_beside_a_worker(run: Run, jobs: Operated) -> None:
    """What a worker runs is seen by filters, with its result, and nobody minds."""
    (ada,) = jobs.submit("scan", {"files": 3}, metadata={"user": "ada", "n": 4})
    (bob,) = jobs.submit("endless", metadata={"user": "bob", "n": "4"})
    jobs.finished(ada)
    jobs.until_running(bob)
    code, out, err = run("list")
    assert (code, err) == (0, "")
    assert [line.split()[:3] for line in out.splitlines()[1:]] == [
        [bob, "endless", "running"],
        [ada, "scan", "completed"],
    ]
    for arguments, found in [
        (["--status", "running"], [bob]),
        (["--type", "scan", "--type", "fail"], [ada]),
        (["--metadata", "user=ada"], [ada]),
        (["--metadata", "n=4"], [ada]),
        (["--metadata", 'n="4"'], [bob]),
        (["--metadata", "n=4", "--metadata", "user=bob"], []),
        (["--limit", "1"], [bob]),
    ]:
        assert [each["job_id"] for each in objects(run("list", *arguments, "--json")[1])] == found
    code, out, err = run("show", ada, "--json")
    assert (code, err) == (0, "")
    shown = json.loads(out)
    assert (shown["result"], shown["payload"]) == ({"files": 3, "note": "none"}, {"files": 3})
    assert jobs.statuses(bob) == ["running"]


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(("job_type", "name"), [("scan", "Report"), ("count", "Total")])
def test_a_result_is_shown_as_the_app_declares_it(
    run: Run, jobs: Operated, cluster: Cluster, job_type: str, name: str
) -> None:
    """With the app a result has its type's name and all fields; without it, or if it does not fit, not."""
    (job_id,) = jobs.submit(job_type, {"files": 3})
    jobs.finished(job_id)
    whole = json.loads(run("show", job_id, "--app", APP, "--json")[1])["result"]
    cluster.sql("""UPDATE stoat_jobs.job SET result = '{"files": 3}'""", name_in(jobs.url))
    assert '\nresult:\n  {\n    "files": 3\n  }\n' in run("show", job_id)[1]
    code, out, err = run("show", job_id, "--app", APP)
    assert (code, err) == (0, "")
    assert json.loads(out.partition(f"\nresult ({name}):\n")[2]) == whole
    cluster.sql("""UPDATE stoat_jobs.job SET result = '{"other": 3}'""", name_in(jobs.url))
    assert '\nresult:\n  {\n    "other": 3\n  }\n' in run("show", job_id, "--app", APP)[1]


def test_old_records_are_shown(run: Run, jobs: Operated, cluster: Cluster) -> None:
    """What the app keeps longer than by default is there for an operator, too."""
    (job_id,) = jobs.submit("scan", {"files": 3})
    old = "UPDATE stoat_jobs.job SET status = 'failed', finished_at = now() - interval '9 days'"
    cluster.sql(old, name_in(jobs.url))
    assert [each["job_id"] for each in objects(run("list", "--json")[1])] == [job_id]
    assert run("delete", job_id)[0] == 0


def test_a_user_who_may_only_read_reads(run: Run, jobs: Operated, cluster: Cluster) -> None:
    """To list, the right to read the jobs is enough; what is not allowed is one line."""
    (job_id,) = jobs.submit("scan", {"files": 3})
    cluster.sql(
        f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}';"
        " GRANT USAGE ON SCHEMA stoat_jobs TO reader;"
        " GRANT SELECT ON stoat_jobs.job, stoat_jobs.pgqueuer TO reader",
        name_in(jobs.url),
    )
    try:
        where = ["--backend", "postgres", "--url", cluster.url_of(name_in(jobs.url), "reader")]
        assert job_id in run("list", where=where)[1]
        assert run("list", "--status", "running", where=where) == (0, "No jobs.\n", "")
        assert job_id in run("show", job_id, where=where)[1]
        code, out, err = run("cancel", job_id, where=where)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "lacks rights: user reader may not" in err
    finally:
        cluster.sql("DROP OWNED BY reader; DROP ROLE reader", name_in(jobs.url))


@pytest.mark.usefixtures("worker")
def test_a_running_job_is_cancelled(run: Run, jobs: Operated) -> None:
    """The worker that runs it stops it."""
    (job_id,) = jobs.submit("endless")
    jobs.until_running(job_id)
    assert run("cancel", job_id) == (0, f"{job_id} cancelled\n", "")
    record = jobs.finished(job_id)
    assert (record.status, record.error_type) == ("cancelled", "Cancelled")
    assert record.started_at is not None


def test_what_cannot_be_done_is_named_and_the_rest_is_done(run: Run, jobs: Operated) -> None:
    """Exit code 1: each job that has finished, is live or unknown has a line that says so."""
    one, two = jobs.submit("endless", {}, {})
    assert run("cancel", one)[0] == 0
    code, out, err = run("cancel", one, MISSING, two, two, "7")
    assert (code, out) == (1, f"{two} cancelled\n")
    assert err.splitlines() == [
        f"stoat-jobs cancel: job {one} has finished already",
        f"stoat-jobs cancel: no job '{MISSING}': {UNKNOWN}",
        f"stoat-jobs cancel: no job '7': {UNKNOWN}; give the whole id",
    ]
    (live,) = jobs.submit("endless")
    code, out, err = run("delete", live, one, "--json")
    assert code == 1
    assert err == (
        f"stoat-jobs delete: job {live} has not finished: cancel it first, and delete it when it"
        " has ended\n"
    )
    first, second = objects(out)
    assert (first["job_id"], first["deleted"], second) == (
        live,
        False,
        {"job_id": one, "deleted": True, "problem": None},
    )
    assert first["problem"] in err
    assert jobs.statuses(live, one) == ["pending", "gone"]


def test_many_are_cancelled_by_a_filter(run: Run, jobs: Operated) -> None:
    """Those of the status, type and metadata that are named, and no others; all if that is said."""
    of_ada = jobs.submit("endless", *[{}] * 150, metadata={"user": "ada"})
    others = jobs.submit("endless", metadata={"user": "bob"}) + jobs.submit("scan", {"files": 1})
    filters = ["--type", "endless", "--metadata", "user=ada", "--status", "pending", "--yes"]
    assert run("cancel", *filters) == (0, "150 jobs cancelled.\n", "")
    assert jobs.statuses(*of_ada[:2], *others) == ["cancelled", "cancelled", "pending", "pending"]
    assert run("cancel", *filters) == (0, "No such jobs.\n", "")
    assert run("cancel", "--all", "--yes", "--json") == (
        0,
        '{"matched": 2, "cancelled": 2}\n',
        "",
    )
    assert jobs.statuses(*others) == ["cancelled", "cancelled"]


def test_many_are_deleted_by_a_filter(run: Run, jobs: Operated) -> None:
    """Only finished ones, those of the filter; all if that is said."""
    of_ada = jobs.submit("endless", *[{}] * 12, metadata={"user": "ada"})
    run("cancel", "--all", "--yes")
    (live,) = jobs.submit("endless", metadata={"user": "ada"})
    assert run("delete", "--metadata", "user=bob", "--yes", "--json") == (
        0,
        '{"matched": 0, "deleted": 0}\n',
        "",
    )
    assert run("delete", "--metadata", "user=ada", "--yes") == (0, "12 jobs deleted.\n", "")
    assert jobs.statuses(*of_ada, live) == ["gone"] * 12 + ["pending"]
    assert run("delete", "--all", "--yes") == (0, "No such jobs.\n", "")


@pytest.mark.parametrize("command", ["cancel", "delete"])
@pytest.mark.parametrize(("keys", "is_done"), [(b"y\n", True), (b"n\n", False), (b"\n", False)])
def test_many_are_asked_about(
    ask: Callable[..., Terminal], run: Run, jobs: Operated, command: str, keys: bytes, is_done: bool
) -> None:
    """On a terminal the number is shown, and only a yes does it."""
    some = jobs.submit("endless", {}, {})
    if command == "delete":
        run("cancel", *some)
    terminal = ask(command, "--type", "endless")
    terminal.read_until(f"{command.capitalize()} 2 jobs? [y/N] ")
    before = jobs.statuses(*some)
    assert before == ["cancelled" if command == "delete" else "pending"] * 2
    terminal.press(keys)
    code, out = terminal.finish()
    assert (code, jobs.statuses(*some) != before) == ((0, True) if is_done else (1, False))
    said = "2 jobs cancelled." if command == "cancel" else "2 jobs deleted."
    assert (said if is_done else f"stoat-jobs {command}: nothing was done") in out


def test_ctrl_c_at_the_question(ask: Callable[..., Terminal], jobs: Operated) -> None:
    """It ends the command with 130, and nothing is done."""
    (job_id,) = jobs.submit("endless")
    terminal = ask("cancel", "--all")
    terminal.read_until("Cancel 1 job? [y/N] ")
    terminal.press(b"\x03")
    code, out = terminal.finish()
    assert (code, "Traceback" in out) == (128 + signal.SIGINT, False)
    assert jobs.statuses(job_id) == ["pending"]


def test_without_a_terminal_nobody_is_asked(run: Run, jobs: Operated) -> None:
    """There --yes is needed."""
    (job_id,) = jobs.submit("endless")
    error = "stoat-jobs cancel: this would cancel 1 job: give --yes to do it unasked\n"
    assert run("cancel", "--all") == (2, "", error)
    assert jobs.statuses(job_id) == ["pending"]


@pytest.mark.usefixtures("worker")
def test_a_job_is_resubmitted(run: Run, jobs: Operated) -> None:
    """It runs in a worker, with its old payload; each old id has the new one."""
    one, two = jobs.submit("scan", {"files": 3}, {"files": 4}, metadata={"user": "ada"})
    jobs.finished(one)
    jobs.finished(two)
    code, out, err = run("resubmit", one, "--app", APP)
    assert (code, err) == (0, "")
    old, new = out.rstrip("\n").split(" resubmitted as ")
    assert old == one
    record = jobs.finished(new)
    assert record.result == Report(files=3)
    assert record.metadata == {"user": "ada", "resubmitted_from": one}
    code, out, err = run("resubmit", two, "--app", APP, "--json")
    (told,) = objects(out)
    assert jobs.finished(told.pop("new_job_id")).result == Report(files=4)
    assert (code, told, err) == (0, {"job_id": two, "resubmitted": True, "problem": None}, "")


def test_what_is_not_resubmitted_says_why(run: Run, jobs: Operated, cluster: Cluster) -> None:
    """A payload that was not kept or no longer fits, a live job, a type that the app does not have."""
    lost, unfit, unknown = (jobs.submit(*each)[0] for each in _FINISHING)
    run("cancel", "--all", "--yes")
    update = "UPDATE stoat_jobs.job SET {} WHERE id = '{}'"
    cluster.sql(update.format("payload = '{}'", unfit), name_in(jobs.url))
    cluster.sql(update.format("type = 'other'", unknown), name_in(jobs.url))
    (live,) = jobs.submit("scan", {"files": 2})
    code, out, err = run("resubmit", lost, unfit, unknown, live, "--app", APP)
    assert (code, out) == (1, "")
    reasons = [
        "was not kept",
        "does not fit job type 'scan'",
        "unknown job type 'other'",
        "pending",
    ]
    assert len(err.splitlines()) == len(reasons)
    for line, job_id, reason in zip(err.splitlines(), (lost, unfit, unknown, live), reasons):
        assert line.startswith(f"stoat-jobs resubmit: job {job_id}: ")
        assert reason in line


_FINISHING: list[Any] = [("endless",), ("scan", {"files": 1}), ("scan", {"files": 2})]


def test_the_command_runs_no_job(run: Run, jobs: Operated, cluster: Cluster) -> None:
    """Also where it has the handlers, and is told to be a worker: what waits goes on waiting."""
    done, waiting = jobs.submit("scan", {"files": 1}, {"files": 2})
    run("cancel", done)
    code, out, _ = run("resubmit", done, "--app", APP, "--option", "worker=true")
    assert code == 0
    again = out.split()[-1]
    assert jobs.statuses(waiting, again) == ["pending", "pending"]
    starts = "SELECT sum(delivery) FROM stoat_jobs.job"
    assert cluster.sql(starts, name_in(jobs.url)) == "0"


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_ctrl_c_ends_a_list_that_nobody_reads(jobs: Operated, form: list[str]) -> None:
    """Ctrl-C ends a list also while its output waits for a reader that has stopped."""
    jobs.submit("endless", *[{}] * 150)
    program = [sys.executable, "-m", "stoat_jobs", "list", *form, "--limit", "150", *jobs.where]
    with Command(program, pipesize=4096) as command:
        command.wait_until_unread(3500)
        command.interrupt()
        assert command.finish_unread() == (128 + signal.SIGINT, "")


@pytest.mark.parametrize(
    "command", [["list"], ["show", MISSING], ["cancel", MISSING], ["delete", "--all", "--yes"]]
)
def test_what_cannot_be_used_is_one_line(
    run: Run, cluster: Cluster, url: str, command: list[str]
) -> None:
    """A wrong password, no database, a url of another kind, no tables: exit 2, and none are made."""
    for given, reason in [
        (f"postgresql://stoat:wrong@127.0.0.1:{cluster.port}/jobs", "refused the password"),
        (cluster.url_of("nowhere"), "there is no such database"),
        (f"mysql://stoat:{PASSWORD}@h/x", "cannot use a url that begins with mysql://"),
        (url, "has no tables in schema river: run `stoat-jobs postgres init URL`"),
    ]:
        where = ["--backend", "postgres", "--url", given, "--option", "schema=river"]
        code, out, err = run(*command, where=where)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"stoat-jobs {command[0]}: backend 'postgres' ")
        assert reason in err
    schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'river'"
    assert cluster.sql(schemas, name_in(url)) == "0"
