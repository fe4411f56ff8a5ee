"""The task that a job runs in."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any


@coroutine
def first_step() -> Generator[None, None, None]:
    """Where a new coroutine is before its task's first step.

    A task that is cancelled before its first step throws into a coroutine that has not
    begun, and nothing of it ever runs: the job and its slot would be lost. This one has
    begun, so that it catches the cancel.
    """
    yield


def spawn(
    main: Coroutine[Any, Any, None],
    loop: asyncio.AbstractEventLoop,
    name: str,
    context: contextvars.Context,
) -> asyncio.Task[None]:
    """A task for *main* in *context*.

    Not ``loop.create_task``: an eager task factory would run the handler inside ``submit``,
    and jobs that hand on their slots would run inside each other.
    """
    return asyncio.Task(main, loop=loop, name=name, context=context)
