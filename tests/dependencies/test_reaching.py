"""How a handler reaches its app, its queue, and services made when the app starts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from fastapi import FastAPI

from stoat_jobs import (
    AsyncioJobQueue,
    InMemoryJobQueue,
    JobContext,
    JobHandlers,
    JobQueueSettings,
    JobStatus,
    get_queue,
    lifespan,
)
from stoat_jobs.testing import FakeClockLoop, run_with_fake_clock

from ..support import SAFETY_NET
from ..support.serving import serving

handlers = JobHandlers()


@handlers.job
async def greet(ctx: JobContext, name: str) -> str:
    return f"{ctx.app.state.greeting}, {name}!"


@handlers.job
async def greet_later(ctx: JobContext, name: str) -> str:
    """Leaves the work to a job of its own and gives its id."""
    return (await greet.submit(ctx.queue, name=name)).job_id


@handlers.job
def greet_later_from_thread(ctx: JobContext, name: str) -> str:
    job_id: str = ctx.from_thread(ctx.queue.submit, "greet", {"name": name})
    return job_id


@handlers.job
async def greet_now(ctx: JobContext, name: str) -> str:
    """Does the work in this job."""
    return await greet(ctx, name)


@handlers.job(timeout=60)
async def greet_and_wait(ctx: JobContext, name: str) -> str:
    """Waits for the other job in its own slot."""
    return await (await greet.submit(ctx.queue, name=name)).value()


def greeting_app(lifespan: Any) -> FastAPI:
    app = FastAPI(lifespan=lifespan)
    app.state.greeting = "Hello"
    return app


@pytest.mark.parametrize("first", [greet_later, greet_later_from_thread])
async def test_follow_up_job(first: Any) -> None:
    """A handler submits a job to the queue that runs it, which starts when a slot is free."""
    app = greeting_app(partial(lifespan, queue=AsyncioJobQueue(handlers)))
    async with serving(app):
        queue = get_queue(app)
        follow_up = await (await first.submit(queue, name="Ada")).value(SAFETY_NET)
        assert (await queue.wait(follow_up, SAFETY_NET)).result == "Hello, Ada!"


async def test_follow_up_in_the_same_job() -> None:
    """A handler calls another as a function, with the context it has itself."""
    app = greeting_app(partial(lifespan, queue=AsyncioJobQueue(handlers)))
    async with serving(app):
        ref = await greet_now.submit(get_queue(app), name="Ada")
        assert await ref.value(SAFETY_NET) == "Hello, Ada!"


async def _wait_in_the_slot(concurrency: int) -> tuple[JobStatus, JobStatus]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, FakeClockLoop)
    queue = AsyncioJobQueue(handlers, JobQueueSettings(concurrency=concurrency))
    async with lifespan(greeting_app(None), queue=queue):
        await loop.drive((await greet_and_wait.submit(queue, name="Ada")).wait())
        follow_up, waiting = await queue.list_jobs()
        return waiting.status, (await loop.drive(queue.wait(follow_up.job_id))).status


def test_waiting_for_a_follow_up_needs_a_second_slot() -> None:
    """With one slot a handler that waits for a job it submitted waits for its own time limit."""
    completed, timeout = JobStatus.COMPLETED, JobStatus.TIMEOUT
    assert run_with_fake_clock(_wait_in_the_slot(1)) == (timeout, completed)
    assert run_with_fake_clock(_wait_in_the_slot(2)) == (completed, completed)


async def test_waiting_for_a_follow_up_is_an_error_in_a_test() -> None:
    """The memory backend says at once that such a handler would wait for itself."""
    app = greeting_app(partial(lifespan, queue=InMemoryJobQueue(handlers)))
    async with serving(app):
        record = await (await greet_and_wait.submit(get_queue(app), name="Ada")).wait()
    assert (record.status, record.error_type) == (JobStatus.FAILED, "RuntimeError")
    assert "deadlock" in str(record.error)


class Greeter:
    """A service with a job type of its own."""

    def __init__(self, greeting: str, handlers: JobHandlers) -> None:
        self.greeting = greeting
        self.greet = handlers.register("service_greet", self._greet)

    def _greet(self, ctx: JobContext, name: str) -> str:
        return f"{self.greeting}, {name}!"


@asynccontextmanager
async def registering_anew(app: FastAPI) -> AsyncIterator[None]:
    """A registry for each start, which takes in what the module has."""
    own = JobHandlers()
    own.include(handlers)
    app.state.greeter = Greeter("Good day", own)
    async with lifespan(app, handlers=own):
        yield


@asynccontextmanager
async def registering_again(app: FastAPI) -> AsyncIterator[None]:
    """One registry for all starts."""
    app.state.shared = getattr(app.state, "shared", JobHandlers())
    app.state.greeter = Greeter("Good day", app.state.shared)
    async with lifespan(app, handlers=app.state.shared):
        yield


async def _greeted(app: FastAPI) -> str:
    async with serving(app):
        greeter: Greeter = app.state.greeter
        ref = await greeter.greet.submit(get_queue(app), name="Ada")
        return await ref.value(SAFETY_NET)


async def test_service_made_at_each_start() -> None:
    """A bound method is registered in the app's lifespan, and anew each time the app starts."""
    app = FastAPI(lifespan=registering_anew)
    assert [await _greeted(app), await _greeted(app)] == ["Good day, Ada!"] * 2


async def test_service_registered_twice_with_one_registry() -> None:
    """With one registry for all starts, the second start says that the name is taken."""
    app = FastAPI(lifespan=registering_again)
    assert await _greeted(app) == "Good day, Ada!"
    with pytest.raises(ValueError, match="'service_greet' is registered already"):
        await _greeted(app)


async def test_closure_registered_late() -> None:
    """A closure may be registered after the queue has started."""
    late = JobHandlers()
    app = FastAPI(lifespan=partial(lifespan, queue=AsyncioJobQueue(late)))
    async with serving(app):
        suffix = "?"

        async def ask(ctx: JobContext, text: str) -> str:
            return text + suffix

        asking = late.register("ask", ask)
        assert await (await asking.submit(get_queue(app), text="Why")).value(SAFETY_NET) == "Why?"


@asynccontextmanager
async def with_lifespan_state(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    async with lifespan(app, queue=AsyncioJobQueue(handlers)) as state:
        yield {**state, "greeting": "Hello"}


async def test_lifespan_state_is_for_requests() -> None:
    """What a lifespan yields is seen by requests, not by handlers, which have app.state."""
    app = FastAPI(lifespan=with_lifespan_state)
    async with serving(app):
        ref = await greet.submit(get_queue(app), name="Ada")
        record = await ref.wait(SAFETY_NET)
    assert (record.status, record.error_type) == (JobStatus.FAILED, "AttributeError")
