"""Telling that a job has finished."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

from .._events.observers import Observers
from .._jobs.context import variables_of
from .._model.events import FinishedEvent
from .._model.records import JobResult
from .._run.outcome import Outcome


def tell_ended(
    observers: Observers,
    record: JobResult[Any],
    tell: Callable[[JobResult[Any]], None],
    outcome: Outcome | None = None,
    variables: contextvars.Context | None = None,
) -> None:
    """Tell those who wait, by *tell*, and the observers, in the job's own *variables*."""
    tell(record)
    if outcome is None:
        outcome = Outcome(record.status)
    seconds = None
    if record.started_at is not None and record.finished_at is not None:
        seconds = (record.finished_at - record.started_at).total_seconds()
    event = FinishedEvent(record, seconds, outcome.exception, outcome.abandoned)
    (variables or variables_of(record.job_id)).run(observers.tell, "finished", event)
