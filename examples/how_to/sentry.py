"""Sentry: report failed jobs through the log, and timeouts through an observer."""

from __future__ import annotations

from typing import Any

import sentry_sdk

from stoat_jobs import FinishedEvent, JobObserver, JobStatus


def start_sentry(dsn: str, **options: Any) -> None:
    """Start Sentry; call this before you create the application."""
    sentry_sdk.init(
        dsn,
        before_send=tag_jobs,
        include_local_variables=False,  # a handler's variables contain its payload
        **options,
    )


def tag_jobs(event: Any, hint: dict[str, Any]) -> Any:
    """Copy extras of the log record to tags, which are searchable."""
    record = hint.get("log_record")
    if record is not None and record.name == "stoat_jobs":
        for name in ("job_type", "error_type"):
            event.setdefault("tags", {})[name] = getattr(record, name, None)
    return event


class ReportTimeouts(JobObserver):
    """For ``lifespan(..., observers=[ReportTimeouts()])``: the log has only warnings of these."""

    def finished(self, event: FinishedEvent) -> None:
        record = event.record
        if record.status is JobStatus.TIMEOUT:
            with sentry_sdk.new_scope() as scope:  # otherwise later events get the tags too
                scope.set_tag("job_type", record.job_type)
                scope.set_extra("job_id", record.job_id)
                scope.capture_message("a job ran out of time", "warning")
