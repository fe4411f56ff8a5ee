"""An app whose jobs an operator finds, changes and repeats; as a program, a worker of it."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from stoat_jobs import JobContext, JobHandlers, JobQueueSettings, create_queue

handlers = JobHandlers()
app = object()


class Report(BaseModel):
    files: int
    note: str = "none"


@dataclass
class Total:
    files: int


@handlers.job(keep_payload=True)
async def scan(ctx: JobContext, files: int) -> Report:
    return Report(files=files)


@handlers.job
async def count(ctx: JobContext, files: int) -> Total:
    return Total(files)


@handlers.job(keep_payload=True)
async def fail(ctx: JobContext) -> None:
    raise ValueError("no luck")


@handlers.job
async def endless(ctx: JobContext) -> None:
    await asyncio.Event().wait()


def settings(backend: str, url: str, **others: Any) -> JobQueueSettings:
    """Of the app."""
    given = {"backend": backend, "url": url, "concurrency": 2, "drain_timeout": 0, **others}
    return JobQueueSettings.model_validate(given)


async def work(backend: str, url: str) -> None:
    """Run jobs until this process is killed."""
    async with create_queue(handlers, settings(backend, url)):
        print("started", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:]))
