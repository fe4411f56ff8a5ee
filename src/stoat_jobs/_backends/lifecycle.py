"""The life of an in-process queue: how it starts, drains and stops.

A queue belongs to the event loop that it was started in, until it is left. However its stop is
cut short, every job finishes, and what was opened is closed.
"""

from __future__ import annotations

import asyncio
import logging
from threading import get_ident
from types import TracebackType
from typing import Any, ClassVar, Self

from .._events.log import log_event
from .._model.errors import BackendStartError, QueueStartedError
from .._model.settings import JobQueueSettings
from .._text import describe
from .loop_checks import asyncio_loop, is_orphaned
from .phase import CLOSED, CLOSING, STARTED, STARTING
from .scheduler import Scheduler

# A stop may take a second more than its settings say, in two halves.
_HALF_A_SECOND = 0.5


class QueueLifecycle:
    """What ``async with queue:`` does; backends add :meth:`_open` and :meth:`_shut`."""

    name: ClassVar[str]
    settings: JobQueueSettings
    _scheduler: Scheduler
    _loop: asyncio.AbstractEventLoop | None = None
    _thread: int = 0
    _owner: asyncio.Task[Any] | None = None
    _old_owners: list[asyncio.Task[Any]]

    @property
    def started(self) -> bool:
        return self._scheduler.phase is STARTED

    async def __aenter__(self) -> Self:
        self._end_if_orphaned()
        if self._is_live():
            raise QueueStartedError(self.name)
        self._attach(asyncio_loop(self.name))
        before = self._scheduler.phase
        self._scheduler.phase = STARTING
        try:
            await self._open()
            self._owner = asyncio.current_task()
            self._scheduler.phase = STARTED
            self._scheduler.fill()
        except BaseException as error:
            self._scheduler.phase, self._owner = before, None
            self._scheduler.abandon_all()
            self._shut_after(error)
            if not isinstance(error, Exception):
                raise
            raise BackendStartError(self.name, describe(error)) from error
        self._log("worker_started")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._scheduler.phase is not STARTED:
            return
        first = exc
        try:
            self._scheduler.phase = CLOSING
            self._log("queue_draining")
            await self._drain()
        except BaseException as error:
            first = error
            raise
        finally:
            try:
                self._end_life(first)
            finally:  # again, for a Ctrl-C that comes in the first moment
                self._end_life(first)

    def _is_live(self) -> bool:
        return self._scheduler.phase in (STARTING, STARTED, CLOSING)

    def _end_if_orphaned(self) -> None:
        """Stop a queue that nobody can leave any more, as after a Ctrl-C."""
        if not (self._is_live() and is_orphaned(self._loop, self._owner)):
            return
        owner = self._owner
        self._end_life(None)
        if owner is not None and not owner.done():
            # If it were collected, its coroutine would leave the queue: that of a later life.
            self._old_owners.append(owner)

    def _end_life(self, first: BaseException | None) -> None:
        """Finish all jobs and close what is open; *first* is the error that cut the stop short."""
        if not self._is_live():
            return
        self._scheduler.phase = CLOSING
        try:
            try:
                self._scheduler.finish_all()
            finally:  # again, for a Ctrl-C that comes in the first moment
                self._scheduler.finish_all()
        finally:
            try:
                self._shut_after(first)
            finally:
                self._scheduler.phase = CLOSED
                self._owner = None  # its exception keeps its frames alive
                self._log("worker_stopped")

    def _shut_after(self, first: BaseException | None) -> None:
        """Close; an error is raised, or only logged if *first* is already being raised."""
        try:
            self._shut()
        except Exception as error:
            if first is None:
                raise
            log_event(logging.ERROR, "shut_failed", backend=self.name, exc_info=error)

    async def _open(self) -> None:
        """Get ready to run jobs."""

    def _shut(self) -> None:
        """Undo :meth:`_open`; no job runs any more."""

    async def _drain(self) -> None:
        scheduler = self._scheduler
        drained_by = scheduler.now() + self.settings.drain_timeout
        # A timer: to stop what waits may take longer than this.
        alarm = scheduler.loop.call_at(drained_by, scheduler.stop_all)
        try:
            scheduler.drain()
            await scheduler.close_pending(drained_by + _HALF_A_SECOND)
            await scheduler.wait_until_idle(drained_by - scheduler.now())
        finally:
            alarm.cancel()
        scheduler.stop_all()
        await scheduler.wait_until_idle(2 * scheduler.longest_grace() + _HALF_A_SECOND)
        scheduler.abandon_all()
        await scheduler.wait_for_tasks(_HALF_A_SECOND)

    def _is_here(self) -> bool:
        """Whether the queue's event loop runs this code.

        Not by ``get_running_loop``, which before Python 3.12 asks the system for the process's
        id: a tenth of a job.
        """
        return get_ident() == self._thread and self._loop is not None and self._loop.is_running()

    def _attach(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread = get_ident()
        self._scheduler.attach(loop)

    def _log(self, event: str) -> None:
        log_event(
            logging.INFO,
            event,
            backend=self.name,
            concurrency=self._scheduler.concurrency,
            pending=len(self._scheduler.pending),
            running=len(self._scheduler.running),
        )
