"""anyio's plugin, which runs each test on asyncio and on trio, unless it is told to use one."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from stoat_jobs import InMemoryJobQueue, JobBackend

from .doubling import KINDS, create_app, double_in_thread, doubled, handlers, serving

pytestmark = pytest.mark.anyio

if backend := os.environ.get("ANYIO_BACKEND"):

    @pytest.fixture(scope="module")
    def anyio_backend() -> str | None:
        return backend


@pytest.fixture(params=KINDS)
async def queue(request: pytest.FixtureRequest, anyio_backend: Any) -> AsyncIterator[JobBackend]:
    async with request.param(handlers) as queue:
        yield queue


@pytest.fixture
async def client(anyio_backend: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(create_app()) as client:
        yield client


@pytest.fixture(scope="module", params=KINDS)
async def shared(request: pytest.FixtureRequest, anyio_backend: Any) -> AsyncIterator[JobBackend]:
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


async def test_shared_first(shared: JobBackend) -> None:
    """A queue of the whole module serves each test: anyio has one loop for them all."""
    assert await doubled(shared) == 42


async def test_shared_again(shared: JobBackend) -> None:
    """It serves the next one as well."""
    assert await doubled(shared, double_in_thread) == 42
