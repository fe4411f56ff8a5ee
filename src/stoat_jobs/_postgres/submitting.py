"""How jobs are accepted: checked as everywhere, then committed.

- Keyless submits of one moment share a statement. One with a key may have to wait for somebody's
  open transaction, so it has its own statement. Its connection limits how long it waits.
- The id is made here. So a statement whose answer was lost can be sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .._backends.ids import new_job_id
from .._backends.submission import Submission
from .._events.observers import Observers
from .._model.errors import JobNotKeptError, KeyConflictError, QueueClosedError
from .._model.events import RemovedEvent, SubmittedEvent
from .._model.settings import JobQueueSettings
from .connections import Connections, Row
from .joining import Rows, fetch_joined
from .keeper import ttl_of
from .reasons import is_lock_timeout, is_transient, reason_of
from .room import Room
from .rows import metadata_text, record_with
from .side_tasks import IDLE, SideTask
from .sql import Sql

# What one statement of many submits has at most.
_MOST_AT_ONCE = 500
_MOST_BYTES = 4_000_000

# How many jobs even a slow server writes in a second.
_JOBS_A_SECOND = 500

# Keys that change hands while they are looked at are looked at again so often.
_MOST_TRIES = 50

_KEY_IS_LOCKED = "another transaction that is still open has its key"
_IS_UNDER_WAY = "an earlier try of this submit has not ended, and may still succeed"


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


Waiting = tuple[NewJob, asyncio.Future[None]]
"""A job that shares a statement with others, and what says that it is written."""


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
        self._waiting: list[Waiting] = []
        self._room = Room(settings.max_pending, self._count)
        self.side_task = SideTask("submit", self._write_some)

    async def submit(self, submission: Submission, connection: Any) -> str:
        """Accept a job; returns its id, or that of the job that holds its key."""
        if submission.key is not None:
            holder = await self._holder(submission, connection)
            if holder is not None:
                return holder
        await self._room.take(1)
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
        await self._room.take(len(submissions))
        for submission in submissions:
            submission.tell_submitting(self._observers, self._settings)
        jobs = [NewJob(submission) for submission in submissions]
        if jobs:
            await self._insert(jobs, connection)
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
            number = len(self._waiting)
            try:
                error = await self._write(batch)
            except BaseException:  # cut short: what nobody knows of yet waits again, or is refused
                self._waiting = [each for each in batch if not each[1].done()] + self._waiting
                raise
            if _is_away(error):  # these have waited as long
                also, self._waiting = self._waiting[:number], self._waiting[number:]
                _resolve(also, error)
        return IDLE

    async def _write(self, batch: list[Waiting]) -> Exception | None:
        """Write these, if need be one by one; returns the last error."""
        error = await self._try([job for job, _ in batch])
        if error is None or len(batch) == 1 or _is_away(error) or _is_locked(error):
            _resolve(batch, error)
            return error
        for each in batch:  # one that cannot be written holds up no other
            if not _is_away(error):
                error = await self._try([each[0]])
            _resolve([each], error)
        return error

    def _next_batch(self) -> list[Waiting]:
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
            await self._insert(jobs, None)
        except Exception as error:
            return error
        return None

    async def close(self, seconds: float) -> None:
        """Write what waits, within so many *seconds*, and refuse the rest."""
        self._room.close()
        try:
            await self.side_task.close(seconds)
        finally:
            waiting, self._waiting = self._waiting, []
            _resolve(waiting, QueueClosedError())

    # One by one.

    async def _write_alone(self, job: NewJob, connection: Any) -> str:
        """Write it; returns its id, or that of the job that holds its key."""
        for _ in range(_MOST_TRIES):
            if await self._insert([job], connection):
                return job.job_id
            if await self._fetch(connection, self._sql.known, job.job_id):
                return job.job_id  # it was accepted, and only the answer was lost
            holder = await self._holder(job.submission, connection)
            if holder is not None:
                return holder
            await self._free_key(job.submission)
        raise JobNotKeptError(self._backend, "its key changes hands too fast")

    async def _holder(self, submission: Submission, connection: Any) -> str | None:
        """The id of the job that holds the key, which is then kept as long as it asks for."""
        rows = await self._fetch(connection, self._sql.holder, *self._place(submission))
        if not rows:
            return None
        found = str(rows[0]["id"])
        if not submission.is_kept:
            return found
        if rows[0]["digest"] != submission.digest:
            raise KeyConflictError(str(submission.key), found)
        if rows[0]["is_kept"] or await self._fetch(connection, self._sql.keep_key, found):
            return found
        return None  # it has finished meanwhile, and let the key go

    async def _free_key(self, submission: Submission) -> None:
        """Remove the job that holds the key, if it is too old."""
        # Not in the caller's transaction, which may be rolled back when observers have been told.
        for row in await self._fetch(None, self._sql.free_key, *self._place(submission)):
            if self._observers.wants["removed"]():
                self._observers.tell("removed", RemovedEvent(record_with(row), "age"))

    def _place(self, submission: Submission) -> tuple[Any, ...]:
        return submission.definition.name, submission.key, ttl_of(self._settings)

    async def resubmit(self, source: Row, submission: Submission) -> str:
        """Accept what *source* was once more, and hand its key on if it keeps it."""
        if not source["is_kept"] or source["held_key"] is None:
            return await self.submit(submission, None)
        await self._room.take(1)
        submission.tell_submitting(self._observers, self._settings)
        job = NewJob(submission)
        with self._refusing(is_keyed=True):
            is_kept = await self._connections.retried(lambda: self._hand_key_on(source, job))
        if not is_kept:  # another resubmit was faster, or the answer to ours was lost
            kept = await self._write_alone(job, None)
            if kept != job.job_id:
                return kept
        self._tell_submitted(job)
        return job.job_id

    async def _hand_key_on(self, source: Row, job: NewJob) -> bool:
        """Let a new job have the key of *source*, if that still has it; whether it had."""
        async with self._connections.transaction() as connection:
            if not await connection.fetch(self._sql.hand_key_on, source["id"]):
                return False
            return bool(await connection.fetch(self._sql.submit, *_columns([job])))

    # Statements.

    async def _insert(self, jobs: Sequence[NewJob], connection: Any) -> Rows:
        """The ids of those of these jobs that are new, in a time that depends on their size."""
        if connection is not None:
            return await fetch_joined(connection, self._sql.submit, _columns(jobs))
        longest = self._connections.seconds_for(sum(job.size for job in jobs))
        longest += len(jobs) / _JOBS_A_SECOND
        with self._refusing(is_keyed=any(job.key is not None for job in jobs)):
            return await self._connections.fetch_retried(
                self._sql.submit, *_columns(jobs), longest=longest
            )

    async def _fetch(self, connection: Any, sql: str, *args: Any) -> Rows:
        if connection is not None:
            return await fetch_joined(connection, sql, args)
        with self._refusing(is_keyed=True):
            return await self._connections.fetch_retried(sql, *args)

    @contextmanager
    def _refusing(self, *, is_keyed: bool) -> Iterator[None]:
        """Say by a `JobNotKeptError` what the server or the driver says."""
        try:
            yield
        except RuntimeError:  # from another event loop
            raise
        except Exception as error:
            cause = reason_of(error)
            if is_lock_timeout(error):
                cause = _KEY_IS_LOCKED if is_keyed else _IS_UNDER_WAY
            raise JobNotKeptError(self._backend, cause) from error

    async def _count(self) -> int:
        (row,) = await self._fetch(None, self._sql.waiting, self._settings.max_pending)
        number: int = row["number"]
        return number


def _columns(jobs: Iterable[NewJob]) -> list[list[Any]]:
    return [list(column) for column in zip(*(job.row() for job in jobs))]


def _is_away(error: Exception | None) -> bool:
    """Whether a refusal has nothing to do with what is submitted."""
    return error is not None and error.__cause__ is not None and is_transient(error.__cause__)


def _is_locked(error: Exception) -> bool:
    """Whether an earlier try of the same jobs is still under way."""
    return error.__cause__ is not None and is_lock_timeout(error.__cause__)


def _resolve(waiting: Iterable[Waiting], error: Exception | None) -> None:
    for _, done in waiting:
        if done.done():
            continue  # whoever waited has left
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
