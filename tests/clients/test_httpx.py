"""httpx's ``ASGITransport``, alone and with asgi-lifespan."""

from __future__ import annotations

from typing import Any

import pytest

from stoat_jobs import (
    AsyncioJobQueue,
    BackendNotFoundError,
    InMemoryJobQueue,
    JobQueueSettings,
    lifespan,
)

from ..support import SAFETY_NET
from ..support.apps import (
    NOT_STARTED,
    Given,
    bare,
    by_lifespan,
    handlers,
    on_fastapi,
    on_litestar,
    on_quart,
    on_starlette,
    on_the_app,
    remedy,
    result_async,
)
from ..support.apps import wrapped_quart as on_wrapped_quart
from ..support.serving import calling, serving

MAKERS = pytest.mark.parametrize("make", [on_fastapi, on_starlette, on_litestar, on_quart])
RAISING = pytest.mark.parametrize("make", [on_fastapi, on_starlette])
WRAPPED = pytest.mark.parametrize("make", [bare, on_wrapped_quart])
MANAGER = "LifespanManager around an httpx client"


@MAKERS
async def test_lifespan_manager(make: Any, given: Given) -> None:
    """In a ``LifespanManager`` jobs run, whichever way the app gets its queue."""
    async with serving(make(*given)) as client:
        assert await result_async(client) == 42


@MAKERS
async def test_lifespan_manager_unaided(make: Any, given: Given) -> None:
    """The queue is where the framework keeps such things, too."""
    async with serving(make(*given)) as client:
        assert await result_async(client, "/unaided") == 42


@RAISING
async def test_without_lifespan(make: Any, without_a_queue: Given) -> None:
    """``ASGITransport`` runs no lifespan: the error says what does."""
    async with calling(make(*without_a_queue)) as client:
        with pytest.raises(RuntimeError, match=remedy(MANAGER)):
            await client.post("/double")


async def test_without_lifespan_litestar(without_a_queue: Given) -> None:
    """Litestar in debug mode answers with that error."""
    async with calling(on_litestar(*without_a_queue)) as client:
        answer = await client.post("/double")
    assert answer.status_code == 500
    assert MANAGER in answer.text


async def test_without_lifespan_quart(
    without_a_queue: Given, caplog: pytest.LogCaptureFixture
) -> None:
    """Quart logs that error."""
    async with calling(on_quart(*without_a_queue)) as client:
        assert (await client.post("/double")).status_code == 500
    assert MANAGER in caplog.text


@MAKERS
async def test_without_lifespan_on_the_app_memory(make: Any) -> None:
    """A memory queue that is on the app needs no lifespan."""
    async with calling(make(*on_the_app(InMemoryJobQueue))) as client:
        assert [await result_async(client) for _ in range(2)] == [42, 42]


@MAKERS
async def test_without_lifespan_on_the_app_asyncio(make: Any) -> None:
    """An asyncio queue that is on the app keeps the jobs, and says once what would start it."""
    given = on_the_app(AsyncioJobQueue)
    async with calling(make(*given)) as client:
        with pytest.warns(RuntimeWarning, match=NOT_STARTED) as warned:
            answers = [(await client.post("/double")).json() for _ in range(2)]
        assert len(warned) == 1
        for answer in answers:
            record = (await client.get(f"/jobs/{answer['job_id']}")).json()
            assert record["status"] == "pending"


@MAKERS
async def test_queue_that_the_test_runs(make: Any, injected: Any) -> None:
    """A queue that the test itself runs is used without a lifespan: all are in one loop."""
    injected.handlers.include(handlers)
    async with injected, calling(make(by_lifespan().life, injected)) as client:
        assert await result_async(client) == 42


@MAKERS
async def test_queue_is_in_the_loop_of_the_test(make: Any) -> None:
    """The test may call the queue itself, and wait for a job on it."""
    queue = AsyncioJobQueue()
    async with serving(make(by_lifespan().life, queue)) as client:
        job_id = (await client.post("/double")).json()["job_id"]
        assert (await queue.wait(job_id, SAFETY_NET)).result == 42


@WRAPPED
async def test_with_jobs(make: Any, queue: Any) -> None:
    """An app in ``with_jobs`` is served in a ``LifespanManager``."""
    async with serving(make(queue)) as client:
        assert await result_async(client) == 42


@WRAPPED
async def test_with_jobs_without_lifespan_memory(make: Any) -> None:
    """A memory queue handed to ``with_jobs`` needs no lifespan."""
    async with calling(make(InMemoryJobQueue(handlers))) as client:
        assert await result_async(client) == 42


async def test_with_jobs_without_lifespan() -> None:
    """Without a queue, ``with_jobs`` and no lifespan have the same error as any other app."""
    async with calling(bare()) as client:
        with pytest.raises(RuntimeError, match=remedy(MANAGER)):
            await client.post("/double")


@RAISING
async def test_backend_that_is_not_there(make: Any) -> None:
    """A start that fails is raised by ``LifespanManager``, as it is."""

    def life(app: Any) -> Any:
        return lifespan(app, settings=JobQueueSettings(backend="post"))

    with pytest.raises(BackendNotFoundError, match="no backend 'post'; installed: .*memory"):
        await serving(make(life)).__aenter__()
