"""The task that a job runs in."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine
from typing import Any, Protocol, cast


class HasTask(Protocol):
    """What a task tells its run."""

    cancelled_early: bool


class JobTask(asyncio.Task[None]):
    """A task whose coroutine begins, whenever it is cancelled.

    Made here and not by ``loop.create_task``: with an eager task factory the handler would run
    inside ``submit``, and each job inside the one that handed its slot on.

    A plain task that is cancelled before its first step never runs its coroutine: the job and its
    slot would be lost. This one tells its run instead, which looks there when it begins.
    """

    __slots__ = ("run",)
    run: HasTask

    def cancel(self, msg: Any = None) -> bool:
        main = cast("Coroutine[Any, Any, None]", self.get_coro())
        has_begun = inspect.getcoroutinestate(main) != inspect.CORO_CREATED
        if has_begun or not hasattr(self, "run"):  # a Ctrl-C came before it was set
            return super().cancel(msg)
        self.run.cancelled_early = True
        return True
