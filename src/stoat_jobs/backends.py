"""For authors of backends: the parts that the shipped backends are made of.

A backend is a callable ``(handlers, settings, observers) -> JobBackend`` that an entry
point in the group ``stoat_jobs.backends`` loads; a class with that constructor is one.

- :class:`JobRun` runs a job and decides its outcome; the backend is its :class:`RunHost`.
- :func:`transition` changes a status, and refuses what the table forbids.
- :class:`Observers` tells observers what happens, and is logging too.
- :class:`StoredJobQueue` is a whole backend that keeps its jobs in a :class:`JobStore`, of
  which five short methods are yours.
- :meth:`JobType.form`'s ``freeze`` and ``thaw`` take a payload through JSON and back.
"""

from __future__ import annotations

from ._backends._asyncio import AsyncioJobQueue
from ._backends._memory import InMemoryJobQueue
from ._backends._store import JobStore, StoredJob
from ._backends._stored import StoredJobQueue
from ._clock import Clock, as_datetime
from ._codec import Codec
from ._deadlines import Deadlines
from ._execution import JobRun
from ._hosting import RunHost, RunnableJob
from ._logging import log_event
from ._observing import Observers
from ._options import checked_job_type, checked_key, checked_limit, checked_metadata
from ._outcome import Ended, Outcome, StopReason, classify, never_started
from ._payload import FrozenPayload, PayloadForm
from ._settings import check_timeout
from ._status import TRANSITIONS, checked_status, transition

__all__ = [
    "TRANSITIONS",
    "AsyncioJobQueue",
    "Clock",
    "Codec",
    "Deadlines",
    "Ended",
    "FrozenPayload",
    "InMemoryJobQueue",
    "JobRun",
    "JobStore",
    "Observers",
    "Outcome",
    "PayloadForm",
    "RunHost",
    "RunnableJob",
    "StopReason",
    "StoredJob",
    "StoredJobQueue",
    "as_datetime",
    "check_timeout",
    "checked_job_type",
    "checked_key",
    "checked_limit",
    "checked_metadata",
    "checked_status",
    "classify",
    "log_event",
    "never_started",
    "transition",
]
