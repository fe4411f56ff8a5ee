"""What the README and the page on frameworks say of Quart and Litestar."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

import pytest
from hypercorn.middleware import DispatcherMiddleware
from litestar import Litestar
from litestar.handlers import asgi
from quart import Quart, current_app, request
from starlette.applications import Starlette

from stoat_jobs import JobBackend, get_queue, lifespan, with_jobs
from stoat_jobs.http import jobs_app

from ..support.mounted import SETTINGS, Works
from .test_embedding import client_of


@pytest.fixture
async def works() -> Works:
    return Works(SETTINGS)


def beside(site: Any, **options: Any) -> Any:
    """Quart and the jobs, side by side."""
    return DispatcherMiddleware({"/jobs": jobs_app(**options), "": site})


def quart_with_its_own(queue: JobBackend) -> Quart:
    site = Quart("site")

    @site.while_serving
    async def jobs() -> AsyncGenerator[None, None]:
        async with lifespan(site, queue=queue):
            yield

    return site


def test_who_can_mount() -> None:
    """`app.mount` is of Starlette and FastAPI: Quart and Litestar have none."""
    assert hasattr(Starlette(), "mount")
    assert not hasattr(Quart("site"), "mount")
    assert not hasattr(Litestar([], logging_config=None), "mount")


async def test_litestar_needs_to_be_told(works: Works) -> None:
    """Litestar finds what is below /jobs only where its handler is a mount."""
    for is_mount, status in ((True, 200), (False, 404)):
        handler = asgi("/jobs", is_mount=is_mount, copy_scope=True)(jobs_app())
        hung = partial(lifespan, queue=works.queue)
        async with client_of(Litestar([handler], lifespan=[hung], logging_config=None)) as client:
            assert (await client.get("/jobs/health")).status_code == status


async def test_where_quart_finds_the_queue_beside_it(works: Works) -> None:
    """With one lifespan for both, Quart's endpoints find the queue in their request."""
    site = Quart("site")

    @site.get("/")
    async def start() -> list[bool]:
        with pytest.raises(RuntimeError, match="no job queue here"):
            get_queue(current_app)
        return [get_queue(request) is works.queue]

    async with client_of(with_jobs(beside(site), queue=works.queue)) as client:
        assert (await client.get("/")).json() == [True]
        assert (await client.get("/jobs/health")).status_code == 200


async def test_a_queue_of_quarts_own(works: Works) -> None:
    """A queue that Quart's own lifespan starts is found beside it where it is given there too."""
    async with client_of(beside(quart_with_its_own(works.queue))) as client:
        with pytest.raises(RuntimeError, match="no job queue here"):
            await client.get("/jobs/health")
    async with client_of(beside(quart_with_its_own(works.queue), queue=works.queue)) as client:
        assert (await client.get("/jobs/health")).status_code == 200
