"""One line of the ledger."""

from __future__ import annotations

import math
from typing import Any

from stoat_jobs import JobResult

from .plan import JobPlan


class Entry:
    """What is known of one job without asking the queue."""

    __slots__ = (
        "attempt",
        "cancel_asked",
        "cancel_promised",
        "cancel_refused",
        "cut_off",
        "end_number",
        "ended_at",
        "job_id",
        "job_type",
        "key",
        "key_taken",
        "meddled",
        "number",
        "plan",
        "record",
        "started",
    )

    def __init__(self, job_id: str, job_type: str, number: int) -> None:
        self.job_id = job_id
        self.job_type = job_type
        self.number = number
        """The place in the order of submission."""
        self.plan: JobPlan | None = None
        self.key: str | None = None
        self.key_taken = False
        """Another job was accepted with its key before it had ended."""
        self.started = False
        self.attempt = 0
        self.cancel_asked = False
        self.cancel_promised = False
        """``cancel`` gave True."""
        self.cancel_refused = False
        """``cancel`` gave False while the job had not ended."""
        self.meddled = False
        """Its task was cancelled, past the queue."""
        self.cut_off = False
        """Its task was cancelled because the event loop ended."""
        self.record: JobResult[Any] | None = None
        """The terminal record."""
        self.end_number = 0
        self.ended_at = math.inf

    def end(self, record: JobResult[Any], end_number: int, now: float) -> None:
        self.record = record
        self.end_number = end_number
        self.ended_at = now

    def __repr__(self) -> str:
        said = (
            "started",
            "cancel_asked",
            "cancel_promised",
            "cancel_refused",
            "meddled",
            "cut_off",
        )
        flags = " ".join(name for name in said if getattr(self, name))
        return f"<job {self.number} {self.job_id} {self.plan} {self.key} {flags} {self.ended_at}>"
