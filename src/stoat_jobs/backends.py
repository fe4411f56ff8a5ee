"""For authors of backends: the parts of which the shipped backends are made.

A backend is a callable ``(handlers, settings, observers) -> JobBackend``, such as a class with
that constructor. An entry point in the group ``stoat_jobs.backends`` names it.

- :class:`Capabilities` is what a queue declares that it can or cannot do.
- :class:`JobRun` runs a job and decides its outcome; the backend is its :class:`RunHost`.
- :func:`transition` changes a status and refuses changes that the table does not allow.
- :class:`Observers` logs what happens and calls the observers.
- :class:`JobFilter`, :func:`cursor_at` and :func:`place_of` are for ``list_jobs``.
- :func:`checked_submission` and :func:`checked_submissions` make all checks of ``submit`` and
  ``submit_many``, in their order; the parts of them are public, too.
- :func:`type_stats` counts records by job type, for ``stats``.
- :class:`StoredJobQueue` is a complete backend that keeps its jobs in a :class:`JobStore`; you
  write six short methods.
- :meth:`JobType.form` has ``freeze``, which encodes a payload as JSON, and ``restore``, which
  decodes it again. :func:`result_from_json` does so for a result.
- :meth:`JobRun.drop` is for an engine that may give a job to another worker,
  :meth:`Outcome.overruled` for one that may accept a cancel after a handler has ended, and
  ``Outcome.would_retry`` for one that gives jobs back when it stops.
- :func:`variables_of` gives a job context variables where there is no submitter's.
- :class:`LeftBehind` counts handlers that go on without their jobs. :class:`Watchdog` logs what
  blocks the event loop. :func:`asyncio_loop` and :func:`check_loop` refuse wrong loops.
- :class:`WorkerProcess` is for a worker command of your own; ``stoat-jobs worker`` uses it.
"""

from __future__ import annotations

from ._app.as_worker import WorkerProcess
from ._backends.asyncio_queue import AsyncioJobQueue
from ._backends.loop_checks import asyncio_loop, check_loop
from ._backends.loop_watchdog import Watchdog
from ._backends.memory_queue import InMemoryJobQueue
from ._backends.payloads import frozen_payloads
from ._backends.submission import Submission, checked_submission, checked_submissions
from ._backends.type_counts import type_stats
from ._events.log import log_event
from ._events.observers import Observers
from ._exports import export as _export
from ._jobs.context import variables_of
from ._model.capabilities import Capabilities
from ._model.filters import JobFilter
from ._model.metadata import checked_metadata
from ._model.options import (
    checked_delay,
    checked_job_type,
    checked_key,
    checked_limit,
    is_kept,
)
from ._model.pages import cursor_at, place_of
from ._model.settings import check_timeout
from ._model.status import TRANSITIONS, checked_status, transition
from ._payload.codec import Codec
from ._payload.digest import digest_of
from ._payload.form import PayloadForm
from ._payload.frozen import FrozenPayload, KeptPayload
from ._run.clock import Clock, as_datetime
from ._run.deadlines import Deadlines
from ._run.host import RunHost, RunnableJob
from ._run.job_run import JobRun
from ._run.left_behind import LeftBehind
from ._run.outcome import CallResult, Outcome, StopReason, classify, never_started
from ._stored.queue import StoredJobQueue
from ._stored.records import result_from_json
from ._stored.store import FinishedJob, JobReader, JobStore, StoredJob, StoreInUseError

__all__ = [
    "TRANSITIONS",
    "AsyncioJobQueue",
    "CallResult",
    "Capabilities",
    "Clock",
    "Codec",
    "Deadlines",
    "FinishedJob",
    "FrozenPayload",
    "InMemoryJobQueue",
    "JobFilter",
    "JobReader",
    "JobRun",
    "JobStore",
    "KeptPayload",
    "LeftBehind",
    "Observers",
    "Outcome",
    "PayloadForm",
    "RunHost",
    "RunnableJob",
    "StopReason",
    "StoreInUseError",
    "StoredJob",
    "StoredJobQueue",
    "Submission",
    "Watchdog",
    "WorkerProcess",
    "as_datetime",
    "asyncio_loop",
    "check_loop",
    "check_timeout",
    "checked_delay",
    "checked_job_type",
    "checked_key",
    "checked_limit",
    "checked_metadata",
    "checked_status",
    "checked_submission",
    "checked_submissions",
    "classify",
    "cursor_at",
    "digest_of",
    "frozen_payloads",
    "is_kept",
    "log_event",
    "never_started",
    "place_of",
    "result_from_json",
    "transition",
    "type_stats",
    "variables_of",
]

_export(__name__, *map(globals().__getitem__, __all__))
