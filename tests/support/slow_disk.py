"""A disk that can be held, for the examples to be cancelled on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import httpx

from stoat_jobs import JobBackend

from . import SAFETY_NET


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
