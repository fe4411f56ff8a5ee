"""One call of a handler: a coroutine awaited in the job's task, or a function in a thread.

A thread hands over what it raised as a value: a Future refuses StopIteration, and nothing that a
handler raises may escape into the loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from .._payload.results import discard
from .outcome import CallResult
from .threads import call_in_thread

# A coroutine with an `await` in each of some nested `finally` takes one close for each.
_CLOSE_TRIES = 10

STAYS_OPEN = "it swallows GeneratorExit too, and can hold up the exit of the process"
"""What is wrong with a coroutine that :func:`close` cannot close."""


class ThreadCall:
    """One call of a function in a thread; it resolves *done* at the end."""

    __slots__ = ("_done", "_function", "_now", "abandoned", "name", "over")

    def __init__(
        self,
        function: Callable[[], Any],
        done: asyncio.Future[CallResult],
        now: Callable[[], float],
        name: str,
    ) -> None:
        self._function = function
        self._done = done
        self._now = now
        self.name = name
        self.abandoned = False
        self.over = False

    def run(self) -> CallResult:
        """Call the function, unless it was withdrawn."""
        function = self._function
        del self._function  # an abandoned run keeps this, and the function would keep the run
        try:
            return CallResult(function(), None, self._now())
        except BaseException as error:
            return CallResult(None, error, self._now())
        finally:
            self.over = True

    def tell(self, result: CallResult) -> None:
        """Tell the loop how the call ended."""
        done = self._done
        del self._done  # it would keep the error, whose traceback has this
        if not call_threadsafe(done.get_loop(), _resolve, done, result):
            discard(result.value)

    def withdraw(self) -> None:
        """Do not begin, if there is still time; the thread is not used again."""
        self._function = _withdrawn
        self.abandoned = True


def _withdrawn() -> None:
    """Nobody waits for the call any more."""


# What runs a handler: its coroutine, awaited in the job's task, or its call in a thread.
HandlerCall = Coroutine[Any, Any, Any] | ThreadCall


def is_alive(call: HandlerCall | None) -> bool:
    """Whether the handler has yet to end."""
    if isinstance(call, ThreadCall):
        return not call.over
    return is_awaited(call)


def is_awaited(call: HandlerCall | None) -> bool:
    """Whether it is a coroutine that has yet to end."""
    return getattr(call, "cr_frame", None) is not None


def close(
    call: HandlerCall | None, context: contextvars.Context, task: asyncio.Task[None] | None
) -> bool:
    """Close a coroutine, in its own context and task; False if it resists.

    A thread cannot be ended: it counts as abandoned.
    """
    if call is None or isinstance(call, ThreadCall):
        return True
    for _ in range(_CLOSE_TRIES):
        if not is_alive(call):
            return True
        try:
            _in_turn_of(task, partial(context.run, call.close))
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: S110 - it yielded again, or raised in cleaning up
            pass
    return not is_alive(call)


def abandon(call: HandlerCall | None) -> None:
    """The job has finished without it: its thread is not used again."""
    if isinstance(call, ThreadCall):
        call.abandoned = True


def start_thread(
    function: Callable[[], Any],
    done: asyncio.Future[CallResult],
    now: Callable[[], float],
    name: str,
) -> ThreadCall:
    """Call in a daemon thread that is never joined; it resolves *done* at the end.

    Not in an executor or by ``to_thread``: the interpreter waits for their threads at exit
    (python/cpython#80961).
    """
    call = ThreadCall(partial(contextvars.copy_context().run, function), done, now, name)
    try:
        call_in_thread(call)
    except BaseException:  # a Ctrl-C: a thread may have the call, or find it when it gives up
        call.withdraw()
        raise
    return call


def _resolve(done: asyncio.Future[CallResult], result: CallResult) -> None:
    if done.done():  # it was cancelled: nobody waits any more
        discard(result.value)
    wake(done, result)


async def result_of_thread(done: asyncio.Future[CallResult]) -> CallResult:
    """What the call in a thread returned or raised, as soon as it has."""
    try:
        return await done
    except BaseException:  # cancelled from outside, perhaps in the same round
        if done.done() and not done.cancelled():
            discard(done.result().value)
        raise


def to_await_here(awaitable: Any, *, is_stopped: bool) -> Coroutine[Any, Any, Any]:
    """The awaitable that a function returned in its thread, to be awaited on the loop.

    Raises:
        CancelledError: the job was told to stop before this could begin.
    """
    if is_stopped:
        discard(awaitable)
        raise asyncio.CancelledError
    return awaitable if inspect.iscoroutine(awaitable) else _awaiting(awaitable)


async def _awaiting(awaitable: Any) -> Any:
    return await awaitable


def _in_turn_of(task: asyncio.Task[None] | None, act: Callable[[], object]) -> None:
    """Do *act* as if *task* were running.

    Without a current task, ``asyncio.timeout`` and the like raise at once instead of waiting, and
    a handler that swallows GeneratorExit would loop for ever. The functions are those that
    asyncio's documentation has for custom tasks ("Extending").
    """
    if task is None:
        act()
        return
    loop = task.get_loop()
    outer = asyncio.current_task(loop)
    try:
        try:
            _give_turn(loop, task)
            act()
        finally:
            _give_turn(loop, outer)
    finally:  # again, for a Ctrl-C that comes in the first moment
        _give_turn(loop, outer)


def _give_turn(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any] | None) -> None:
    """Make *task* the current one of *loop*, or none."""
    current = asyncio.current_task(loop)
    if current is task:
        return
    if current is not None:
        asyncio._leave_task(loop, current)
    if task is not None:
        asyncio._enter_task(loop, task)


def cancel(task: asyncio.Task[Any]) -> BaseException | None:
    """Cancel *task*; returns what that raised, as what it awaits may refuse to be cancelled."""
    try:
        task.cancel()
    except KeyboardInterrupt:
        # Its wake-up may be lost (python/cpython#83803), and asyncio.run would wait for ever.
        forget(task)
        raise
    except BaseException as error:
        return error
    return None


def forget(task: asyncio.Task[Any]) -> None:
    """Hide *task*, which cannot be woken, from ``asyncio.run``, which cancels all tasks at its end.

    Else that would raise, or wait for ever. The function is one of those that asyncio's
    documentation has for custom tasks ("Extending").
    """
    asyncio._unregister_task(task)


def wake(future: asyncio.Future[Any], value: Any = None) -> None:
    """Resolve *future*, unless it is done or its loop is closed."""
    if not future.done() and not future.get_loop().is_closed():
        future.set_result(value)


def call_later(
    loop: asyncio.AbstractEventLoop, seconds: float, callback: Callable[[], object]
) -> asyncio.TimerHandle | None:
    """Call back after *seconds*; None if the loop is closed, as a Ctrl-C may leave it."""
    if loop.is_closed():
        return None
    # No context variables: a timer would keep the caller's alive, which may be some job's.
    return loop.call_later(seconds, callback, context=contextvars.Context())


def call_threadsafe(
    loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *args: Any
) -> bool:
    """Call back on *loop*; False if it is closed by now."""
    try:
        loop.call_soon_threadsafe(callback, *args)
    except RuntimeError:
        return False
    return True
