"""A store while a queue has it open: a thread that writes into it, and one that reads from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from itertools import islice
from typing import TypeVar

from .._model.errors import BackendError
from .._run.calls import call_threadsafe
from .._text import describe
from .brief_thread import BriefThread
from .store import FinishedJob, JobStore, StoredJob, StoreInUseError
from .writer import StoreWriter

T = TypeVar("T")

# Seconds between two looks whether another queue has released the store.
_LOOK = 0.1

# Jobs loaded at once: some milliseconds, for the event loop as well.
_LOADED_AT_ONCE = 500

# Records read at once, so that the thread's other callers have a turn.
_READ_AT_ONCE = 200


class OpenStore:
    """A store in one life of the queue *name*, which runs on *loop*."""

    def __init__(self, name: str, store: JobStore, loop: asyncio.AbstractEventLoop) -> None:
        self._name = name
        self._store = store
        self._loop = loop
        self._writing = BriefThread(f"stoat-jobs {name} writes")
        self._reading = BriefThread(f"stoat-jobs {name} reads")
        self.writer: StoreWriter = StoreWriter(name, store, self._writing, loop)

    async def open(self, lock_wait: float) -> None:
        """Open it; while another queue has it, try again for *lock_wait* seconds.

        Raises:
            StoreInUseError: another queue still has it.
        """
        self._writing.start()
        self._reading.start()
        until = self._loop.time() + lock_wait
        while True:
            try:
                return await self._call(self._writing, self._store.open)
            except StoreInUseError:
                if self._loop.time() >= until:
                    raise
            await asyncio.sleep(_LOOK)

    async def finished(self) -> list[FinishedJob]:
        """What is to be known of all jobs that have finished, in the order of acceptance."""
        return await self._call(self._writing, lambda: list(self._store.finished()))

    async def live(self) -> AsyncIterator[list[StoredJob]]:
        """All others, some at a time, so that they are not all in memory at once."""
        live = await self._call(self._writing, lambda: iter(self._store.live()))
        while some := await self._call(self._writing, lambda: list(islice(live, _LOADED_AT_ONCE))):
            yield some

    async def read(self, job_ids: Sequence[str]) -> list[StoredJob]:
        """The jobs with these ids that are kept, in this order.

        Raises:
            BackendError: the store cannot be read; says why.
        """
        found: dict[str, StoredJob] = {}
        for start in range(0, len(job_ids), _READ_AT_ONCE):
            some = job_ids[start : start + _READ_AT_ONCE]
            try:
                read = await self._call(self._reading, self._read, some)
            except Exception as error:
                raise BackendError(self._name, f"cannot read: {describe(error)}") from error
            found.update((job.job_id, job) for job in read)
        return [found[job_id] for job_id in job_ids if job_id in found]

    def read_then(self, job_id: str, told: Callable[[StoredJob | None], None]) -> None:
        """Call *told* on the event loop with a job, or None if it cannot be read."""
        future = self._reading.call(self._read, [job_id])
        future.add_done_callback(lambda done: call_threadsafe(self._loop, told, _first(done)))

    def _read(self, job_ids: Sequence[str]) -> list[StoredJob]:
        return list(self._store.read(job_ids))

    async def _call(self, thread: BriefThread, function: Callable[..., T], *args: object) -> T:
        return await asyncio.wrap_future(thread.call(function, *args), loop=self._loop)

    def check_here(self) -> None:
        """Refuse to go on in a forked child of the process that has the store open."""
        if self._writing.is_forked:
            raise BackendError(
                self._name,
                "is open in another process, from which this one was forked: use the queue there",
            )

    def close(self, seconds: float) -> None:
        """Write what waits, and close; at most *seconds* for each of both.

        A store that takes longer is closed when it answers.
        """
        if self._writing.is_forked or not self._writing.ident:
            return
        try:
            self.writer.close(seconds)
        finally:
            self._reading.end()
            self._reading.join(seconds)
            closed = self._writing.call(self._store.close)
            self._writing.end()
            self._writing.join(seconds)
            if closed.done():
                closed.result()


def _first(done: Future[list[StoredJob]]) -> StoredJob | None:
    found = [] if done.exception() is not None else done.result()
    return found[0] if found else None
