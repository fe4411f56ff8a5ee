"""An operator's desk: a backend whose jobs are outside this process, and which runs none of them.

- What the backend has to be told for that are the options ``worker`` and ``create_tables``. A
  backend without ``worker`` has no handlers here. A :class:`StoredJobQueue` may have some, to check
  a payload: with no room for their jobs, it lets these wait.
- The limits of the app are not known here, so there are none: else a start would drop records
  that the app keeps, and old ones could not be seen.
- Before a start, what is there is read. A start would make what is not there.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from stoat_jobs import (
    BackendStartError,
    JobBackend,
    JobHandlers,
    JobQueueSettings,
    create_queue,
)
from stoat_jobs.backends import Capabilities, JobReader, StoredJobQueue, StoreInUseError

from .reading import QueueReader

R = TypeVar("R")

_NO_WORK = ("worker", "create_tables")
_MANY = 2**31 - 1


class UnreachableError(Exception):
    """The jobs cannot be reached from another process than their own."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"backend {self.name!r} {self.reason}"


_IN_MEMORY = (
    "keeps its jobs in the memory of its process: ask its server, with `stoat-jobs watch URL`, its"
    " HTTP or its dashboard"
)
_NO_READER = (
    "has nothing that reads its jobs from outside: ask its server, with `stoat-jobs watch URL`, its"
    " HTTP or its dashboard"
)
_HELD = (
    "lets only the process that has its jobs open change them, and one has: use the HTTP or the"
    " dashboard of that application, or stop it first"
)
_WOULD_WORK = (
    "has no option `worker`, so that it would run jobs here: submit the job again through the HTTP"
    " of its application"
)


class Desk:
    """The jobs of one backend, from outside the processes that run them.

    Attributes:
        handlers: those of the app, if it is given.
    """

    def __init__(
        self,
        runner: asyncio.Runner,
        name: str,
        url: str | None,
        options: Mapping[str, Any],
        handlers: JobHandlers | None,
    ) -> None:
        logging.getLogger("stoat_jobs").addHandler(logging.NullHandler())  # not on our terminal
        self.handlers = handlers
        self._runner = runner
        self._settings = _settings(name, url, options)
        queue = self._made()
        idle = _without_work(queue)
        self._would_work = "worker" not in idle and not isinstance(queue, StoredJobQueue)
        if handlers is not None and isinstance(queue, StoredJobQueue):
            _take_room_from(handlers)
        self._settings = _settings(name, url, {**options, **idle})
        self._queue = self._made()

    def _made(self) -> JobBackend:
        """A queue without handlers, which is only read."""

        async def made() -> JobBackend:
            return create_queue(None, self._settings)

        return self._runner.run(made())

    def reader(self) -> JobReader:
        """What reads the jobs, also while others change them; a context manager.

        Raises:
            UnreachableError: the jobs are in the memory of a process, or nothing reads them.
        """
        open_reader = getattr(self._queue, "open_reader", None)
        if open_reader is not None:
            return cast(JobReader, open_reader(self._settings))
        can = Capabilities.of(self._queue)
        if can.cross_process:
            return QueueReader(self._queue, self._runner)
        raise UnreachableError(self._settings.backend, _NO_READER if can.durable else _IN_MEMORY)

    def change(self, work: Callable[[JobBackend], Coroutine[Any, Any, R]]) -> R:
        """What *work* returns, which is given the queue, started.

        Raises:
            UnreachableError: another process has the jobs, and only that one can change them.
            BackendError: the backend cannot be used; says why.
        """
        with self.reader():
            pass
        if not Capabilities.of(self._queue).durable:
            raise UnreachableError(self._settings.backend, _IN_MEMORY)
        if self.handlers and self._would_work:
            raise UnreachableError(self._settings.backend, _WOULD_WORK)
        try:
            return self._runner.run(self._with_queue(work))
        except BackendStartError as error:
            if isinstance(error.__cause__, StoreInUseError):
                raise UnreachableError(self._settings.backend, _HELD) from error
            raise

    async def _with_queue(self, work: Callable[[JobBackend], Coroutine[Any, Any, R]]) -> R:
        async with create_queue(self.handlers, self._settings) as queue:
            return await work(queue)


@contextmanager
def open_desk(
    name: str, url: str | None, options: Mapping[str, Any], handlers: JobHandlers | None
) -> Iterator[Desk]:
    """The desk for a backend, by its name and its settings; nothing is asked of it yet.

    Raises:
        JobsError, ValueError: there is no such backend, or it refuses the settings.
    """
    with asyncio.Runner() as runner:
        yield Desk(runner, name, url, options, handlers)


def _settings(name: str, url: str | None, options: Mapping[str, Any]) -> JobQueueSettings:
    return JobQueueSettings(
        backend=name,
        url=url,
        options=dict(options),
        drain_timeout=0,
        result_ttl=math.inf,
        max_results=_MANY,
        max_pending=_MANY,
        max_payload_bytes=_MANY,
        max_payload_depth=128,
        max_metadata_bytes=_MANY,
    )


def _without_work(queue: JobBackend) -> dict[str, bool]:
    """The options with which a queue of this backend neither runs jobs nor makes tables."""
    known = getattr(type(getattr(queue, "options", None)), "model_fields", {})
    return {name: False for name in _NO_WORK if name in known}


def _take_room_from(handlers: JobHandlers) -> None:
    """Let none of their jobs start."""
    for job_type in handlers:
        job_type.concurrency = 0
