"""Run an example's app in this event loop, on a disk that can be held."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import httpx
from asgi_lifespan import LifespanManager

from stoat_jobs import AsyncioJobQueue, JobBackend, JobHandlers, JobQueueSettings

# A test that hangs fails; it never waits this long otherwise.
SAFETY_NET = 30.0


def patient_queue(handlers: JobHandlers) -> AsyncioJobQueue:
    """A queue that no slow machine drives to settle a job before its handler has ended."""
    settings = JobQueueSettings(cancel_grace=SAFETY_NET, drain_timeout=SAFETY_NET)
    return AsyncioJobQueue(handlers, settings)


class SlowDisk:
    """A disk that keeps whoever opens or looks at one file, until it is released."""

    def __init__(self) -> None:
        self.held = ("", "")
        self.reached = threading.Event()
        self.released = threading.Event()

    def hold(self, name: str, method: str = "open") -> None:
        """Let nobody call this method of a path of this name."""
        self.held = (method, name)

    def slowed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """*method* of :class:`Path`, as it is on this disk."""

        @wraps(method)
        def slow(path: Path, *args: Any, **kwargs: Any) -> Any:
            if (method.__name__, path.name) == self.held:
                self.reached.set()
                assert self.released.wait(SAFETY_NET)
            return method(path, *args, **kwargs)

        return slow

    async def until_reached(self) -> None:
        assert await asyncio.to_thread(self.reached.wait, SAFETY_NET)


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of *app*, which is started and stopped as a server does."""
    async with LifespanManager(app, startup_timeout=None, shutdown_timeout=None) as manager:
        transport = httpx.ASGITransport(manager.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client


Record = dict[str, Any]


async def stop_halfway(
    client: httpx.AsyncClient, queue: JobBackend, disk: SlowDisk, path: str
) -> tuple[Record, Record]:
    """Start a job, cancel it while the disk holds it up; its record before and after."""
    answer = await client.post(path)
    assert answer.status_code == 202
    job = f"/jobs/{answer.json()['job_id']}"
    await disk.until_reached()
    running = (await client.get(job)).json()
    assert (await client.delete(job)).json() == {"cancelled": True}
    disk.released.set()
    await queue.wait(running["job_id"])
    assert (await client.delete(job)).json() == {"cancelled": False}
    return running, (await client.get(job)).json()
