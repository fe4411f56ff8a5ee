"""Turns a server's answers into lines of text."""

from __future__ import annotations

import json

from ..._display import safe_text
from ..terminal.wording import attempt, message, percent, state, took
from .remote import Jobs, Listing, WatchedJob


def result(job: WatchedJob) -> str:
    """The job's result as JSON; empty for None."""
    if job.result_error:
        return f"a {job.result_error}, which JSON cannot represent"
    return "" if job.result is None else safe_text(json.dumps(job.result, ensure_ascii=False))


def line(job: WatchedJob) -> str:
    """Everything that changes, in one line."""
    ended = "" if job.finished_at is None else f"in {took(job, job.finished_at)}"
    parts = (f"{state(job):<9}", percent(job), ended, attempt(job), message(job))
    return "  ".join(filter(None, (job.job_id, job.job_type, *parts))).rstrip()


def story(job: WatchedJob) -> str:
    """The line, and below it the result."""
    shown = result(job)
    return f"{line(job)}\nresult: {shown}" if shown else line(job)


def left_out(jobs: Jobs, shown: int) -> str:
    """How many jobs there are besides the *shown* ones; empty if these are all."""
    total = jobs.total if isinstance(jobs, Listing) else len(jobs)
    if total is None:
        return f"the newest {shown:,}; the server has older ones"
    return f"and {total - shown:,} more" if total > shown else ""
