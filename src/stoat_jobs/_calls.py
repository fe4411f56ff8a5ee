"""One call of a handler: a coroutine awaited in the job's task, or a thread of its own.

A thread reports its end as a value, whatever it was: a Future refuses StopIteration, and
nothing a handler raises may escape into the loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from ._outcome import Ended
from ._results import discard

# A coroutine with an `await` in each of some nested `finally` takes one close for each.
_CLOSE_TRIES = 10


# What runs a handler: its coroutine, awaited in the job's task, or a thread of its own.
HandlerCall = Coroutine[Any, Any, Any] | threading.Thread


def is_alive(call: HandlerCall | None) -> bool:
    """Whether the handler has yet to end."""
    if isinstance(call, threading.Thread):
        return call.is_alive()
    return is_awaited(call)


def is_awaited(call: HandlerCall | None) -> bool:
    """Whether it is a coroutine that has yet to end."""
    return getattr(call, "cr_frame", None) is not None


def close(
    call: HandlerCall | None, context: contextvars.Context, task: asyncio.Task[None] | None
) -> bool:
    """End a coroutine without its help, in its own context and task; False if it resists.

    A thread cannot be ended: it counts as abandoned.
    """
    if call is None or isinstance(call, threading.Thread):
        return True
    for _ in range(_CLOSE_TRIES):
        if not is_alive(call):
            return True
        with _turn_of(task):
            try:
                context.run(call.close)
            except KeyboardInterrupt:
                raise
            except BaseException:  # noqa: S110 - it yielded again, or raised in cleaning up
                pass
    return not is_alive(call)


def start_thread(
    call: Callable[[], Any], done: asyncio.Future[Ended], now: Callable[[], float], name: str
) -> threading.Thread:
    """Call in a daemon thread that nobody ever joins, which resolves *done* at the end.

    Neither an executor nor ``to_thread``: the interpreter waits for their threads at exit.
    """
    call = partial(contextvars.copy_context().run, call)
    thread = threading.Thread(target=_in_thread, args=(call, done, now), name=name, daemon=True)
    thread.start()
    return thread


def _in_thread(
    call: Callable[[], Any], done: asyncio.Future[Ended], now: Callable[[], float]
) -> None:
    try:
        ended = Ended(call(), None, now())
    except BaseException as error:
        ended = Ended(None, error, now())
    if not call_threadsafe(done.get_loop(), _hand_over, done, ended):
        discard(ended.value)
    del ended  # its error has this frame in its traceback: a cycle, and the handler's locals


def _hand_over(done: asyncio.Future[Ended], ended: Ended) -> None:
    if done.done():  # nobody waits for it any more
        discard(ended.value)
    wake(done, ended)


async def handed_back(done: asyncio.Future[Ended]) -> Ended:
    """How a thread ended, as soon as it has."""
    try:
        return await done
    except BaseException:  # cancelled from outside, perhaps in the same round
        if done.done() and not done.cancelled():
            discard(done.result().value)
        raise


def taken_over(awaitable: Any, *, is_stopped: bool) -> Coroutine[Any, Any, Any]:
    """What a thread handed back, to be awaited in its place.

    Raises:
        CancelledError: the job was told to stop before this could begin.
    """
    if is_stopped:
        discard(awaitable)
        raise asyncio.CancelledError
    return awaitable if inspect.iscoroutine(awaitable) else _awaiting(awaitable)


async def _awaiting(awaitable: Any) -> Any:
    return await awaitable


@contextmanager
def _turn_of(task: asyncio.Task[None] | None) -> Iterator[None]:
    """As if it were the turn of *task*.

    Without a current task ``asyncio.timeout`` and its like raise at once instead of waiting,
    and a handler that swallows what it is closed with would loop for ever.
    """
    if task is None:
        yield
        return
    loop = task.get_loop()
    outer = asyncio.current_task(loop)
    if outer is not None:
        asyncio.tasks._leave_task(loop, outer)
    asyncio.tasks._enter_task(loop, task)
    try:
        yield
    finally:
        asyncio.tasks._leave_task(loop, task)
        if outer is not None:
            asyncio.tasks._enter_task(loop, outer)


def wake(future: asyncio.Future[Any], value: Any = None) -> None:
    """Resolve *future*, if anybody is left to care."""
    if not future.done() and not future.get_loop().is_closed():
        future.set_result(value)


def call_threadsafe(
    loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *args: Any
) -> bool:
    """Call back on *loop*; False if it was closed while the thread ran on."""
    try:
        loop.call_soon_threadsafe(callback, *args)
    except RuntimeError:
        return False
    return True
