"""`stoat-jobs list` and `stoat-jobs show`, of a backend whose jobs a test writes."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stoat_jobs import JobResult, JobStatus
from stoat_jobs._cli.main import main
from stoat_jobs._cli.stored.details import detail_lines
from stoat_jobs._cli.stored.table import columns_of, row_of, table_lines

from ..support.environments import install
from ..support.kept import KeptQueue
from ..support.programs import run_python
from ..support.stand_in import JOB_ID, ended, record

NOW = datetime(2026, 1, 1, 10, 1, 35, tzinfo=UTC)
HOSTILE = "[red]\x1b[2J\r\nforged\u202e"
SEEN = "[red]\\x1b[2J\\r\\nforged\\u202e"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    tmp_path: Path,
    environment: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Runs the command on a file of these records; gives its exit code, output and errors."""
    module = KeptQueue.__module__
    install(tmp_path, "kept", f"kept = {module}:KeptQueue\nunreadable = {module}:Unreadable\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(
        command: str, *arguments: str, backend: str = "kept", records: list[dict[str, Any]] = []
    ) -> tuple[int, str, str]:
        path = tmp_path / "records"
        path.write_text("".join(f"{json.dumps(each)}\n" for each in records))
        with suppress(SystemExit):
            code = main([command, *arguments, "--backend", backend, "--url", str(path)])
            return (code, *capsys.readouterr())
        return (2, *capsys.readouterr())  # as argparse ends

    return run


def numbered(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [ended(job_id=f"{number:08}-{JOB_ID[9:]}", **fields) for number in range(count)]


RECORDS = [
    record(job_id="a" * 36, status="pending", started_at=None),
    record(job_id="b" * 36, cancel_requested=True),
    ended(job_id="c" * 36, result={"files": 2}, payload={"n": 1}, metadata={"user": "ada"}),
    ended("failed", job_id="d" * 36, error=HOSTILE, error_type="ValueError"),
    ended("cancelled", job_id="e" * 36, job_type="other", error="told to", error_type="Cancelled"),
]
JOBS = [JobResult[Any].model_validate(each) for each in RECORDS]
ROWS = [row_of(job, NOW) for job in JOBS]


def test_a_list_has_a_row_for_each_job(run: Run) -> None:
    """A list shows each job with its status, age, duration and error, whole ids and one line each."""
    code, out, err = run("list", records=RECORDS)
    assert (code, err) == (0, "")
    assert [re.sub(r"\d+ d|[\d:]{7,}", "T", line).split() for line in out.splitlines()] == [
        "JOB TYPE STATUS AGE TOOK ERROR".split(),
        f"{'a' * 36} scan pending T".split(),
        f"{'b' * 36} scan stopping T T".split(),
        f"{'c' * 36} scan completed T 2.5 s".split(),
        f"{'d' * 36} scan failed T 2.5 s ValueError: {SEEN}".split(),
        f"{'e' * 36} other cancelled T 2.5 s Cancelled: told to".split(),
    ]


def test_an_empty_list_says_so(run: Run) -> None:
    """A list without jobs is said; as JSON it is nothing."""
    assert run("list") == (0, "No jobs.\n", "")
    assert run("list", "--json") == (0, "", "")


def test_a_list_can_be_filtered(run: Run) -> None:
    """A list has only the jobs of the statuses and types that are named."""
    arguments = ["--status", "failed", "--status", "cancelled", "--type", "scan", "--json"]
    _, out, _ = run("list", *arguments, records=RECORDS)
    assert [json.loads(line)["job_id"] for line in out.splitlines()] == ["d" * 36]


@pytest.mark.parametrize(
    ("items", "found"),
    [(["user=ada"], True), (["user=ada", "n=1"], True), (["n=1.0"], True), (['n="1"'], False)],
)
def test_a_list_can_be_filtered_by_metadata(run: Run, items: list[str], found: bool) -> None:
    """A list has only the jobs whose metadata has all items that are named."""
    records = [ended(metadata={"user": "ada", "n": 1}), record(metadata={"user": "bob"})]
    arguments = [each for item in items for each in ("--metadata", item)]
    _, out, _ = run("list", *arguments, "--json", records=records)
    assert len(out.splitlines()) == found


@pytest.mark.parametrize(
    ("jobs", "limit", "said"), [(5, 5, False), (5, 3, True), (250, 250, False), (250, 201, True)]
)
def test_a_list_says_if_there_are_more(run: Run, jobs: int, limit: int, said: bool) -> None:
    """A list has as many jobs as were asked for, the newest, and says so if there are older ones."""
    code, out, err = run("list", "--limit", str(limit), "--json", records=numbered(jobs))
    more = f"stoat-jobs list: the newest {limit}; there are older ones: raise --limit\n"
    assert (code, err) == (0, more if said else "")
    listed = [json.loads(line)["job_id"] for line in out.splitlines()]
    assert listed == [each["job_id"] for each in numbered(limit)]


@pytest.mark.parametrize("command", ["list", "show"])
def test_json_is_what_the_record_says(run: Run, command: str) -> None:
    """As JSON a job is one line of its record's fields; a list leaves out what may be large."""
    arguments = [command, "--json", *(["c" * 36] if command == "show" else [])]
    _, out, _ = run(*arguments, records=[RECORDS[2]])
    left_out = {"payload", "result"} if command == "list" else set()
    assert json.loads(out) == JOBS[2].model_dump(mode="json", exclude=left_out)
    assert out.count("\n") == 1


def test_json_is_ascii(run: Run) -> None:
    """As JSON, too, no text of a job reaches the terminal as a control character."""
    _, out, _ = run("list", "--json", records=[ended("failed", error=HOSTILE)])
    assert out.rstrip("\n").isascii() and out.rstrip("\n").isprintable()
    assert json.loads(out)["error"] == HOSTILE


def test_show_has_each_field_that_is_set(run: Run) -> None:
    """A job is shown with each field that is set, by its name, and its JSON indented."""
    code, out, err = run("show", "c" * 36, records=RECORDS)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"job_id:            {'c' * 36}",
        "job_type:          scan",
        "status:            completed",
        "submitted_at:      2026-01-01 10:00:00.000 UTC",
        "started_at:        2026-01-01 10:00:01.000 UTC",
        "finished_at:       2026-01-01 10:00:03.500 UTC",
        "took:              2.5 s",
        "metadata:",
        "  {",
        '    "user": "ada"',
        "  }",
        "payload:",
        "  {",
        '    "n": 1',
        "  }",
        "result:",
        "  {",
        '    "files": 2',
        "  }",
    ]


@pytest.mark.parametrize("result", [0, False, "", [], {}])
def test_a_result_is_shown_whatever_it_is(run: Run, result: Any) -> None:
    """A result that is empty is a result."""
    _, out, _ = run("show", JOB_ID, records=[ended(result=result)])
    assert out.endswith(f"\nresult:\n  {json.dumps(result)}\n")


def test_hostile_text_is_shown_with_escapes(run: Run) -> None:
    """No text of a job moves the cursor, and its JSON stays JSON."""
    fields = {"error": HOSTILE, "message": HOSTILE, "key": HOSTILE, "job_type": HOSTILE}
    _, out, _ = run("show", JOB_ID, records=[ended("failed", **fields, metadata={HOSTILE: "\x7f"})])
    assert out.replace("\n", "").isprintable()
    assert out.count(SEEN) == len(fields)
    assert json.loads(out.partition("metadata:")[2]) == {HOSTILE: "\x7f"}


def test_text_of_other_alphabets_is_shown_as_it_is(run: Run) -> None:
    """What is printable is not escaped."""
    _, out, _ = run("show", JOB_ID, records=[ended(result={"cat": "\u732b"})])
    assert '"cat": "\u732b"' in out


@pytest.mark.parametrize(
    ("job_id", "hint"), [("0" * 36, ""), ("3fa85f64", "; give the whole id")], ids=len
)
def test_an_unknown_id_is_one_line(run: Run, job_id: str, hint: str) -> None:
    """An id that is not kept is one line on stderr and exit code 2."""
    reason = f"no job {job_id!r}: it was never submitted, or is not kept any more{hint}"
    assert run("show", job_id, records=RECORDS) == (2, "", f"stoat-jobs show: {reason}\n")


@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        ("asyncio", "keeps its jobs in the memory of its process"),
        ("memory", "keeps its jobs in the memory of its process"),
        ("unreadable", "has nothing that reads its jobs from outside"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [["list"], ["show", JOB_ID], ["cancel", JOB_ID], ["delete", "--all"]],
    ids=lambda each: each[0],
)
def test_a_backend_without_a_reader_says_whom_to_ask(
    run: Run, command: list[str], backend: str, reason: str
) -> None:
    """A backend that cannot be read from outside is one line that names the remedy."""
    remedy = "ask its server, with `stoat-jobs watch URL`, its HTTP or its dashboard"
    expected = f"stoat-jobs {command[0]}: backend {backend!r} {reason}: {remedy}\n"
    assert run(*command, backend=backend) == (2, "", expected)


@pytest.mark.parametrize("command", [["cancel", JOB_ID], ["delete", "--all", "--yes"]])
def test_what_can_only_be_read_is_not_changed(run: Run, command: list[str]) -> None:
    """Jobs that a reader shows, but that are in a process, are not changed from another."""
    code, out, err = run(*command, records=[ended()])
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(
        f"stoat-jobs {command[0]}: backend 'kept' keeps its jobs in the memory of "
    )


def test_a_backend_that_is_not_there_is_one_line(run: Run) -> None:
    """A name that no installed backend has is one line with those that exist."""
    code, out, err = run("list", backend="sqlight")
    assert (code, out) == (2, "")
    assert err.startswith("stoat-jobs list: no backend 'sqlight'; installed: asyncio, ")
    assert err.count("\n") == 1


def test_what_cannot_be_read_is_one_line(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Why a reader cannot read is one line on stderr, and exit code 2."""
    assert main(["list", "--backend", "kept"]) == 2
    assert capsys.readouterr() == ("", "stoat-jobs list: url must be set: no file\n")
    assert main(["list", "--backend", "kept", "--url", "/no/such"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "/no/such" in err


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["--status", "done"], "'done' is not a status here; there are pending, running, "),
        (["--metadata", "user"], "'user' is not KEY=VALUE"),
        (["--option", "x"], "'x' is not KEY=VALUE"),
        (["--limit", "0"], "'0' is not a number of jobs above 0"),
        (["--limit", "-1"], "--limit"),
        (["--limit", "all"], "'all' is not a number of jobs above 0"),
    ],
)
def test_arguments_that_are_refused(run: Run, arguments: list[str], remedy: str) -> None:
    """A wrong argument is refused with what it should be."""
    code, out, err = run("list", *arguments)
    assert (code, out) == (2, "")
    assert remedy in err


def test_a_backend_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Without --backend the command says that it is missing."""
    with pytest.raises(SystemExit):
        main(["list", "--url", "jobs.db"])
    assert "required: --backend" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("width", "headings"),
    [
        (200, ["JOB", "TYPE", "STATUS", "AGE", "TOOK", "ERROR"]),
        (100, ["JOB", "TYPE", "STATUS", "AGE", "TOOK", "ERROR"]),
        (80, ["JOB", "TYPE", "STATUS", "AGE", "TOOK"]),
        (66, ["JOB", "TYPE", "STATUS", "AGE"]),
        (59, ["JOB", "TYPE", "STATUS"]),
        (30, ["JOB", "TYPE", "STATUS"]),
    ],
)
@pytest.mark.parametrize("name", ["scan", "\u732b" * 20, "e\u0301" * 40], ids=ascii)
def test_a_table_fits_its_terminal(width: int, headings: list[str], name: str) -> None:
    """A narrow terminal gets fewer and shorter columns; an id is whole as long as it fits."""
    failed = JOBS[3].model_copy(update={"job_type": name, "error": "no luck " * 40})
    lines = list(table_lines([*ROWS, row_of(failed, NOW)], width))
    assert lines[0].split() == headings
    assert max(map(columns_of, lines)) <= width
    assert lines[-1].startswith("d" * 36 if width >= 59 else f"{'d' * 8}\u2026  ")


def test_a_pipe_gets_all_of_each_cell() -> None:
    """Where no terminal limits it, nothing is cut."""
    failed = JOBS[3].model_copy(update={"job_type": "t" * 90, "error": "no luck " * 100})
    assert f"  {'t' * 90}  failed  " in list(table_lines([row_of(failed, NOW)]))[1]
    assert list(table_lines([row_of(failed, NOW)]))[1].endswith("no luck")


@pytest.mark.parametrize("status", JobStatus)
def test_each_status_has_a_row(status: JobStatus) -> None:
    """A job of each status can be listed."""
    job = JobResult[Any].model_validate(record(status=status))
    assert f"  {status}  " in list(table_lines([row_of(job, NOW)], 80))[1]


def test_the_commands_need_no_extra() -> None:
    """A list and a job are shown where nothing but the package itself is installed."""
    program = (
        "import sys\n"
        "from stoat_jobs._cli.main import main\n"
        "main(['list', '--backend', 'asyncio'])\n"
        "from stoat_jobs._cli.stored import command\n"
        "extras = {'httpx', 'httpx_sse', 'pytest', 'rich', 'starlette', 'uvicorn'}\n"
        "print(extras & set(sys.modules))"
    )
    done: subprocess.CompletedProcess[str] = run_python("-c", program)
    assert done.stdout == "set()\n"


DOCUMENTED = [
    record(
        job_id="3fa85f64-5717-4562-b3fc-2c963f66afa6",
        submitted_at="2026-01-01T10:01:34Z",
        started_at="2026-01-01T10:01:34Z",
    ),
    record(
        job_id="9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d",
        status="pending",
        submitted_at="2026-01-01T10:01:23Z",
        started_at=None,
    ),
    record(
        job_id="1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed",
        job_type="mail",
        status="failed",
        error="no answer",
        error_type="TimeoutError",
        submitted_at="2026-01-01T09:53:00Z",
        started_at="2026-01-01T09:53:01Z",
        finished_at="2026-01-01T09:53:02.200Z",
    ),
    record(
        job_id="6ec0bd7f-11c0-43da-975e-2a8ad9ebae0b",
        status="completed",
        metadata={"user": "ada"},
        result={"files": 1935, "bytes": 5120044},
        submitted_at="2026-01-01T08:01:35Z",
        started_at="2026-01-01T08:01:36Z",
        finished_at="2026-01-01T08:03:11.400Z",
    ),
]


def test_the_reference_shows_what_is_printed() -> None:
    """The table and the record in the reference are those that the commands print."""
    text = (Path(__file__).parents[2] / "docs/reference/command-line.md").read_text()
    jobs = [JobResult[Any].model_validate(each) for each in DOCUMENTED]
    for lines in (table_lines([row_of(job, NOW) for job in jobs]), detail_lines(jobs[-1])):
        shown = "\n".join(lines)
        assert f"```text\n{shown}\n```" in text, shown
