"""The counts of a queue, in all and by job type."""

from __future__ import annotations

from pydantic import BaseModel, Field

from .status import JobStatus


class TypeStats(BaseModel, frozen=True):
    """The kept jobs of one type.

    Seconds are over the kept records that have them, None if none has: a wait ends with the
    start (of a delayed job it begins when the job is due), a duration with the finish.
    """

    by_status: dict[JobStatus, int] = Field(
        description="Kept records by status; all six statuses are present."
    )
    wait_median_s: float | None = Field(description="Half of the jobs waited at most so long.")
    wait_p95_s: float | None = Field(description="95 % of the jobs waited at most so long.")
    duration_median_s: float | None = Field(description="Half of the jobs ran at most so long.")
    duration_p95_s: float | None = Field(description="95 % of the jobs ran at most so long.")


class QueueStats(BaseModel, frozen=True):
    """A queue's counts at one moment, derived from the states themselves."""

    by_status: dict[JobStatus, int] = Field(
        description="Kept records by status; all six statuses are present."
    )
    abandoned: int = Field(description="Handlers that still run although their job has finished.")
    slots_in_use: int = Field(description="Jobs running in this process.")
    concurrency: int = Field(description="Slots in this process.")
    by_type: dict[str, TypeStats] = Field(
        default={},
        description="The same by job type, for the types of the kept jobs; of many jobs it may be"
        " a second old.",
    )
