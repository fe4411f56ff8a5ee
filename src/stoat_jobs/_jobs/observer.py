"""What observes a queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._model.events import (
    FinishedEvent,
    ProgressEvent,
    RemovedEvent,
    StartedEvent,
    SubmittedEvent,
    SubmittingEvent,
)


class JobObserver:
    """Base of observers; override what you need.

    Hooks are synchronous, receive one frozen event each and cannot hurt a job: if one raises,
    the queue logs it once and drops the observer. Any object with some of these methods works
    as well. ``started`` and ``finished`` see the job's own context variables.
    """

    def enabled(self, hook: str) -> bool:
        """Whether the event of *hook* is worth building for this observer now.

        The observer may receive it all the same: if another observer wants the event, and always
        for a failed attempt and for a job that does not complete.
        """
        return True

    def submitting(self, event: SubmittingEvent) -> Mapping[str, Any] | None:
        """A submission is valid, and has no id yet; sees the submitter's context variables.

        What it returns is added to the metadata; what the submitter gave wins.
        """
        return None

    def submitted(self, event: SubmittedEvent) -> None:
        """A job was accepted; sees the submitter's context variables."""

    def started(self, event: StartedEvent) -> None:
        """A handler is about to be called; once for each attempt."""

    def progress(self, event: ProgressEvent) -> None:
        """A handler reported progress."""

    def finished(self, event: FinishedEvent) -> None:
        """A job has finished, and its record says so; once for each job."""

    def removed(self, event: RemovedEvent) -> None:
        """A finished record is kept no longer: files that it owned can go too.

        A durable queue that is killed may say it again in its next life.
        """
