"""Executors' threads that still work for a job that has finished.

An ``async`` handler that awaits ``asyncio.to_thread``, or the like of anyio and Starlette, can be
cancelled; the thread cannot. It belongs to the executor: it cannot be ended here, and the exit of
the process waits for it. It is found by its context variables, which are the job's own.
``loop.run_in_executor`` copies none, so its threads are not found.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from contextvars import Context
from functools import partial
from types import FrameType
from typing import Any

from .._jobs.context import current_job_id
from .._text import one_line

# The modules in which executors call what they were given; the frame has its context, or the call.
_EXECUTORS = frozenset({"anyio._backends._asyncio", "concurrent.futures.thread"})


class LeftThreads:
    """The threads that one job left; counted like an abandoned run."""

    task = None

    def __init__(self, job_id: str) -> None:
        self._job_id = job_id

    @property
    def is_alive(self) -> bool:
        """Whether one of them still works."""
        return where_working(self._job_id) is not None

    @property
    def is_gone(self) -> bool:
        """Whether all of them have ended."""
        return not self.is_alive


def where_working(job_id: str) -> str | None:
    """The line at which an executor's thread works for this job; None if none does."""
    here = threading.get_ident()
    with suppress(Exception):  # it looks into the internals of others
        frames = sys._current_frames()
        frames.pop(here, None)  # a frame that refers to itself would stay until it is collected
        for frame in frames.values():
            if _works_for(frame, job_id):
                return one_line(f"{frame.f_code.co_filename}:{frame.f_lineno}", 500)
    return None


def _works_for(frame: FrameType | None, job_id: str) -> bool:
    while frame is not None:
        if frame.f_globals.get("__name__") in _EXECUTORS:
            return any(each.get(current_job_id) == job_id for each in _contexts(frame.f_locals))
        frame = frame.f_back
    return False


def _contexts(local: Mapping[str, Any]) -> Iterator[Context]:
    """The contexts among the variables of an executor's frame, and of the calls in them."""
    for value in tuple(local.values()):
        call = getattr(value, "fn", value)  # of a work item
        call = call.func if isinstance(call, partial) else call
        for found in (value, getattr(call, "__self__", None)):
            if isinstance(found, Context):
                yield found
