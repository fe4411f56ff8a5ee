"""Slow work leaves the request: an in-process job queue for any ASGI app."""

from ._backends._asyncio import AsyncioJobQueue
from ._backends._memory import InMemoryJobQueue
from ._context import JobContext, current_job_id
from ._errors import (
    BackendError,
    BackendNotFoundError,
    HandlerMismatchError,
    InvalidPayloadError,
    InvalidTransitionError,
    JobFailedError,
    JobNotFoundError,
    JobsError,
    QueueClosedError,
    QueueFullError,
    UnknownJobTypeError,
)
from ._finding import get_queue
from ._handlers import JobHandlers
from ._jobtypes import JobRef, JobType
from ._lifespan import lifespan
from ._loading import available_backends, create_queue
from ._protocols import AsyncJobQueue, JobBackend, JobObserver
from ._records import (
    FinishedEvent,
    JobResult,
    ProgressEvent,
    QueueStats,
    StartedEvent,
    SubmittedEvent,
    SubmittingEvent,
)
from ._settings import JobQueueSettings
from ._status import JobStatus
from ._wrapper import with_jobs

__all__ = [
    "AsyncJobQueue",
    "AsyncioJobQueue",
    "BackendError",
    "BackendNotFoundError",
    "FinishedEvent",
    "HandlerMismatchError",
    "InMemoryJobQueue",
    "InvalidPayloadError",
    "InvalidTransitionError",
    "JobBackend",
    "JobContext",
    "JobFailedError",
    "JobHandlers",
    "JobNotFoundError",
    "JobObserver",
    "JobQueueSettings",
    "JobRef",
    "JobResult",
    "JobStatus",
    "JobType",
    "JobsError",
    "ProgressEvent",
    "QueueClosedError",
    "QueueFullError",
    "QueueStats",
    "StartedEvent",
    "SubmittedEvent",
    "SubmittingEvent",
    "UnknownJobTypeError",
    "available_backends",
    "create_queue",
    "current_job_id",
    "get_queue",
    "lifespan",
    "with_jobs",
]
