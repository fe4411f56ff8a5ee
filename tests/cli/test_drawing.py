"""What `stoat-jobs watch` draws, picture by picture."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from rich.console import Console, RenderableType

from stoat_jobs import JobStatus
from stoat_jobs._cli.terminal import wording
from stoat_jobs._cli.watch.drawing import draw_job, draw_jobs
from stoat_jobs._cli.watch.remote import Listing, WatchedJob
from stoat_jobs._cli.watch.views import LiveView

from ..support.stand_in import JOB_ID, ended, record

NOW = datetime(2026, 1, 1, 10, 1, 35, tzinfo=UTC)


def job(fields: dict[str, Any]) -> WatchedJob:
    return WatchedJob.model_validate(fields)


def drawn(picture: RenderableType, width: int) -> list[str]:
    console = Console(file=StringIO(), width=width, highlight=False)
    with console.capture() as captured:
        console.print(picture)
    return [line.rstrip() for line in captured.get().splitlines()]


JOBS = [
    job(record(job_id="a" * 36, status="pending", started_at=None)),
    job(record(job_id="b" * 36, progress=0.5, message="half of it")),
    job(record(job_id="c" * 36, cancel_requested=True)),
    job(ended(job_id="d" * 36, progress=1.0, message="all of it")),
    job(ended("failed", job_id="e" * 36, error="no luck", error_type="ValueError")),
]


def test_a_table_of_jobs() -> None:
    """A table has a row for each job, with what is known of it."""
    lines = drawn(draw_jobs(JOBS, NOW, 90, 40), 90)
    assert [line.split() for line in lines] == [
        "JOB TYPE STATUS PROGRESS MESSAGE AGE TOOK".split(),
        "aaaaaaaa scan pending 1 min".split(),
        "bbbbbbbb scan running ━━━━━ 50% half of it 1 min 1:34".split(),
        "cccccccc scan stopping ━━━━━━━━━━ 1 min 1:34".split(),
        "dddddddd scan completed ━━━━━━━━━━ 100% all of it 1 min 2.5 s".split(),
        "eeeeeeee scan failed ValueError: no luck 1 min 2.5 s".split(),
    ]


def test_a_job_shows_what_it_returned() -> None:
    """A job that completes shows its result; where it told no progress there is no bar."""
    done = job(ended(result={"files": [2, "[red]"]}, attempt=2))
    assert drawn(draw_job(done, NOW, 80), 80) == [
        f"scan  {JOB_ID}  completed  2.5 s  attempt 3",
        '{"files": [2, "[red]"]}',
    ]


def test_a_table_without_jobs() -> None:
    """No jobs are said, not drawn."""
    assert drawn(draw_jobs([], NOW, 80, 24), 80) == ["No jobs so far."]


def test_a_low_terminal_has_the_newest_jobs() -> None:
    """Where not all jobs find room, the number of the others is said."""
    lines = drawn(draw_jobs(JOBS, NOW, 80, 6), 80)
    assert [line.split()[0] for line in lines] == ["JOB", "aaaaaaaa", "bbbbbbbb", "and"]
    assert lines[-1] == "and 3 more"


@pytest.mark.parametrize(
    ("total", "height", "said"),
    [
        (5, 40, None),
        (1_234, 40, "and 1,229 more"),
        (1_234, 6, "and 1,232 more"),
        (None, 40, "the newest 5; the server has older ones"),
        (None, 6, "the newest 2; the server has older ones"),
    ],
)
def test_a_table_says_what_it_leaves_out(total: int | None, height: int, said: str | None) -> None:
    """Below a table is how many jobs it lacks, also those that the server keeps back."""
    last = drawn(draw_jobs(Listing(JOBS, total), NOW, 80, height), 80)[-1]
    assert last == said if said else last.startswith("eeeeeeee")


def test_a_wide_table_has_whole_ids() -> None:
    """An id that can be copied is there where there is room for it."""
    assert drawn(draw_jobs(JOBS, NOW, 150, 40), 150)[1].startswith("a" * 36 + "  scan")


@pytest.mark.parametrize("status", JobStatus)
def test_each_status_is_drawn(status: JobStatus) -> None:
    """A job of each status has its word, in one picture and in a table."""
    each = job(record(status=status.value))
    assert f"{JOB_ID}  {status}  " in drawn(draw_job(each, NOW, 80), 80)[0]
    assert f"  {status} " in drawn(draw_jobs([each], NOW, 80, 24), 80)[1]


@pytest.mark.parametrize(
    ("progress", "shown"), [(0.0, "  0%"), (0.29, " 29%"), (0.9999, " 99%"), (1.0, "100%")]
)
def test_a_job_is_not_all_done_before_it_is(progress: float, shown: str) -> None:
    """Only what has all of it behind it is at 100%."""
    assert wording.percent(job(record(progress=progress))) == shown


def test_the_clocks_stand_still_while_the_server_is_out_of_touch() -> None:
    """What was running when the server was lost may have ended: its duration does not go on."""
    times = [NOW]
    console = Console(file=StringIO(), width=83)
    view = LiveView(lambda jobs, now, _: draw_job(jobs[0], now, 80), console, lambda: times[-1])
    view.show([job(record())])
    view.lost("gone", 40.0)
    times.append(NOW + timedelta(seconds=30))
    lines = drawn(view.picture(), 83)
    assert lines[0] == f"scan  {JOB_ID}  running  1:34"
    assert lines[2] == "disconnected for 0:30: gone; retrying in 10 s"
    view.show([job(record())])
    assert drawn(view.picture(), 83)[0] == f"scan  {JOB_ID}  running  2:04"


def test_a_long_run_is_shown_briefly_in_a_table() -> None:
    """A duration of minutes is a clock in a table, and in words where there is room."""
    long = job(record(status="completed", finished_at="2026-01-01T11:01:36Z"))
    assert (wording.took(long, NOW), wording.took_briefly(long, NOW)) == ("61 min 35 s", "1:01:35")


def test_a_clock_that_is_behind_counts_from_zero() -> None:
    """No age and no duration is negative."""
    early = NOW - timedelta(days=1)
    running = job(record())
    assert (wording.age(running, early), wording.took(running, early)) == ("0 s", "0:00")
