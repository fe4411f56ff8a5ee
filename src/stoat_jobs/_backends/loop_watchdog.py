"""Logs which coroutine blocks the event loop for too long.

A coroutine that does not yield freezes the app, and nothing on its own loop can say so. So a
thread asks the loop for a sign of life, and if none comes, looks at which task is running.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Mapping
from types import FrameType
from typing import Any

from .._events.log import log_event
from .._run.calls import call_threadsafe
from .._run.job_run import JobRun
from .._text import one_line

LOOKS = 8
"""Looks per limit: a block that lasts an eighth longer is seen whenever it begins."""


class Watchdog:
    """Watches one event loop while jobs run on it; costs a job nothing."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, running: Mapping[str, JobRun[Any]], limit: float
    ) -> None:
        self._loop = loop
        self._running = running
        self._limit = limit
        self._stopping = threading.Event()
        self._loop_thread = threading.get_ident()
        # A daemon: a loop that is blocked for good must not keep the process from exiting.
        self._thread = threading.Thread(target=self._main, name="stoat-jobs watchdog", daemon=True)

    def start(self) -> None:
        """Begin; in the thread of the loop."""
        self._thread.start()

    def stop(self) -> None:
        """End soon; this does not wait."""
        self._stopping.set()

    def _main(self) -> None:
        while not self._stopping.wait(self._limit / LOOKS):
            if self._running:
                self._try_to_look()

    def _try_to_look(self) -> None:
        try:
            self._look()
        except Exception as error:  # it goes on watching
            log_event(logging.ERROR, "watchdog_failed", exc_info=error)

    def _look(self) -> None:
        sign = threading.Event()
        asked = time.monotonic()
        call_threadsafe(self._loop, sign.set)
        if sign.wait(self._limit):
            return
        job, where = self._culprit(), _where(sys._current_frames().get(self._loop_thread))
        held = time.monotonic() - asked
        log_event(logging.WARNING, "loop_blocked", **job, duration_s=held, where=where)
        while not sign.wait(self._limit):
            if self._stopping.is_set():
                return
        held = time.monotonic() - asked
        log_event(logging.WARNING, "loop_free", **job, duration_s=held)

    def _culprit(self) -> dict[str, str | None]:
        """The job whose task is running; none if the task is the app's, or a handler's own."""
        task = asyncio.current_task(self._loop)
        jobs = (run.job for run in tuple(self._running.values()) if run.task is task)
        if (job := next(jobs, None)) is None:
            return {"job_id": None, "job_type": None}
        return {"job_id": job.job_id, "job_type": one_line(job.job_type, 200)}


def _where(frame: FrameType | None) -> str:
    if frame is None:
        return "unknown"
    return one_line(f"{frame.f_code.co_filename}:{frame.f_lineno}", 500)
