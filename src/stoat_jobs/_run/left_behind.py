"""What goes on although its job is over, and what a queue has to know of it."""

from __future__ import annotations

import asyncio
from typing import Any

from .._events.log import log_thread_left
from .job_run import JobRun
from .left_threads import LeftThreads, where_working


class LeftBehind:
    """The handlers that the jobs of a queue have left running, and threads of executors."""

    def __init__(self) -> None:
        self._left: list[JobRun[Any] | LeftThreads] = []

    def note(self, run: JobRun[Any], *, abandoned: bool) -> None:
        """*run* has finished, or was dropped: note what is left of it.

        If its handler obeyed, it may have left a thread in an executor, which the log then names.
        """
        if abandoned:
            self._add(run)
        elif run.reason is not None and (where := where_working(run.job.job_id)) is not None:
            self._add(LeftThreads(run.job.job_id))
            log_thread_left(run.job.job_id, run.job.job_type, where)

    def _add(self, left: JobRun[Any] | LeftThreads) -> None:
        self._forget_gone()
        self._left.append(left)

    def _forget_gone(self) -> None:
        self._left = [left for left in self._left if not left.is_gone]

    def count(self) -> int:
        """How many go on now, for ``QueueStats.abandoned``."""
        self._forget_gone()
        return sum(left.is_alive for left in self._left)

    async def wait_for_tasks(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        """Let the tasks of abandoned jobs end, as far as they are on *loop*; at most so long."""
        tasks = [left.task for left in self._left if left.task]
        here = [task for task in tasks if task.get_loop() is loop]  # not of an earlier life
        if here:
            await asyncio.wait(here, timeout=seconds)
