"""A program whose handlers do not stop: it begins some jobs, leaves its queue, and ends.

``python -m tests.support.exits_program HOW JOB_TYPE...``, where HOW is ``leave``, or
``cut-off`` for an event loop that ends while the queue is held, or ``cut-short`` for one that
ends while the queue is being left. What it has seen is one line of JSON; its log goes to the
other stream.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from typing import Any

from stoat_jobs import AsyncioJobQueue, JobQueueSettings

from .resisting import begun, handlers

SETTINGS = JobQueueSettings(concurrency=100, drain_timeout=0.1, cancel_grace=0.1)

BOUND = SETTINGS.drain_timeout + 2 * SETTINGS.cancel_grace + 1
"""Seconds in which a queue promises to stop."""


async def hold(queue: AsyncioJobQueue, job_types: list[str], how: str, seen: Any) -> None:
    """Begin the jobs, leave the queue, and note what there was to see."""
    loop = asyncio.get_running_loop()
    try:
        async with queue:
            ids = [await queue.submit(job_type) for job_type in job_types]
            while not set(ids) <= set(begun):
                await asyncio.sleep(0)
            seen["began_at"] = loop.time()
            seen["held"].set_result(None)
            if how == "cut-off":
                await asyncio.Event().wait()
    finally:
        seen["stop_s"] = loop.time() - seen["began_at"]
        seen["ends"] = [(await queue.get_result(job_id)).error_type for job_id in ids]
        seen["abandoned"] = (await queue.stats()).abandoned


async def main(how: str, job_types: list[str], seen: Any) -> None:
    seen["held"] = asyncio.get_running_loop().create_future()
    owner = asyncio.ensure_future(hold(AsyncioJobQueue(handlers, SETTINGS), job_types, how, seen))
    await (owner if how == "leave" else seen["held"])
    if "obstinate" in job_types:  # asyncio.run would wait for it
        tell(seen)
        os._exit(0)


def tell(seen: Any) -> None:
    del seen["held"]
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    logging.basicConfig(format="%(msg)s %(job_type)s", level="WARNING")
    SEEN: dict[str, Any] = {}
    asyncio.run(main(sys.argv[1], sys.argv[2:], SEEN))
    tell(SEEN)
