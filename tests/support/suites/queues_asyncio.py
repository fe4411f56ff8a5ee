"""pytest-asyncio in both of its modes: in auto mode only what is unusual is marked."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio

from stoat_jobs import AsyncioJobQueue, InMemoryJobQueue, JobBackend

from .doubling import KINDS, create_app, double, double_in_thread, doubled, handlers, serving

AUTO = os.environ["ASYNCIO_MODE"] == "auto"
fixture: Callable[..., Callable[..., Any]] = pytest.fixture if AUTO else pytest_asyncio.fixture
pytestmark = [] if AUTO else [pytest.mark.asyncio]


@fixture(params=KINDS)
async def queue(request: pytest.FixtureRequest) -> AsyncIterator[JobBackend]:
    async with request.param(handlers) as queue:
        yield queue


@fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with serving(create_app()) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=KINDS)
async def shared(request: pytest.FixtureRequest) -> AsyncIterator[JobBackend]:
    async with request.param(handlers) as queue:
        yield queue


async def test_fixture(queue: JobBackend) -> None:
    """A queue that a fixture starts serves the test, and is stopped after it."""
    assert await doubled(queue) == 42
    assert await doubled(queue, double_in_thread) == 42


async def test_client(client: httpx.AsyncClient) -> None:
    """So does an app that a fixture starts."""
    assert (await client.post("/double")).json() == 42


async def test_memory_unstarted() -> None:
    """A memory queue need not be started."""
    assert await doubled(InMemoryJobQueue(handlers)) == 42


@pytest.mark.asyncio(loop_scope="module")
async def test_shared_first(shared: JobBackend) -> None:
    """A queue of the whole module serves each test that runs in the module's loop."""
    assert await doubled(shared) == 42


@pytest.mark.asyncio(loop_scope="module")
async def test_shared_again(shared: JobBackend) -> None:
    """It serves the next one as well."""
    assert await doubled(shared, double_in_thread) == 42


async def test_other_loop(shared: JobBackend) -> None:
    """Fails: the queue runs in the module's loop, and the test in one of its own."""
    await doubled(shared)


async def test_unstarted() -> None:
    """Fails: nothing starts the queue."""
    await double.submit(AsyncioJobQueue(handlers), n=21)
