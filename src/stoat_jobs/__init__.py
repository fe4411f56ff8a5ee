"""Slow work leaves the request: an in-process job queue for any ASGI app."""

from ._app.entry_points import available_backends, create_queue
from ._app.get_queue import get_queue
from ._app.lifespan import lifespan
from ._app.with_jobs import with_jobs
from ._backends.asyncio_queue import AsyncioJobQueue
from ._backends.memory_queue import InMemoryJobQueue
from ._exports import export as _export
from ._jobs.context import JobContext, current_job, current_job_id
from ._jobs.handlers import JobHandlers
from ._jobs.job_types import JobType
from ._jobs.observer import JobObserver
from ._jobs.protocols import AsyncJobQueue, JobBackend
from ._jobs.refs import JobRef
from ._model.backoff import Backoff
from ._model.errors import (
    BackendClashError,
    BackendError,
    BackendImportError,
    BackendNotFoundError,
    BackendStartError,
    HandlerMismatchError,
    InvalidPayloadError,
    InvalidTransitionError,
    JobFailedError,
    JobNotFoundError,
    JobNotKeptError,
    JobsError,
    KeyConflictError,
    NoTransactionsError,
    PayloadNotKeptError,
    QueueClosedError,
    QueueFullError,
    QueueNotStartedError,
    QueueStartedError,
    ResultTooLargeError,
    UnknownJobTypeError,
)
from ._model.events import (
    FinishedEvent,
    ProgressEvent,
    RemovedEvent,
    StartedEvent,
    SubmittedEvent,
    SubmittingEvent,
)
from ._model.pages import JobPage
from ._model.records import JobResult
from ._model.settings import JobQueueSettings
from ._model.stats import QueueStats, TypeStats
from ._model.status import JobStatus

__all__ = [
    "AsyncJobQueue",
    "AsyncioJobQueue",
    "BackendClashError",
    "BackendError",
    "BackendImportError",
    "BackendNotFoundError",
    "BackendStartError",
    "Backoff",
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
    "JobNotKeptError",
    "JobObserver",
    "JobPage",
    "JobQueueSettings",
    "JobRef",
    "JobResult",
    "JobStatus",
    "JobType",
    "JobsError",
    "KeyConflictError",
    "NoTransactionsError",
    "PayloadNotKeptError",
    "ProgressEvent",
    "QueueClosedError",
    "QueueFullError",
    "QueueNotStartedError",
    "QueueStartedError",
    "QueueStats",
    "RemovedEvent",
    "ResultTooLargeError",
    "StartedEvent",
    "SubmittedEvent",
    "SubmittingEvent",
    "TypeStats",
    "UnknownJobTypeError",
    "available_backends",
    "create_queue",
    "current_job",
    "current_job_id",
    "get_queue",
    "lifespan",
    "with_jobs",
]

_export(__name__, *map(globals().__getitem__, __all__))
