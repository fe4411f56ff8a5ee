"""Quart's test client, with ``async with app.test_app()`` and without."""

from __future__ import annotations

from typing import Any

import pytest
from quart.testing.app import LifespanError

from stoat_jobs import (
    AsyncioJobQueue,
    InMemoryJobQueue,
    JobQueueSettings,
    lifespan,
)

from ..support import SAFETY_NET
from ..support.apps import (
    NOT_STARTED,
    Given,
    by_lifespan,
    handlers,
    on_quart,
    on_the_app,
    wrapped_quart,
)

TEST_APP = "`async with app.test_app():`"


async def started(app: Any, path: str = "/double") -> str:
    """The id of a job that the test client of *app* starts."""
    answer = await app.test_client().post(path)
    assert answer.status_code == 200
    job_id: str = (await answer.get_json())["job_id"]
    return job_id


async def result(app: Any, path: str = "/double") -> Any:
    """The result of a job that the test client of *app* starts and reads."""
    answer = await app.test_client().get(f"/jobs/{await started(app, path)}/end")
    return (await answer.get_json(force=True))["result"]


@pytest.mark.parametrize("path", ["/double", "/unaided"])
async def test_test_app(path: str, given: Given) -> None:
    """In ``async with app.test_app()`` jobs run, whichever way the app gets its queue."""
    async with on_quart(*given).test_app() as app:
        assert await result(app, path) == 42


async def test_without_test_app(without_a_queue: Given, caplog: pytest.LogCaptureFixture) -> None:
    """Without it no lifespan runs: the answer is 500, and the log says what to write."""
    answer = await on_quart(*without_a_queue).test_client().post("/double")
    assert answer.status_code == 500
    assert TEST_APP in caplog.text


async def test_without_test_app_and_unaided(
    without_a_queue: Given, caplog: pytest.LogCaptureFixture
) -> None:
    """The dictionary's own error, which `get_queue` spares the reader, names the missing queue."""
    answer = await on_quart(*without_a_queue).test_client().post("/unaided")
    assert answer.status_code == 500
    assert "KeyError: 'job_queue'" in caplog.text


async def test_without_test_app_memory() -> None:
    """A memory queue in ``app.extensions`` needs no lifespan."""
    app = on_quart(*on_the_app(InMemoryJobQueue))
    assert [await result(app), await result(app)] == [42, 42]


async def test_without_test_app_asyncio() -> None:
    """An asyncio queue in ``app.extensions`` keeps the jobs, and says once what would start it."""
    given = on_the_app(AsyncioJobQueue)
    app = on_quart(*given)
    with pytest.warns(RuntimeWarning, match=NOT_STARTED) as warned:
        jobs = [await started(app) for _ in range(2)]
    assert len(warned) == 1
    assert given.queue is not None
    assert [await given.queue.get_status(job_id) for job_id in jobs] == ["pending", "pending"]


async def test_queue_is_in_the_loop_of_the_test() -> None:
    """The test may call the queue itself, and wait for a job on it."""
    queue = AsyncioJobQueue()
    async with on_quart(by_lifespan().life, queue).test_app() as app:
        assert (await queue.wait(await started(app), SAFETY_NET)).result == 42


async def test_backend_that_is_not_there() -> None:
    """A start that fails is raised by the ``async with``, in words, as Quart's own error."""

    def life(app: Any) -> Any:
        return lifespan(app, settings=JobQueueSettings(backend="post"))

    with pytest.raises(LifespanError, match="no backend 'post'; installed: .*memory"):
        await on_quart(life).test_app().__aenter__()


async def test_with_jobs_started_again_and_again(queue: Any) -> None:
    """A Quart app in ``with_jobs`` can be started again, and `get_queue` takes its request."""
    quart = wrapped_quart(queue)
    for _ in range(2):
        async with quart.test_app() as app:
            assert await result(app) == 42


async def test_with_jobs_without_test_app() -> None:
    """A memory queue handed to ``with_jobs`` needs no lifespan."""
    assert await result(wrapped_quart(InMemoryJobQueue(handlers))) == 42
