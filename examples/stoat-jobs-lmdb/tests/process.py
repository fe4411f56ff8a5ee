"""A process that opens a file's queue until the tests kill it; only the tests run this file."""

from __future__ import annotations

import asyncio
import sys

from stoat_jobs import (
    BackendError,
    JobBackend,
    JobContext,
    JobHandlers,
    JobQueueSettings,
    create_queue,
)

handlers = JobHandlers()
began = asyncio.Event()


@handlers.job
def double(ctx: JobContext, n: int) -> int:
    return 2 * n


@handlers.job
async def hold(ctx: JobContext, n: int) -> None:
    began.set()
    await asyncio.Event().wait()


async def be_held(queue: JobBackend) -> None:
    """Finish one job, start another, leave two waiting, and print their ids."""
    finished = await queue.submit("double", {"n": 21})
    await queue.wait(finished)
    held = [await queue.submit("hold", {"n": n}) for n in range(3)]
    await began.wait()
    print(finished, *held, flush=True)
    await asyncio.Event().wait()


async def flood(queue: JobBackend) -> None:
    """Submit without end; print each id once its job is accepted."""
    n = 0
    while True:
        print(await queue.submit("double", {"n": n}), flush=True)
        await asyncio.sleep(0)
        n += 1


async def main(url: str, what: str) -> None:
    settings = JobQueueSettings(backend="lmdb", url=url, max_pending=1_000_000)
    try:
        async with create_queue(handlers, settings) as queue:
            await {"be_held": be_held, "flood": flood}[what](queue)
    except BackendError as error:
        print(error)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
