"""The task that a job runs in."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any


@coroutine
def first_step() -> Generator[None, None, None]:
    """The first await of a job's coroutine, which is driven this far before it gets a task.

    If a task is cancelled before its first step, its coroutine never runs at all: the job and its
    slot would be lost. This coroutine has begun, so that it can catch the cancel.
    """
    yield


def spawn(
    main: Coroutine[Any, Any, None],
    loop: asyncio.AbstractEventLoop,
    name: str,
    context: contextvars.Context,
) -> asyncio.Task[None]:
    """A task for *main* in *context*.

    Not ``loop.create_task``: with an eager task factory the handler would run inside ``submit``,
    and each job inside the one that handed its slot on.
    """
    return asyncio.Task(main, loop=loop, name=name, context=context)
