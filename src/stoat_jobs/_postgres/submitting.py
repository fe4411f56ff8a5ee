"""How jobs are accepted: checked as everywhere, then committed.

- Keyless submits of one moment share a statement. One with a key may have to wait for somebody's
  open transaction, so it has its own statement. Its connection limits how long it waits.
- The id is made here. So a statement whose answer was lost can be sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._backends.ids import new_job_id
from .._backends.submission import Submission
from .._events.observers import Observers
from .._model.errors import JobNotKeptError, KeyConflictError, QueueClosedError, QueueFullError
from .._model.events import RemovedEvent, SubmittedEvent
from .._model.settings import JobQueueSettings
from .connections import Connections, Row
from .joining import fetch_joined
from .keeper import ttl_of
from .reasons import is_lock_timeout, reason_of
from .rows import metadata_text, record_with
from .side_tasks import IDLE, SideTask
from .sql import Sql

# What one statement of many submits has at most.
_MOST_AT_ONCE = 500
_MOST_BYTES = 4_000_000

# Seconds that the count of waiting jobs is good for.
_COUNT_IS_GOOD = 1.0

# Keys that change hands while they are looked at are looked at again so often.
_MOST_TRIES = 50


@dataclass(eq=False)
class NewJob:
    """A job that is being accepted."""

    submission: Submission
    job_id: str = field(default_factory=new_job_id)

    @property
    def key(self) -> str | None:
        """Its key."""
        return self.submission.key

    @property
    def size(self) -> int:
        """About how many bytes it has."""
        return len(self.submission.payload.text)

    def row(self) -> tuple[Any, ...]:
        """What ``Sql.submit`` is given of it."""
        given = self.submission
        return (
            self.job_id,
            given.definition.name,
            given.payload.text.decode(),
            metadata_text(given.metadata),
            given.key,
            given.is_kept,
            given.digest or None,
            given.timeout,
            given.definition.keep_payload,
            given.delay or None,
        )


class Submitting:
    """Writes new jobs."""

    def __init__(
        self,
        backend: str,
        connections: Connections,
        sql: Sql,
        settings: JobQueueSettings,
        observers: Observers,
        look_for_work: Callable[[], None],
    ) -> None:
        """*look_for_work* is called when a job was accepted, which may run here."""
        self._backend = backend
        self._connections = connections
        self._sql = sql
        self._settings = settings
        self._observers = observers
        self._look_for_work = look_for_work
        self._waiting: list[tuple[NewJob, asyncio.Future[None]]] = []
        self._room = 0
        self._room_until = 0.0
        self._counting = asyncio.Lock()
        self._is_closed = False
        self.side_task = SideTask("submit", self._write_some)

    async def submit(self, submission: Submission, connection: Any) -> str:
        """Accept a job; returns its id, or that of the job that holds its key."""
        if submission.key is not None:
            holder = await self._holder(submission, connection)
            if holder is not None:
                return holder
        await self._check_room(1)
        submission.tell_submitting(self._observers, self._settings)
        job = NewJob(submission)
        if connection is None and submission.key is None:
            await self._write_with_others(job)
        else:
            kept = await self._write_alone(job, connection)
            if kept != job.job_id:
                return kept
        self._tell_submitted(job)
        return job.job_id

    async def submit_many(self, submissions: Sequence[Submission], connection: Any) -> list[str]:
        """Accept all of these or none."""
        await self._check_room(len(submissions))
        for submission in submissions:
            submission.tell_submitting(self._observers, self._settings)
        jobs = [NewJob(submission) for submission in submissions]
        if jobs:
            await self._fetch(connection, self._sql.submit, *_columns(jobs))
        for job in jobs:
            self._tell_submitted(job)
        return [job.job_id for job in jobs]

    def _tell_submitted(self, job: NewJob) -> None:
        self._look_for_work()  # at once, also where no notices come
        if self._observers.wants["submitted"]():
            given = job.submission
            event = SubmittedEvent(job.job_id, given.definition.name, given.metadata)
            self._observers.tell("submitted", event)

    # Many at once.

    async def _write_with_others(self, job: NewJob) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((job, done))
        self.side_task.wake()
        await done

    async def _write_some(self) -> float:
        while self._waiting:
            batch = self._next_batch()
            try:
                await self._write(batch)
            except BaseException:  # cut short: what nobody knows of yet waits again, or is refused
                self._waiting = [each for each in batch if not each[1].done()] + self._waiting
                raise
        return IDLE

    async def _write(self, batch: list[tuple[NewJob, asyncio.Future[None]]]) -> None:
        error = await self._try([job for job, _ in batch])
        for job, done in batch:
            if error is not None and len(batch) > 1:  # one that cannot be written holds up no other
                _resolve(done, await self._try([job]))
            else:
                _resolve(done, error)

    def _next_batch(self) -> list[tuple[NewJob, asyncio.Future[None]]]:
        room = _MOST_BYTES
        number = 0
        for job, _ in self._waiting[:_MOST_AT_ONCE]:
            room -= job.size
            if room < 0 and number:
                break
            number += 1
        batch, self._waiting = self._waiting[:number], self._waiting[number:]
        return batch

    async def _try(self, jobs: list[NewJob]) -> Exception | None:
        try:
            await self._fetch(None, self._sql.submit, *_columns(jobs))
        except Exception as error:
            return error
        return None

    async def close(self, seconds: float) -> None:
        """Write what waits, within so many *seconds*, and refuse the rest."""
        self._is_closed = True
        try:
            await self.side_task.close(seconds)
        finally:
            waiting, self._waiting = self._waiting, []
            for _, done in waiting:
                _resolve(done, QueueClosedError())

    # One by one.

    async def _write_alone(self, job: NewJob, connection: Any) -> str:
        for _ in range(_MOST_TRIES):
            rows = await self._fetch(connection, self._sql.submit, *_columns([job]))
            if rows:
                return job.job_id
            if await self._fetch(connection, self._sql.known, job.job_id):
                return job.job_id  # it was accepted, and only the answer was lost
            holder = await self._holder(job.submission, connection)
            if holder is not None:
                return holder
        raise JobNotKeptError(self._backend, "its key changes hands too fast")

    async def _holder(self, submission: Submission, connection: Any) -> str | None:
        """The id of the job that holds the key, which is then kept as long as it asks for."""
        place = (submission.definition.name, submission.key, ttl_of(self._settings))
        rows = await self._fetch(connection, self._sql.holder, *place)
        if not rows:
            await self._free_key(place)
            return None
        found = str(rows[0]["id"])
        if submission.is_kept:
            if rows[0]["digest"] != submission.digest:
                raise KeyConflictError(str(submission.key), found)
            if not rows[0]["is_kept"]:
                await self._fetch(connection, self._sql.keep_key, found)
        return found

    async def _free_key(self, place: tuple[Any, ...]) -> None:
        # Not in the caller's transaction, which may be rolled back when observers have been told.
        for row in await self._fetch(None, self._sql.free_key, *place):
            if self._observers.wants["removed"]():
                self._observers.tell("removed", RemovedEvent(record_with(row), "age"))

    async def resubmit(self, source: Row, submission: Submission) -> str:
        """Accept what *source* was once more, and hand its key on if it keeps it."""
        if not source["is_kept"] or source["held_key"] is None:
            return await self.submit(submission, None)
        await self._check_room(1)
        submission.tell_submitting(self._observers, self._settings)
        job = NewJob(submission)
        async with self._connections.transaction() as connection:
            await connection.fetch(self._sql.hand_key_on, source["id"])
            rows = await connection.fetch(self._sql.submit, *_columns([job]))
        if not rows:
            raise JobNotKeptError(self._backend, "its key changes hands too fast")
        self._tell_submitted(job)
        return job.job_id

    async def _fetch(self, connection: Any, sql: str, *args: Any) -> Sequence[Mapping[str, Any]]:
        if connection is not None:
            return await fetch_joined(connection, sql, args)
        try:
            return await self._connections.fetch_retried(sql, *args)
        except RuntimeError:  # from another event loop
            raise
        except Exception as error:
            if is_lock_timeout(error):
                cause = "another transaction that is still open has its key"
            else:
                cause = reason_of(error)
            raise JobNotKeptError(self._backend, cause) from error

    # How many may wait.

    async def _check_room(self, number: int) -> None:
        """Refuse *number* more jobs than may wait; counted once a second and where it matters.

        Raises:
            QueueFullError: there is no room for all of them.
            QueueClosedError: the queue has closed meanwhile.
        """
        if not self._has_room(number):
            async with self._counting:  # one at a time, and in the order in which they came
                if not self._has_room(number):
                    await self._count()
        if self._is_closed:
            raise QueueClosedError
        if self._room < number:
            raise QueueFullError(self._settings.max_pending)
        self._room -= number

    def _has_room(self, number: int) -> bool:
        now = asyncio.get_running_loop().time()
        return self._room >= number and now < self._room_until

    async def _count(self) -> None:
        most = self._settings.max_pending
        now = asyncio.get_running_loop().time()
        (row,) = await self._fetch(None, self._sql.waiting, most)
        self._room, self._room_until = most - row["number"], now + _COUNT_IS_GOOD


def _columns(jobs: Iterable[NewJob]) -> list[list[Any]]:
    return [list(column) for column in zip(*(job.row() for job in jobs))]


def _resolve(done: asyncio.Future[None], error: Exception | None) -> None:
    if done.done():
        return  # whoever waited has left
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
