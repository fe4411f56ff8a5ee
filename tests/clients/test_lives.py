"""What a test client's block leaves behind, and what may be done beside it."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import litestar.testing
import pytest
import starlette.testclient
from asgi_lifespan import LifespanManager

from stoat_jobs import AsyncioJobQueue, InMemoryJobQueue, JobQueueSettings, get_queue, lifespan

from ..support.apps import (
    FOREIGN,
    MISSING,
    Given,
    Life,
    as_argument,
    at_once,
    by_lifespan,
    double,
    handlers,
    on_fastapi,
    on_litestar,
    on_quart,
    on_starlette,
    on_the_app,
    released,
    result,
)


def starlette_client(*given: Any) -> Any:
    return starlette.testclient.TestClient(on_starlette(*given))


def fastapi_client(*given: Any) -> Any:
    return starlette.testclient.TestClient(on_fastapi(*given))


def litestar_client(*given: Any) -> Any:
    return litestar.testing.TestClient(on_litestar(*given))


CLIENTS = pytest.mark.parametrize(
    "open_client", [starlette_client, fastapi_client, litestar_client]
)
PORTALS = pytest.mark.parametrize("open_client", [starlette_client, fastapi_client])


class Watched:
    """A lifespan, and what it left in its event loop."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self.left: list[str] = []
        """Tasks and complaints; the client's own task that waits for the shutdown aside."""

    @asynccontextmanager
    async def __call__(self, app: Any) -> AsyncIterator[Any]:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.left.append(str(context)))
        before = asyncio.all_tasks()
        async with self._life(app) as state:
            yield state
        gc.collect()  # what a task has not told by now, it tells when it is collected
        await asyncio.sleep(0)
        left = asyncio.all_tasks() - before
        self.left += [repr(task) for task in left if "BlockingPortal" not in task.get_name()]


@pytest.fixture
def life(given: Given) -> Iterator[Watched]:
    """A lifespan that must leave neither task nor warning behind."""
    gc.freeze()  # so that collections have only this test's objects to look at
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        watched = Watched(given.life)
        yield watched
        gc.collect()
    gc.unfreeze()
    assert watched.left == []
    assert [str(each.message) for each in warned] == []


@CLIENTS
def test_nothing_is_left(open_client: Any, life: Watched, given: Given) -> None:
    """After the block of a client no task is left in its loop, and no warning was given."""
    with open_client(life, given.queue) as client:
        assert result(client) == 42


@pytest.mark.parametrize("make", [on_fastapi, on_starlette, on_litestar, on_quart])
async def test_nothing_is_left_by_a_manager(make: Any, life: Watched, given: Given) -> None:
    """After a ``LifespanManager`` none is left either, though a job was under way."""
    app = make(life, given.queue)
    async with LifespanManager(app, startup_timeout=None, shutdown_timeout=None):
        await get_queue(app).submit("double")


@CLIENTS
def test_used_twice(open_client: Any, given: Given) -> None:
    """One app can be entered by client after client; each time its jobs run."""
    client = open_client(*given)
    for _ in range(2):
        with client:
            assert result(client) == 42
    with open_client(*given) as other:
        assert result(other) == 42


@CLIENTS
def test_built_queue_goes_with_the_block(open_client: Any) -> None:
    """The queue that the lifespan built is found on the app in the block, and not after it."""
    given = by_lifespan()
    with open_client(*given) as client:
        app = client.app
        assert get_queue(app).started
    with pytest.raises(RuntimeError, match=f"{MISSING}, or it has ended"):
        get_queue(app)


@CLIENTS
def test_running_and_waiting_jobs_are_finished(open_client: Any) -> None:
    """Jobs that run or wait when the block ends are cancelled, and say so afterwards."""
    queue = AsyncioJobQueue(handlers, at_once())
    with open_client(partial(lifespan, queue=queue)) as client:
        jobs = [client.post("/never_ends").json()["job_id"] for _ in range(2)]
        statuses = [client.get(f"/jobs/{job_id}").json()["status"] for job_id in jobs]
        assert statuses == ["running", "pending"]
    records = [asyncio.run(queue.get_result(job_id)) for job_id in jobs]
    assert [(record.status, record.error_type) for record in records] == [
        ("cancelled", "Shutdown")
    ] * 2


@CLIENTS
def test_stuck_thread_is_left_behind(open_client: Any) -> None:
    """A thread that heeds nobody does not hold up the end of the block, and is counted."""
    queue = AsyncioJobQueue(handlers, at_once())
    released.clear()
    with open_client(partial(lifespan, queue=queue)) as client:
        job_id = client.post("/stuck").json()["job_id"]
    record, stats = asyncio.run(queue.get_result(job_id)), asyncio.run(queue.stats())
    assert (record.status, record.error_type, stats.abandoned) == ("cancelled", "Shutdown", 1)
    released.set()
    for thread in threading.enumerate():
        if "stuck" in thread.name:
            thread.join()
    assert asyncio.run(queue.stats()).abandoned == 0


@CLIENTS
def test_held_job_is_finished(open_client: Any) -> None:
    """A job that a memory queue holds back is settled when the block ends."""
    queue = InMemoryJobQueue(handlers, JobQueueSettings(options={"autorun": False}))
    with open_client(partial(lifespan, queue=queue)) as client:
        job_id = client.post("/double").json()["job_id"]
        assert client.get(f"/jobs/{job_id}").json()["status"] == "pending"
    record = asyncio.run(queue.get_result(job_id))
    assert (record.status, record.error_type) == ("cancelled", "Shutdown")


@pytest.mark.parametrize("way", [by_lifespan, partial(as_argument, AsyncioJobQueue)])
@PORTALS
def test_nested(open_client: Any, way: Any) -> None:
    """A client within another's block on one app is refused in words; the outer goes on."""
    outer = open_client(*way())
    with outer:
        with type(outer)(outer.app) as inner, pytest.raises(RuntimeError, match=FOREIGN):
            inner.post("/double")
        assert result(outer) == 42


@PORTALS
def test_queue_beside_the_client(open_client: Any, injected: Any) -> None:
    """``client.portal.call`` is how a test calls the queue of a running app."""
    with open_client(*on_the_app(lambda _: injected)) as client:
        call = client.portal.call
        job_id = call(injected.submit, "double", {"n": 4})
        assert call(injected.wait, job_id).result == 8
        assert call(call(double.submit, injected, 5).value) == 10
        assert call(injected.stats).by_status["completed"] == 2


@PORTALS
def test_held_job_is_run(open_client: Any) -> None:
    """A job that waits is looked at through the client, and run through its portal."""
    queue = InMemoryJobQueue(handlers, JobQueueSettings(options={"autorun": False}))
    with open_client(*on_the_app(lambda _: queue)) as client:
        job_id = client.post("/double").json()["job_id"]
        assert client.get(f"/jobs/{job_id}").json()["status"] == "pending"
        assert client.portal.call(queue.run_next).result == 42
        assert client.get(f"/jobs/{job_id}").json()["status"] == "completed"


@CLIENTS
def test_queue_called_from_the_loop_of_the_test(open_client: Any, injected: Any) -> None:
    """Called from another loop than the client's, the queue names ``client.portal.call``."""
    with open_client(*on_the_app(lambda _: injected)) as client:
        with pytest.raises(RuntimeError, match=FOREIGN + r".*client\.portal\.call"):
            asyncio.run(injected.submit("double"))
        assert result(client) == 42


@CLIENTS
def test_queue_is_read_from_the_loop_of_the_test(open_client: Any, injected: Any) -> None:
    """What only reads works in any loop, as does waiting for what is over."""
    with open_client(*on_the_app(lambda _: injected)) as client:
        job_id = client.post("/double").json()["job_id"]
        assert result(client) == 42  # so that the first is over too
        assert asyncio.run(injected.get_result(job_id)).result == 42
        assert asyncio.run(injected.wait(job_id)).result == 42
    assert asyncio.run(injected.get_status(job_id)) == "completed"
    assert len(asyncio.run(injected.list_jobs())) == 2


@CLIENTS
async def test_queue_that_the_test_runs(open_client: Any, injected: Any) -> None:
    """A queue that the test's own loop runs is refused to a client, which has another."""
    injected.handlers.include(handlers)
    async with injected:
        client = open_client(by_lifespan().life, injected)
        with client:
            if open_client is litestar_client:
                assert "outside the event loop that runs the queue" in client.post("/double").text
            else:
                with pytest.raises(RuntimeError, match=FOREIGN):
                    client.post("/double")
