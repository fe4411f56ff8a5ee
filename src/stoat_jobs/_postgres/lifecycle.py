"""How the queue starts and stops: a life at a time, each on one event loop."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, ClassVar, Self

from .._backends.loop_checks import asyncio_loop, check_loop, is_orphaned
from .._backends.phase import CLOSED, CLOSING, NEW, STARTED, STARTING
from .._events.log import log_event
from .._model.errors import (
    BackendError,
    BackendStartError,
    QueueClosedError,
    QueueNotStartedError,
    QueueStartedError,
)
from .._model.settings import JobQueueSettings
from .life import Life
from .reasons import reason_of


class Lifecycle(ABC):
    """What ``async with queue:`` does."""

    name: ClassVar[str]
    settings: JobQueueSettings
    _phase = NEW
    _life: Life | None = None
    """None unless the queue is started, or stops."""
    _loop: asyncio.AbstractEventLoop | None = None
    _owner: asyncio.Task[Any] | None = None

    @abstractmethod
    def _new_life(self) -> Life: ...

    @property
    def started(self) -> bool:
        return self._phase is STARTED

    async def __aenter__(self) -> Self:
        self._end_if_orphaned()
        if self._phase in (STARTING, STARTED, CLOSING):
            raise QueueStartedError(self.name)
        loop = asyncio_loop(self.name)
        life = self._new_life()
        before, self._phase = self._phase, STARTING
        try:
            await life.open()
        except BaseException as error:
            self._phase = before
            await life.close()
            if isinstance(error, BackendError) or not isinstance(error, Exception):
                raise
            reason = reason_of(error)
        else:
            self._life, self._loop, self._owner = life, loop, asyncio.current_task()
            self._phase = STARTED
            self._log("worker_started")
            return self
        raise BackendStartError(self.name, reason)  # out here: its chain might show a password

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        life = self._life
        if self._phase is not STARTED or life is None:
            return
        self._phase = CLOSING
        self._log("queue_draining")
        try:
            await life.stop_work(self.settings.drain_timeout)
        finally:
            try:
                await life.close()
            finally:
                self._end()

    def _end(self) -> None:
        self._log("worker_stopped")
        self._life = self._owner = None
        self._phase = CLOSED

    def _end_if_orphaned(self) -> None:
        """Forget a life that nobody can leave any more, as after a Ctrl-C."""
        if self._life is not None and is_orphaned(self._loop, self._owner):
            self._end()

    def _log(self, event: str) -> None:
        worker = None if self._life is None else self._life.worker
        log_event(
            logging.INFO,
            event,
            backend=self.name,
            concurrency=self.settings.concurrency if worker is not None else 0,
            running=0 if worker is None else len(worker.running),
        )

    # Checks.

    def _life_for(self, method: str) -> Life:
        """The life of the queue, which accepts this call.

        Raises:
            QueueNotStartedError: it has none yet.
            QueueClosedError: it is closing or closed.
            RuntimeError: this is not its event loop.
        """
        if self._phase in (NEW, STARTING):
            raise QueueNotStartedError(self.name)
        if self._phase is not STARTED or self._life is None:
            raise QueueClosedError
        self._check_loop(method)
        return self._life

    def _check_loop(self, method: str) -> None:
        """Refuse a call from another event loop: asyncpg would crash the interpreter."""
        if self._life is not None:
            check_loop(method, self._loop)
