"""Whether the end of a job follows from its plan and from what was done to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stoat_jobs import FinishedEvent, JobResult, JobStatus

from .behaviours import BEHAVIOURS, HUGE, LIMITS
from .entries import Entry

CLOCK = 0.001
"""Seconds by which two looks at one clock may differ: its resolution, and that of floats."""


def wrong_with(entry: Entry, event: FinishedEvent, *, closing: bool) -> Iterator[str]:
    """What does not fit; nothing if all does."""
    yield from _wrong_by_itself(event.record)
    yield from _wrong_with_stops(entry, event.record)
    if entry.plan is None:
        yield "a job ended before its submit returned"
    elif not _explained(entry, event, closing):
        yield "an end that nothing explains"
    elif event.abandoned and BEHAVIOURS[entry.plan.behaviour].obeys and not closing:
        yield "a handler was left behind that ends when it is told to"


def _wrong_by_itself(record: JobResult[Any]) -> Iterator[str]:
    times = (record.submitted_at, record.started_at, record.finished_at)
    known = [time for time in times if time is not None]
    if not record.status.is_terminal or record.finished_at is None:
        yield "a job ended without a terminal record"
    if known != sorted(known):
        yield "times out of order"
    if not record.error and record.status is not JobStatus.COMPLETED:
        yield "an end without a reason"


def _wrong_with_stops(entry: Entry, record: JobResult[Any]) -> Iterator[str]:
    if entry.cancel_promised and record.status is not JobStatus.CANCELLED:
        yield "cancel gave True, and the job was not cancelled"
    if entry.cancel_refused and record.error_type == "Cancelled":
        yield "cancel gave False, and the job was cancelled"
    if entry.key_taken and record.status not in (JobStatus.TIMEOUT, JobStatus.CANCELLED):
        yield "a key was given away, and its job went on"


def is_own(entry: Entry, event: FinishedEvent) -> bool:
    """Whether the job ended as its handler does when left alone."""
    behaviour = BEHAVIOURS[entry.plan.behaviour] if entry.plan else None
    own = (event.record.status, event.record.error_type)
    return behaviour is not None and own == (behaviour.status, behaviour.error_type)


def _explained(entry: Entry, event: FinishedEvent, closing: bool) -> bool:
    record = event.record
    if record.status is JobStatus.CANCELLED:
        if record.error_type == "Shutdown":
            return closing and not record.cancel_requested
        return entry.cancel_asked and record.cancel_requested
    if record.cancel_requested:
        return False
    if record.status is JobStatus.TIMEOUT:
        return _was_late(entry, event)
    if entry.meddled and record.error_type == "CancelledError":
        return True
    return _as_planned(entry, event)


def _was_late(entry: Entry, event: FinishedEvent) -> bool:
    given = entry.plan and entry.plan.timeout
    return (event.duration_s or 0.0) >= (given or LIMITS[entry.job_type]) - CLOCK


def _as_planned(entry: Entry, event: FinishedEvent) -> bool:
    assert entry.plan is not None
    behaviour, record = BEHAVIOURS[entry.plan.behaviour], event.record
    # A handler that swallowed a cancel from outside may end in ways of its own.
    provoked = entry.meddled or (entry.cut_off and record.error_type != "CancelledError")
    if record.status is JobStatus.COMPLETED:
        return (behaviour.status is JobStatus.COMPLETED or provoked) and _result_fits(entry, event)
    if behaviour.job_type == "retried" and record.error_type == "ValueError":
        return record.status is JobStatus.FAILED  # no time was left for a further attempt
    return (record.status, record.error_type) == (
        behaviour.status,
        behaviour.error_type,
    ) or provoked


def _result_fits(entry: Entry, event: FinishedEvent) -> bool:
    assert entry.plan is not None
    result = event.record.result
    if isinstance(result, bytearray):
        return entry.plan.behaviour == "returns_much" and len(result) == HUGE
    swallowed = entry.meddled or entry.cut_off
    return result == entry.plan.n or (swallowed and result is None)
