"""Names in the log the coroutine that holds the event loop for too long.

A coroutine that does not yield freezes the app, and nothing in its own loop can say so: a
thread asks the loop for a sign of life, and looks at whose turn it is when none comes.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Mapping
from types import FrameType

from .._calls import call_threadsafe
from .._execution import JobRun
from .._logging import log_event
from .._text import one_line

LOOKS = 8
"""Looks in the time of the limit: what lasts an eighth longer is seen wherever it begins."""


class Watchdog:
    """Watches one event loop while jobs run on it; costs a job nothing."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, running: Mapping[str, JobRun], limit: float
    ) -> None:
        self._loop = loop
        self._running = running
        self._limit = limit
        self._stopping = threading.Event()
        self._loop_thread = threading.get_ident()
        # A daemon: a loop that is blocked for good must not keep the process from its exit.
        self._thread = threading.Thread(target=self._main, name="stoat-jobs watchdog", daemon=True)

    def start(self) -> None:
        """Begin; in the thread of the loop."""
        self._thread.start()

    def stop(self) -> None:
        """End soon; nobody waits for it."""
        self._stopping.set()

    def _main(self) -> None:
        while not self._stopping.wait(self._limit / LOOKS):
            if self._running:
                self._look()

    def _look(self) -> None:
        sign = threading.Event()
        asked = time.monotonic()
        call_threadsafe(self._loop, sign.set)
        if sign.wait(self._limit):
            return
        run, where = self._culprit(), _where(sys._current_frames().get(self._loop_thread))
        self._tell("loop_blocked", run, time.monotonic() - asked, where=where)
        while not sign.wait(self._limit):
            if self._stopping.is_set():
                return
        self._tell("loop_free", run, time.monotonic() - asked)

    def _culprit(self) -> JobRun | None:
        """The job whose turn it is; None in a task of a handler's own, or of the app."""
        task = asyncio.current_task(self._loop)
        runs = (run for run in tuple(self._running.values()) if run.task is task)
        return next(runs, None)

    def _tell(self, event: str, run: JobRun | None, seconds: float, **more: object) -> None:
        log_event(
            logging.WARNING,
            event,
            job_id=run and run.job.job_id,
            job_type=run and one_line(run.job.job_type, 200),
            duration_s=seconds,
            **more,
        )


def _where(frame: FrameType | None) -> str:
    if frame is None:
        return "unknown"
    return one_line(f"{frame.f_code.co_filename}:{frame.f_lineno}", 500)
