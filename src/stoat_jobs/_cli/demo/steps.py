"""The steps of a scan as its client takes them, and what is printed of each."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path

from ..._demo.scan import ScanReport
from ..._display import counted, duration_text, printable
from .client import Client, Pings, ScanRecord
from .report import report_lines
from .screen import BarProgress, PlainProgress, Screen


async def submit(client: Client, screen: Screen) -> str:
    """Ask for a scan; returns the id of its job."""
    response, seconds = await client.start_scan()
    job_id: str = response.json()["job_id"]
    answer = f"{response.status_code} {response.reason_phrase} in {duration_text(seconds)}"
    screen.step("POST /scan", f"{answer}: job {job_id[:8]}")
    return job_id


async def follow(
    client: Client,
    job_id: str,
    progress: PlainProgress | BarProgress,
    is_enough: Callable[[ScanRecord], bool] = lambda record: False,
) -> ScanRecord:
    """Show the job until it has finished, or *is_enough*; returns the last record."""
    async with aclosing(client.follow(job_id)) as records:
        async for record in records:
            progress.show(record)
            if is_enough(record):
                break
    return record


def report(record: ScanRecord, result: ScanReport, root: Path, width: int | None) -> Iterator[str]:
    """The lines of what the job found."""
    begin = record.started_at or record.submitted_at
    seconds = ((record.finished_at or begin) - begin).total_seconds()
    return report_lines(result, printable(os.path.abspath(root)), seconds, width)


def summary(pings: Pings) -> str:
    """The number and the times of the requests, in one line."""
    failed = f", {pings.failed:,} failed" if pings.failed else ""
    answered = f"meanwhile answered {counted(pings.answered, 'time')}{failed}"
    if not pings.answered:
        return answered
    times = f"median {duration_text(pings.median)}, slowest {duration_text(pings.slowest)}"
    return f"{answered}: {times}"


def invitation(url: str, job_id: str) -> Iterator[str]:
    """What can be tried while the server runs."""
    yield "The server runs until Ctrl-C. In a browser:"
    yield f"  {url}/jobs/dashboard"
    yield "From another terminal:"
    yield f"  stoat-jobs watch {url}/jobs/"
    yield f"  curl -X POST {url}/scan"
    yield f'  curl --json \'{{"job_type": "failing"}}\' {url}/jobs/'
    yield f'  curl --json \'{{"job_type": "endless"}}\' {url}/jobs/'
    yield f"  curl {url}/jobs/{job_id}"
    yield f"  curl -X POST {url}/jobs/{job_id}/cancel"
    yield f"  curl {url}/ping"


def log_to_stderr(*, without: str = "") -> None:
    """Print the warnings and errors of the server, one line each; not the event *without*."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("log: %(msg)s: %(error)s", defaults={"error": ""}))
    handler.addFilter(lambda record: record.msg != without)
    logging.basicConfig(handlers=[handler])
