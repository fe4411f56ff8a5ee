"""One call of a handler: a coroutine awaited in the job's task, or a thread of its own.

Either reports its end as a value, whatever it was: a Future refuses StopIteration, and
nothing a handler raises may escape into the loop. ``KeyboardInterrupt`` on the loop's
thread alone passes, since it is the user's and not the job's.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

from ._outcome import Ended

# A coroutine with an `await` in each of some nested `finally` takes one close for each.
_CLOSE_TRIES = 10


class HandlerCall(Protocol):
    """What a job's run needs of the call it is in."""

    @property
    def alive(self) -> bool:
        """Whether the handler has yet to end."""
        ...

    async def ended(self) -> Ended:
        """Call the handler, and how that ended."""
        ...

    def close(self, context: contextvars.Context, task: asyncio.Task[None] | None) -> bool:
        """End the handler without its help, in its own context and task; False if it resists."""
        ...


class CoroutineCall:
    """A call of an ``async`` handler."""

    __slots__ = ("_call", "_coro", "_now")

    def __init__(self, call: Callable[[], Coroutine[Any, Any, Any]], now: Callable[[], float]):
        self._call = call
        self._now = now
        self._coro: Coroutine[Any, Any, Any] | None = None

    @property
    def alive(self) -> bool:
        return self._coro is not None and getattr(self._coro, "cr_frame", None) is not None

    async def ended(self) -> Ended:
        try:
            self._coro = self._call()
            value = await self._coro
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return Ended(None, error, self._now())
        return Ended(value, None, self._now())

    def close(self, context: contextvars.Context, task: asyncio.Task[None] | None) -> bool:
        for _ in range(_CLOSE_TRIES):
            if self._coro is None or not self.alive:
                return True
            with _turn_of(task):
                try:
                    context.run(self._coro.close)
                except KeyboardInterrupt:
                    raise
                except BaseException:  # noqa: S110 - it yielded again, or raised in cleaning up
                    pass
        return not self.alive


class ThreadCall:
    """A call of a sync handler, in a daemon thread that nobody ever joins.

    Neither an executor nor ``to_thread``: the interpreter waits for their threads at exit.
    """

    __slots__ = ("_call", "_loop", "_name", "_now", "_thread")

    def __init__(
        self,
        call: Callable[[], Any],
        now: Callable[[], float],
        loop: asyncio.AbstractEventLoop,
        name: str,
    ) -> None:
        self._call = call
        self._now = now
        self._loop = loop
        self._name = name
        self._thread: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    async def ended(self) -> Ended:
        done: asyncio.Future[Ended] = self._loop.create_future()
        call = partial(contextvars.copy_context().run, self._call)
        self._thread = threading.Thread(
            target=self._main, args=(call, done), name=self._name, daemon=True
        )
        self._thread.start()
        return await done

    def close(self, context: contextvars.Context, task: asyncio.Task[None] | None) -> bool:
        return True  # a thread cannot be ended; it counts as abandoned

    def _main(self, call: Callable[[], Any], done: asyncio.Future[Ended]) -> None:
        try:
            ended = Ended(_plain(call()), None, self._now())
        except BaseException as error:
            ended = Ended(None, error, self._now())
        call_threadsafe(self._loop, wake, done, ended)
        del ended  # its error has this frame in its traceback: a cycle, and the handler's locals


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
