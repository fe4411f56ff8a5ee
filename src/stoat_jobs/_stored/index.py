"""The index of a queue that keeps its jobs outside the process.

- Live jobs are in memory, as they are in the store; what becomes of them is written first, and
  true when that is done. Of a finished job there is a small entry; its record is in the store.
- A new job *arrives*: it has its key and its place among those that wait, but nobody sees it
  before it is written.
- A job that *ends* has its outcome, but is still what it was until that is written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Any, cast

from .._backends.job import Job
from .._backends.job_index import JobIndex
from .._backends.keys import Keys
from .._events.log import log_event
from .._model.errors import JobNotKeptError, QueueClosedError
from .._model.events import RemovalReason, RemovedEvent
from .._model.records import JobResult
from .._model.status import PENDING, RUNNING, transition
from .._run.calls import wake
from .._run.outcome import Outcome
from .._text import describe
from .durable_job import DurableJob, Ending
from .open_store import OpenStore
from .store import FinishedJob, StoredJob
from .writer import StoreWriter

# The jobs that finished last are in memory too, for whoever asks for their records at once.
_RECENT = 256
_RECENT_BYTES = 65_536

# Seconds that the time of a submission may be ahead: jobs of one instant are a little.
_AHEAD = 1.0


class Arrival:
    """A write of new jobs, and who waits for it.

    Not a shielded future: since Python 3.14 its error is logged if its only waiter has left.
    """

    __slots__ = ("_error", "_waiters")

    def __init__(self) -> None:
        self._waiters: list[asyncio.Future[None]] = []
        self._error: Exception | None = None

    async def wait(self) -> None:
        """Wait until the jobs are written; raises why they are not."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter
        if self._error is not None:
            raise self._error

    def end(self, error: Exception | None = None) -> None:
        """The jobs are written or, with an *error*, refused."""
        self._error = error
        for waiter in self._waiters:
            wake(waiter)


class StoredIndex(JobIndex):
    """The index, and what of it is on its way to the store."""

    store: OpenStore | None = None
    """None while the queue is not started."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.arriving: dict[str, Arrival] = {}
        """Of the jobs that are not written yet, by their ids."""
        self.ending: dict[str, Ending] = {}
        """Of the jobs whose ends are not written yet, by their ids."""
        self.recent: dict[str, Callable[[], JobResult[Any]]] = {}
        """The records of the jobs that finished last, by their ids."""
        self.record_of: Callable[[StoredJob], JobResult[Any]]
        self.number = 0

    @property
    def _writer(self) -> StoreWriter:
        return cast(OpenStore, self.store).writer

    def _next_number(self) -> int:
        self.number += 1
        return self.number

    # New jobs.

    def arrive(
        self, jobs: list[DurableJob], digest: str, backend: str, told: Callable[[bool], None]
    ) -> None:
        """Write new *jobs*, all or none, and call *told* with whether they are."""
        cast(OpenStore, self.store).check_here()
        for job in jobs:
            job.number, job.digest = self._next_number(), digest
            if job.key is not None:
                self.keys.hold(job, digest)
        self.arriving.update(dict.fromkeys((job.job_id for job in jobs), Arrival()))
        stored = [job.stored() for job in jobs]
        self._writer.add(stored, partial(self._arrived, jobs, digest, backend, told))

    def _arrived(
        self,
        jobs: list[DurableJob],
        digest: str,
        backend: str,
        told: Callable[[bool], None],
        error: Exception | None,
    ) -> None:
        arrival = self.arriving.get(jobs[0].job_id)
        if arrival is None:
            return  # after a Ctrl-C it is told again
        if error is None:
            told(True)
            arrival.end()
        else:
            for job in jobs:
                self.keys.drop(job)
            told(False)
            arrival.end(JobNotKeptError(backend, describe(error)))
        for job in jobs:
            del self.arriving[job.job_id]
            if job.digest != digest:  # somebody has asked meanwhile that its key be kept
                self.save(job)

    def keep_key(self, job: Job, digest: str) -> None:
        super().keep_key(job, digest)
        if isinstance(job, DurableJob):
            job.digest = digest
            if job.job_id not in self.arriving:
                self.save(job)

    # What becomes of them.

    def save(self, job: DurableJob) -> None:
        """Write what *job* is now; nobody waits for it."""
        if self.store is not None and job.job_id not in self.ending:
            self._writer.save(job.stored())

    def write_start(self, job: DurableJob, told: Callable[[], None]) -> None:
        """Write that *job* starts, and call *told* when that is done."""
        job.deliveries += 1
        ahead = job.apart()
        self.start(ahead)
        self._writer.save(ahead.stored(), told)

    def end(
        self,
        job: DurableJob,
        outcome: Outcome,
        told: Callable[[], None],
        *,
        unstarted: bool = False,
    ) -> None:
        """Write *outcome* as that of *job*; when that is done, it is so, and *told* is called.

        An *unstarted* job starts and ends at once, as it cannot be run.
        """
        ended = job.apart()
        if unstarted:
            self.start(ended)
        ending = Ending(job, ended, _result_text(job, outcome), told)
        self._write(ended, outcome)
        ended.finish_number = self._next_number()
        self.ending[job.job_id] = ending
        self._write_end(ending)

    def _write_end(self, ending: Ending) -> None:
        self._writer.save(ending.stored(), partial(self._ended, ending))

    def _ended(self, ending: Ending) -> None:
        """It is written."""
        job = ending.job
        if self.ending.get(job.job_id) is not ending:
            return  # after a Ctrl-C it is told again
        job.become(ending.ended)
        job.changed()
        if isinstance(self._jobs[job.job_id], DurableJob):
            self._keep_entry(job, len(ending.result) + len(job.payload.text))
        try:
            ending.told()
        finally:
            del self.ending[job.job_id]

    def _keep_entry(self, job: DurableJob, size: int) -> None:
        """Keep of *job*, which has finished, only what is to be known of it."""
        entry = job.entry()
        if size <= _RECENT_BYTES:
            self.recent[job.job_id] = job.record
            if len(self.recent) > _RECENT:
                del self.recent[next(iter(self.recent))]
        self._jobs[job.job_id] = cast(Job, entry)
        if self.keys.drop(job):
            self.keys.hold(cast(Job, entry), entry.digest)
        self.retention.add(cast(Job, entry))

    def give_back(self, job: DurableJob) -> None:
        """Let *job*, which was started, wait for the next start of the queue."""
        job.deliveries = max(0, job.deliveries - 1)
        if job.status is RUNNING:
            transition(job, PENDING)
        job.started = job.progress = job.message = None
        job.attempt = 0
        self.save(job)
        job.leave_in_store()

    # What is kept no longer.

    def _remove(self, job: Job, reason: RemovalReason) -> None:
        self._forget(job)
        known = self.recent.pop(job.job_id, None)
        if self.store is None:
            return  # it grew too old meanwhile; the next start drops it
        if not self._observers.wants["removed"]():
            self._writer.drop(job.job_id)
        elif known is not None:
            self._drop(known(), reason)
        else:
            self.store.read_then(job.job_id, partial(self._drop_read, job.job_id, reason))

    def _drop_read(self, job_id: str, reason: RemovalReason, stored: StoredJob | None) -> None:
        if stored is not None:
            self._drop(self.record_of(stored), reason)
        elif self.store is not None:
            self._writer.drop(job_id)

    def _drop(self, record: JobResult[Any], reason: RemovalReason) -> None:
        if self.store is not None:
            event = RemovedEvent(record, reason)
            self._writer.drop(record.job_id, lambda: self._observers.tell("removed", event))

    def hand_key_on(self, entry: FinishedJob, stored: StoredJob) -> None:
        """Another job has the kept key of *entry*, also after a restart."""
        entry.key, entry.digest = None, ""
        if entry.job_id in self._jobs:
            changes = {"unique": "live", "payload_digest": ""}
            self._writer.save(stored.model_copy(update=changes))

    # A life of the queue.

    def clear(self) -> None:
        """Know no jobs."""
        self._jobs, self.arriving, self.ending, self.recent = {}, {}, {}, {}
        self.keys = Keys()
        self.number, self.last_submitted = 0, 0.0
        self.retention.replace(())

    def put_back(self, job: DurableJob | FinishedJob, now: float) -> None:
        """Know *job*, which the store has, as the newest.

        If the wall clock has gone back since, it was submitted *now*.
        """
        if self.last_submitted < job.submitted < now + _AHEAD:
            self.last_submitted = job.submitted
        else:
            job.submitted = self.next_submitted(min(job.submitted, now))
        self._jobs[job.job_id] = cast(Job, job)
        if job.key is not None:
            self.keys.hold(cast(Job, job), job.digest)

    def repair(self) -> None:
        """Complete what a Ctrl-C has cut short."""
        for ending in list(self.ending.values()):
            if self.store is not None and not self._writer.has(ending.job.job_id):
                self._write_end(ending)
        finished = [job for job in self._jobs.values() if isinstance(job, FinishedJob)]
        if len(finished) != len(self.retention):
            self.retention.replace(sorted(finished, key=attrgetter("finish_number")))

    def leave_all(self) -> None:
        """The queue is closed: what is live goes on elsewhere, and whoever waits is told."""
        for arrival in self.arriving.values():
            arrival.end(QueueClosedError())
        self.arriving.clear()
        self.ending.clear()
        for job in self._jobs.values():
            if isinstance(job, DurableJob):
                job.leave_in_store()


def _result_text(job: DurableJob, outcome: Outcome) -> str:
    """The result as JSON; empty if there is none, or it cannot be written after all."""
    if outcome.result is None:
        return ""
    try:
        text: bytes = job.definition.encode_result(outcome.result)
        return text.decode()
    except Exception as error:
        log_event(logging.ERROR, "store_failed", job_id=job.job_id, error=describe(error))
        return ""
