"""The ways in which an app gets its queue, and what a client then sees."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import httpx

from stoat_jobs import AsyncioJobQueue, InMemoryJobQueue, JobBackend, JobQueueSettings, lifespan

from .apps import Life, handlers

MISSING = "no job queue here: the app's lifespan has not run"
FOREIGN = r"submit\(\) was called outside the event loop that runs the queue"
NOT_STARTED = (
    "submitted to a queue that has not been started, and waits until it is: run the app's"
    r" lifespan \(with a TestClient: `with TestClient\(app\) as client:`\)"
)


class Given(NamedTuple):
    """What an app is made with."""

    life: Life
    queue: JobBackend | None = None
    """Put on the app beforehand."""


def by_lifespan() -> Given:
    return Given(partial(lifespan, handlers=handlers))


def as_argument(kind: Any) -> Given:
    return Given(partial(lifespan, queue=kind(), handlers=handlers))


def on_the_app(kind: Any) -> Given:
    return Given(partial(lifespan, handlers=handlers), kind(handlers))


WAYS: dict[str, Callable[[], Given]] = {
    "by_lifespan": by_lifespan,
    "argument-asyncio": partial(as_argument, AsyncioJobQueue),
    "argument-memory": partial(as_argument, InMemoryJobQueue),
    "on_the_app-asyncio": partial(on_the_app, AsyncioJobQueue),
    "on_the_app-memory": partial(on_the_app, InMemoryJobQueue),
}
WITHOUT_A_QUEUE = ["by_lifespan", "argument-asyncio", "argument-memory"]

KINDS: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "asyncio": AsyncioJobQueue,
    "memory": InMemoryJobQueue,
}
"""What ``with_jobs`` is given."""


def remedy(words: str) -> str:
    """Matches the error of an app without a queue, where it says *words*."""
    return f"{MISSING}.*{re.escape(words)}"


def at_once() -> JobQueueSettings:
    """For queues that let nothing finish when they are stopped."""
    return JobQueueSettings(drain_timeout=0, cancel_grace=0)


def result(client: Any, path: str = "/double") -> Any:
    """The result of a job that *client* starts and reads."""
    job_id = client.post(path).json()["job_id"]
    return client.get(f"/jobs/{job_id}/end").json()["result"]


async def result_async(client: httpx.AsyncClient, path: str = "/double") -> Any:
    """As :func:`result`."""
    job_id = (await client.post(path)).json()["job_id"]
    return (await client.get(f"/jobs/{job_id}/end")).json()["result"]


def leaves(error: BaseException) -> list[BaseException]:
    """What was raised, out of the groups that it comes in."""
    inner = getattr(error, "exceptions", None)
    return [error] if inner is None else [leaf for each in inner for leaf in leaves(each)]
