"""What a handler's threads send to the event loop: progress, metadata, and coroutines to run.

- Of several reports the loop sees the latest: a thread that reports each byte cannot flood it.
- Metadata is merged here and taken as a whole, so that no update undoes another, wherever it is
  made. The job itself is only changed on the loop, and so never once it has finished.
- Coroutines are cancelled with their job, and none begins after it has finished.
- A SystemExit in a task ends its loop (python/cpython#102572), so the thread gets it instead.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine, Mapping
from typing import Any, Protocol, TypeVar, cast

from .._jobs.stop_signal import StopSignal
from .._model.metadata import checked_metadata
from .calls import call_threadsafe, cancel

T = TypeVar("T")

_ONE_AT_A_TIME = threading.Lock()


class HasThreads(Protocol):
    """A run of a job, as its threads need it."""

    relay: Relay | None

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

    @property
    def is_finished(self) -> bool: ...

    @property
    def cancelled(self) -> bool: ...

    @property
    def metadata(self) -> Mapping[str, Any]: ...

    def progressed(self, fraction: float, message: str | None) -> None: ...

    def metadata_updated(self, metadata: Mapping[str, Any]) -> None: ...


class Relay:
    """The way from one job's threads to the event loop.

    Attributes:
        metadata: the job's metadata with all updates; the record follows.
        signal: wakes who waits until the job is told to stop.
    """

    def __init__(self, run: HasThreads) -> None:
        self._loop = run.loop
        self._job_run: HasThreads | None = None if run.is_finished else run
        self._tasks: set[asyncio.Task[Any]] = set()
        self._reporting = self._sending = False
        self._latest: tuple[float, str | None] = (0.0, None)
        self._merging = threading.RLock()  # not a Lock: the collector may call what updates
        self.metadata: Mapping[str, Any] = run.metadata
        self.signal: StopSignal = StopSignal()

    def report(self, fraction: float, message: str | None) -> None:
        """Send progress to the loop."""
        self._latest = (fraction, message)
        if not self._reporting:  # else the loop has yet to read, and will see this report
            self._reporting = True
            call_threadsafe(self._loop, self._report_latest)

    def _report_latest(self) -> None:
        self._reporting = False  # before reading: a thread may write in between
        if self._job_run is not None:
            self._job_run.progressed(*self._latest)

    def merge_metadata(self, fields: Mapping[str, Any], limit: int) -> None:
        """Merge *fields*, which are checked, into the metadata.

        Raises:
            ValueError: all of it has more than *limit* bytes of JSON.
        """
        with self._merging:
            self.metadata = checked_metadata({**self.metadata, **fields}, limit)

    def send_metadata(self) -> None:
        """Send the metadata to the loop."""
        if not self._sending:
            self._sending = True
            call_threadsafe(self._loop, self._send_latest)

    def _send_latest(self) -> None:
        self._sending = False  # before reading, as above
        if self._job_run is not None:
            self._job_run.metadata_updated(self.metadata)

    def run(self, coro: Coroutine[Any, Any, T]) -> T:
        """Run *coro* on the loop and wait for its value, in a thread.

        Raises:
            CancelledError: the job was told to stop meanwhile, or has ended.
            RuntimeError: the loop has been closed.
        """
        step = self._run(coro)
        try:
            future = asyncio.run_coroutine_threadsafe(step, self._loop)
        except RuntimeError:
            step.close()  # the loop is closed and never ran it
            coro.close()
            raise
        try:
            value, leaving = future.result()
        except concurrent.futures.CancelledError:
            # Another class, and an Exception: the job would be retried instead of cancelled.
            raise asyncio.CancelledError("what from_thread() ran was cancelled") from None
        if leaving is not None:
            raise leaving
        return cast("T", value)

    async def _run(self, coro: Coroutine[Any, Any, T]) -> tuple[T | None, SystemExit | None]:
        """The value of *coro*, or the SystemExit that it raised."""
        if self._job_run is None:
            coro.close()
            raise asyncio.CancelledError("the job has finished")
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._tasks.add(task)
        try:
            return await coro, None
        except SystemExit as error:
            return None, error
        finally:
            self._tasks.discard(task)

    def cancel(self) -> None:
        """Cancel the coroutines of the job's threads."""
        for task in tuple(self._tasks):
            cancel(task)

    def close(self) -> None:
        """The job has finished."""
        run, self._job_run = self._job_run, None  # it refers to the run, which refers to this
        self.signal.give(told=run is not None and run.cancelled)
        self.cancel()


def relay_of(run: HasThreads) -> Relay:
    """The relay of *run*, made when the first of its threads needs one."""
    with _ONE_AT_A_TIME:
        if run.relay is None:
            run.relay = Relay(run)
        return run.relay
