"""Draws records for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from stoat_jobs import JobStatus

from ..terminal import wording
from .remote import Jobs, WatchedJob
from .wording import left_out, result

_COLOURS = {
    JobStatus.PENDING: "dim",
    JobStatus.RUNNING: "cyan",
    JobStatus.COMPLETED: "green",
    JobStatus.FAILED: "red",
    JobStatus.TIMEOUT: "red",
    JobStatus.CANCELLED: "yellow",
}
# The least terminal widths for optional columns and for longer cells.
_WHOLE_ID_FROM = 140
_LONG_BAR_FROM = 100
_AGE_FROM = 90
_MESSAGE_FROM = 70
_SHORT_ID = 8
_OTHER_LINES = 4  # lines of the table that are not jobs


def draw_job(job: WatchedJob, now: datetime, width: int) -> RenderableType:
    """One job: its type and status, its progress, and finally its outcome."""
    return Group(*_job(job, now, width))


def _job(job: WatchedJob, now: datetime, width: int) -> Iterator[RenderableType]:
    yield _head(job, now)
    if not job.status.is_terminal or job.progress is not None:
        yield _bar_row(job, width)
    if job.status.is_terminal and (failure := wording.failure(job)):
        yield Text(failure, style="red")
    if shown := result(job):
        yield Text(shown)


def _head(job: WatchedJob, now: datetime) -> Text:
    parts = [
        (job.job_type, "bold"),
        (job.job_id, "dim"),
        (wording.state(job), _COLOURS[job.status]),
        (wording.took(job, now), ""),
        (wording.attempt(job), "yellow"),
    ]
    return Text("  ").join(Text(part, style) for part, style in parts if part)


def _bar_row(job: WatchedJob, width: int) -> RenderableType:
    row = Table.grid(padding=(0, 2, 0, 0), expand=True)
    row.add_column(width=min(40, max(10, width // 2)))
    row.add_column(width=4)
    row.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    row.add_row(_bar(job), wording.percent(job), Text(job.message or ""))
    return row


def _bar(job: WatchedJob) -> ProgressBar:
    unknown = job.progress is None and job.status is JobStatus.RUNNING
    return ProgressBar(
        total=None if unknown else 1.0,
        completed=job.progress or 0.0,
        finished_style=_COLOURS[job.status],
    )


def draw_jobs(jobs: Jobs, now: datetime, width: int, height: int) -> RenderableType:
    """As many jobs as fit on the terminal."""
    if not jobs:
        return Text("No jobs so far.", style="dim")
    room = max(height - _OTHER_LINES, 1)
    table = _jobs_table(width)
    for job in jobs[:room]:
        table.add_row(*_cells(job, now, width))
    others = left_out(jobs, min(room, len(jobs)))
    return Group(table, Text(others, style="dim")) if others else table


def _jobs_table(width: int) -> Table:
    table = Table(box=None, expand=True, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("JOB", width=36 if width >= _WHOLE_ID_FROM else _SHORT_ID, no_wrap=True)
    table.add_column("TYPE", max_width=24, no_wrap=True, overflow="ellipsis")
    table.add_column("STATUS", width=9)
    table.add_column("PROGRESS", width=16 if width >= _LONG_BAR_FROM else 10)
    table.add_column("", width=4)
    if width >= _MESSAGE_FROM:
        table.add_column("MESSAGE", ratio=1, no_wrap=True, overflow="ellipsis")
    if width >= _AGE_FROM:
        table.add_column("AGE", width=6, justify="right", no_wrap=True)
    table.add_column("TOOK", width=8, justify="right", no_wrap=True)
    return table


def _cells(job: WatchedJob, now: datetime, width: int) -> Iterator[RenderableType]:
    colour = _COLOURS[job.status]
    yield Text(job.job_id[: None if width >= _WHOLE_ID_FROM else _SHORT_ID])
    yield Text(job.job_type, style="bold")
    yield Text(wording.state(job), style=colour)
    yield _bar(job) if job.status is JobStatus.RUNNING or job.progress is not None else ""
    yield wording.percent(job)
    if width >= _MESSAGE_FROM:
        yield Text(wording.message(job), style="red" if wording.failure(job) else "")
    if width >= _AGE_FROM:
        yield wording.age(job, now)
    yield wording.took_briefly(job, now) if job.started_at else ""
