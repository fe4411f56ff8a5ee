"""Handlers that are not coroutine functions, and hand back what is to be awaited."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

import pytest

from stoat_jobs import AsyncioJobQueue, InMemoryJobQueue, JobContext, JobHandlers, JobStatus
from stoat_jobs._run.calls import result_of_thread, start_thread, to_await_here
from stoat_jobs.backends import CallResult

from ..support.threads import own_threads


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


async def add(ctx: JobContext, n: int) -> int:
    return n + 1


class Later:
    """Something to await that is no coroutine."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __await__(self) -> Generator[Any, None, int]:
        yield from asyncio.sleep(0).__await__()
        return self.n + 1


class Adder:
    @wrapped
    async def method(self, ctx: JobContext, n: int) -> int:
        return n + 1

    def __call__(self, ctx: JobContext, n: int) -> Any:
        return self.method(ctx, n)


def not_async(ctx: JobContext, n: int) -> Awaitable[int]:
    return add(ctx, n)


def not_always(ctx: JobContext, n: int) -> int | Coroutine[Any, Any, int]:
    return add(ctx, n)


def own_kind(ctx: JobContext, n: int) -> Any:
    return Later(n)


def runs_it_itself(function: Callable[..., Any]) -> Callable[..., Any]:
    """As decorators do that make async functions plain ones."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return asyncio.run(function(*args, **kwargs))

    return wrapper


def awaits_it(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return wrapper


HANDLERS: dict[str, Callable[..., Any]] = {
    "wrapped": wrapped(add),
    "wrapped twice": wrapped(wrapped(add)),
    "an async wrapper inside": wrapped(awaits_it(wrapped(add))),
    "a plain wrapper inside": awaits_it(wrapped(add)),
    "partial": functools.partial(wrapped(add)),
    "partial inside": wrapped(functools.partial(add)),
    "method": Adder().method,
    "object": Adder(),
    "cached": functools.lru_cache(add),
    "lambda": wrapped(lambda ctx, n: Later(n)),
    "annotated Awaitable": not_async,
    "annotated as both": not_always,
    "own kind": own_kind,
    "runs it itself": runs_it_itself(add),
}


@pytest.mark.parametrize("queue_class", [AsyncioJobQueue, InMemoryJobQueue])
@pytest.mark.parametrize("case", HANDLERS)
async def test_whatever_hides_that_a_function_is_async_serves__fault_63(
    case: str, queue_class: type[AsyncioJobQueue | InMemoryJobQueue]
) -> None:
    """What a handler hands back is awaited, so that no decorator makes a job fail."""
    handlers = JobHandlers()
    handlers.register("it", HANDLERS[case])
    async with queue_class(handlers) as queue:
        record = await queue.wait(await queue.submit("it", {"n": 2}))
    assert (record.status, record.result, record.error) == (JobStatus.COMPLETED, 3, None)


async def test_each_attempt_of_a_wrapped_function_is_awaited__fault_63() -> None:
    """A wrapped async function that raises is tried again as any other."""
    handlers, threads = JobHandlers(), []

    async def fails_once(ctx: JobContext) -> int:
        threads.append(threading.current_thread())
        if not ctx.attempt:
            raise ValueError
        return ctx.attempt

    handlers.register("it", wrapped(fails_once), retries=1)
    queue = InMemoryJobQueue(handlers)
    record = await queue.get_result(await queue.submit("it", {}))
    assert (record.status, record.result) == (JobStatus.COMPLETED, 1)
    assert threads == [threading.current_thread()] * 2


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (int, int),
        (Awaitable[int], int),
        (Coroutine[Any, Any, list[int]], list[int]),
        (asyncio.Future[int], int),
        (int | Awaitable[str], int | str),
        (Awaitable, Awaitable),
        (inspect.Signature.empty, Any),
    ],
    ids=str,
)
def test_the_result_is_what_comes_of_awaiting__fault_63(annotation: Any, expected: Any) -> None:
    """A handler annotated with something to await declares what that gives."""

    def handler(ctx: JobContext) -> Any: ...

    handler.__annotations__["return"] = annotation
    if annotation is inspect.Signature.empty:
        del handler.__annotations__["return"]
    assert JobHandlers().register("it", handler).result_type == expected


async def unawaited() -> int:
    return 1


def is_closed(coroutine: Any) -> bool:
    return inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


async def test_what_comes_after_the_stop_is_closed__fault_63() -> None:
    """Nothing is begun for a job that was told to stop, and no RuntimeWarning complains."""
    coroutine = unawaited()
    with pytest.raises(asyncio.CancelledError):
        await to_await_here(coroutine, is_stopped=True)
    assert is_closed(coroutine)


async def test_what_comes_when_nobody_waits_any_more_is_closed__fault_63() -> None:
    """A thread that hands back a coroutine to a job that was given up leaves nothing."""
    done: asyncio.Future[CallResult] = asyncio.get_running_loop().create_future()
    done.cancel()
    coroutine = unawaited()
    with own_threads():
        start_thread(lambda: coroutine, done, float, "it")
    await asyncio.sleep(0)
    assert is_closed(coroutine)


async def test_what_comes_with_a_cancel_from_outside_is_closed__fault_63() -> None:
    """A task that is cancelled in the round of its thread's end leaves no coroutine."""
    done: asyncio.Future[CallResult] = asyncio.get_running_loop().create_future()
    coroutine = unawaited()
    task = asyncio.ensure_future(result_of_thread(done))
    await asyncio.sleep(0)
    done.set_result(CallResult(coroutine, None, 0.0))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert is_closed(coroutine)


def test_what_comes_when_the_loop_is_closed_is_closed__fault_63() -> None:
    """A thread that outlives its event loop leaves no coroutine either."""
    loop = asyncio.new_event_loop()
    done: asyncio.Future[CallResult] = loop.create_future()
    loop.close()
    coroutine = unawaited()
    with own_threads():
        start_thread(lambda: coroutine, done, float, "it")
    gc.collect()
    assert is_closed(coroutine)
