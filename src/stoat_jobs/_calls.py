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

# A coroutine with an `await` in each of some nested `finally` takes one close for each.
_CLOSE_TRIES = 10


# What runs a handler: its coroutine, awaited in the job's task, or a thread of its own.
HandlerCall = Coroutine[Any, Any, Any] | threading.Thread


def is_alive(call: HandlerCall | None) -> bool:
    """Whether the handler has yet to end."""
    if isinstance(call, threading.Thread):
        return call.is_alive()
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
        ended = Ended(_plain(call()), None, now())
    except BaseException as error:
        ended = Ended(None, error, now())
    call_threadsafe(done.get_loop(), wake, done, ended)
    del ended  # its error has this frame in its traceback: a cycle, and the handler's locals


@contextmanager
def _turn_of(task: asyncio.Task[None] | None) -> Iterator[None]:
    """As if it were the turn of *task*.

    Without a current task ``asyncio.timeout`` and its like raise at once instead of waiting,
    and a handler that swallows what it is closed with would loop for ever. The functions are
    those that asyncio's documentation has for tasks of other makes ("Extending").
    """
    if task is None:
        yield
        return
    loop = task.get_loop()
    outer = asyncio.current_task(loop)
    if outer is not None:
        asyncio._leave_task(loop, outer)
    asyncio._enter_task(loop, task)
    try:
        yield
    finally:
        asyncio._leave_task(loop, task)
        if outer is not None:
            asyncio._enter_task(loop, outer)


def cancel(task: asyncio.Task[Any]) -> BaseException | None:
    """Cancel *task*; gives what that raised: what it awaits may not be ours, and refuse."""
    try:
        task.cancel()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return error
    return None


def forget(task: asyncio.Task[None]) -> None:
    """Leave out *task*, which nobody can wake, of those that ``asyncio.run`` cancels at its end.

    It would raise what cancelling it raises. The function is one of those that asyncio's
    documentation has for tasks of other makes ("Extending").
    """
    asyncio._unregister_task(task)


def _plain(value: Any) -> Any:
    if inspect.iscoroutine(value):
        value.close()
        raise TypeError("the handler returned a coroutine: register the async function itself")
    return value


def wake(future: asyncio.Future[Any], value: Any = None) -> None:
    """Resolve *future*, if anybody is left to care."""
    if not future.done() and not future.get_loop().is_closed():
        future.set_result(value)


def call_threadsafe(
    loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *args: Any
) -> None:
    """Call back on *loop*; nothing if it was closed while the thread ran on."""
    try:
        loop.call_soon_threadsafe(callback, *args)
    except RuntimeError:
        return
