"""One job, as an in-process queue keeps it.

- State first, then notice: a waiter that wakes reads the state that woke it.
- A waiter is registered only while it waits: one that walked away leaves nothing behind.
- Who waits for the end is kept apart from who watches, so that a change costs only the watchers.
- A new field of the record is a field here, and in :meth:`Job.record`; stores then keep it too.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from struct import Struct
from typing import Any

from .._model.errors import QueueClosedError
from .._model.records import JobResult, unchecked_record
from .._model.status import TERMINAL, JobStatus
from .._payload.frozen import FrozenPayload, KeptPayload
from .._run.calls import wake
from .._run.clock import as_datetime, from_timestamp

# What finished jobs share in the place of their own.
_NO_VARIABLES = contextvars.Context()
_NO_PAYLOAD = FrozenPayload({}, b"")

_NOTHING_MORE: dict[str, Any] = {"not_before": None, "payload": None}

_FLOAT = Struct(">d")
_INT = Struct(">Q")

Waiters = dict[asyncio.Future[None], None]


def place_of_stamp(submitted: float) -> int:
    """The place of a job in the order of submission."""
    # The bits of a positive float, as a number, are in the order of the floats.
    place: int = _INT.unpack(_FLOAT.pack(submitted))[0]
    return place


class Changes:
    """The changes of a job that is watched: how many there were, and who waits for the next."""

    __slots__ = ("count", "waiters")

    def __init__(self) -> None:
        self.count = 0
        self.waiters: Waiters = {}

    def tell(self) -> None:
        """Tell those who wait for a change, after it was made."""
        self.count += 1
        self.wake_waiters()

    def wake_waiters(self) -> None:
        """Let those who wait for a change look again."""
        for waiter in self.waiters:
            wake(waiter)
        self.waiters = {}  # last: after a Ctrl-C in between, all are woken again

    async def next(self) -> None:
        """Wait for the next change."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiters[waiter] = None
        try:
            await waiter
        finally:
            self.waiters.pop(waiter, None)


@dataclass(slots=True, eq=False, repr=False)
class Job:
    """One job as the queue keeps it; callers are given :class:`JobResult` instead.

    Times are seconds since the epoch; no two jobs of a queue have the same time of submission,
    which is their place in its order. ``shift`` is how far the wall clock had been set forwards
    when the job was submitted or, later, started; its finish is stamped with the same shift.
    """

    job_id: str
    job_type: str
    definition: Any  # a JobType; None in a job that this queue will not run
    payload: FrozenPayload
    timeout: float
    key: str | None
    metadata: Mapping[str, Any]  # read-only, see checked_metadata
    variables: contextvars.Context
    submitted: float
    shift: float = 0.0
    started: float | None = None
    finished: float | None = None
    status: JobStatus = JobStatus.PENDING
    result: Any = None
    error: str | None = None
    error_type: str | None = None
    progress: float | None = None
    message: str | None = None
    attempt: int = 0
    cancel_requested: bool = False
    delay: float | None = None  # seconds from the submission; of many jobs the same float
    changes: Changes | None = None  # of a live job that somebody has watched
    waiters: Waiters | None = None  # for the end

    @property
    def place(self) -> int:
        """Where it is in the order of submission; jobs submitted later have greater ones."""
        return place_of_stamp(self.submitted)

    @property
    def due(self) -> float:
        """From when on it may start, as an age of the clock."""
        return self.submitted + (self.delay or 0.0) - self.shift

    @property
    def not_before(self) -> float | None:
        """When a delayed job may start."""
        return None if self.delay is None else self.submitted + self.delay

    def __lt__(self, other: Job) -> bool:
        """Whether it starts before *other* if both are due."""
        due, others = self.due, other.due
        return due < others or (due == others and self.submitted < other.submitted)

    @property
    def left_in_store(self) -> bool:
        """Whether it goes on, but not on this queue."""
        return self.definition is None and not self.is_finished

    @property
    def is_finished(self) -> bool:
        """Whether nothing can follow."""
        return self.status in TERMINAL

    def record(self) -> JobResult[Any]:
        """The job as it is now, as callers see it."""
        started, finished = self.started, self.finished
        # Python makes a dict of up to 15 items in one instruction, and a larger one item by item.
        return unchecked_record(
            {
                "job_id": self.job_id,
                "job_type": self.job_type,
                "status": self.status,
                "result": self.result,
                "error": self.error,
                "error_type": self.error_type,
                "progress": self.progress,
                "message": self.message,
                "attempt": self.attempt,
                # As as_datetime says, which would be three calls more for each record.
                "submitted_at": from_timestamp(self.submitted, UTC),
                "started_at": None if started is None else from_timestamp(started, UTC),
                "finished_at": None if finished is None else from_timestamp(finished, UTC),
                "cancel_requested": self.cancel_requested,
                "metadata": dict(self.metadata) if self.metadata else {},
                "key": self.key,
                **(
                    _NOTHING_MORE
                    if self.payload is _NO_PAYLOAD and self.delay is None
                    else self._more()
                ),
            }
        )

    def _more(self) -> dict[str, Any]:
        """What few jobs have for their records."""
        return {
            "not_before": as_datetime(self.not_before),
            "payload": self.payload.on_record(),
        }

    @property
    def duration(self) -> float | None:
        """Seconds from start to finish; None if it never started."""
        if self.started is None or self.finished is None:
            return None
        return self.finished - self.started

    def drop_live_fields(self) -> None:
        """Drop what only a live job needs."""
        self.definition = None
        if self.payload.__class__ is KeptPayload:
            self.payload = KeptPayload({}, self.payload.text)
        else:
            self.payload = _NO_PAYLOAD
        self.variables = _NO_VARIABLES

    def changed(self) -> None:
        """Tell those who watch, and at the end those who wait for it, after the change."""
        if self.waiters is None and self.changes is None:
            return
        if self.changes is not None:
            self.changes.tell()
        if self.is_finished:
            self.wake_waiters()

    def leave_in_store(self) -> None:
        """Tell everyone who waits that nothing will come here: the queue is closed."""
        self.drop_live_fields()
        self.wake_waiters()

    def wake_waiters(self) -> None:
        """Let everyone who waits look again."""
        if self.changes is not None:
            self.changes.wake_waiters()
        for waiter in self.waiters or ():
            wake(waiter)
        self.changes = self.waiters = None  # last: after a Ctrl-C in between, all are woken again

    def watched(self) -> Changes:
        """The changes from now on."""
        if self.changes is None:
            self.changes = Changes()
        return self.changes

    def new_waiter(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """What the end of this job resolves, until it is passed to :meth:`forget_waiter`.

        Raises:
            QueueClosedError: the job goes on, but not on this queue.
        """
        if self.left_in_store:
            raise QueueClosedError
        waiter: asyncio.Future[None] = loop.create_future()
        if self.waiters is None:
            self.waiters = {}
        self.waiters[waiter] = None
        return waiter

    def forget_waiter(self, waiter: asyncio.Future[None]) -> None:
        """It waits no longer."""
        if self.waiters is not None:
            self.waiters.pop(waiter, None)

    def check_here(self) -> None:
        """Refuse to wait for a job that goes on, but not on this queue."""
        if self.left_in_store:
            raise QueueClosedError


_OTHER_IN_RECORD = {"not_before", "payload"}
SAME_IN_RECORD = tuple(
    name for name in JobResult.model_fields if hasattr(Job, name) and name not in _OTHER_IN_RECORD
)
"""The fields of a record that are those of a job; others are made of them."""
