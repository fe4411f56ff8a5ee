"""A queue that is kept busy, by clients that write down what they were told.

``python -m tests.sqlite.programs.load DATABASE LEDGER SEED``: until it is killed. With ``--acts N``
it stops in an orderly way after so many; with ``--finish`` it submits nothing, and stops when all
jobs have finished.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from stoat_jobs import JobContext, JobHandlers, JobQueueSettings, JobStatus
from stoat_jobs.sqlite import SqliteJobQueue

from .ledger import Ledger, lines, unanswered

CLIENTS = 12
SHARED_KEYS = 3
MORE_THAN_ALL = 10**6


class Load:
    """The handlers and the clients of one queue."""

    def __init__(self, queue: SqliteJobQueue, ledger: Ledger, random: Random, acts: int) -> None:
        self.queue = queue
        self._ledger = ledger
        self._random = random
        self._acts = acts
        self._ended: list[str] = []
        self._running: list[str] = []  # that have no key
        queue.handlers.register("quick", self._quick, keep_payload=True)
        queue.handlers.register("slow", self._slow)

    async def _quick(self, ctx: JobContext, key: str = "-", n: int = 0) -> int:
        self._ledger.add("began", ctx.job_id, key)
        self._ledger.add("left", ctx.job_id, key)
        return n

    async def _slow(self, ctx: JobContext, key: str = "-") -> str:
        self._ledger.add("began", ctx.job_id, key)
        if key == "-":
            self._running.append(ctx.job_id)
        try:
            await asyncio.sleep(self._random.random() / 10)
            return "x" * self._random.randrange(20_000)
        except asyncio.CancelledError:
            await asyncio.sleep(self._random.random() / 20)  # it is being stopped for a while
            raise
        finally:
            self._ledger.add("left", ctx.job_id, key)

    async def go_on(self, keys: list[str]) -> None:
        """Submit what may or may not have been accepted, then act at random."""
        for key in keys:
            await self._submit("quick", key=key, unique="kept")
        async with asyncio.TaskGroup() as clients:
            for _ in range(CLIENTS):
                clients.create_task(self._client())

    async def _client(self) -> None:
        acts: list[Callable[[], Awaitable[Any]]] = [
            *(self._submit_plain, self._submit_slow, self._submit_many),
            *(self._submit_shared, self._submit_kept, self._submit_delayed),
            *(self._wait, self._cancel, self._delete, self._resubmit),
        ]
        while self._acts:
            self._acts -= 1
            await self._random.choice(acts)()

    async def _submit(self, job_type: str, key: str | None = None, **options: Any) -> str:
        if options.get("unique") == "kept":
            self._ledger.add("asking", str(key))
        payload = {} if key is None else {"key": key}
        job_id = await self.queue.submit(job_type, payload, key=key, **options)
        self._ledger.add("submitted", job_id, key or "-")
        return job_id

    async def _submit_plain(self) -> None:
        await self._submit("quick")

    async def _submit_slow(self) -> str:
        return await self._submit("slow")

    async def _submit_many(self) -> None:
        for job_id in await self.queue.submit_many("quick", [{"n": n} for n in range(5)]):
            self._ledger.add("submitted", job_id)

    async def _submit_shared(self) -> None:
        await self._submit("slow", key=f"shared-{self._random.randrange(SHARED_KEYS)}")

    async def _submit_kept(self) -> None:
        key = f"kept-{UUID(int=self._random.getrandbits(128))}"
        await self._submit("quick", key=key, unique="kept")
        await self._submit("quick", key=key, unique="kept")

    async def _submit_delayed(self) -> None:
        await self._submit("quick", delay=self._random.random() / 5)

    async def _wait(self) -> None:
        job_id = await self._submit("quick", metadata={"from": "a client"})
        record = await self.queue.wait(job_id)
        self._ledger.add("ended", job_id, record.status)
        self._ended.append(job_id)

    async def _cancel(self) -> None:
        if self._running and self._random.random() < 0.5:
            job_id = self._running.pop()  # which may be over
        else:
            job_id = await self._submit_slow()
        if await self.queue.cancel(job_id):
            self._ledger.add("cancelled", job_id)

    async def _delete(self) -> None:
        if self._ended:
            job_id = self._ended.pop()
            self._ledger.add("deleting", job_id)
            assert await self.queue.delete(job_id)
            self._ledger.add("deleted", job_id)

    async def _resubmit(self) -> None:
        if self._ended:
            job_id = self._ended.pop()
            self._ledger.add("submitted", await self.queue.resubmit(job_id))
            self._ended.append(job_id)

    async def finish(self) -> None:
        """Wait until no job is live."""
        live = (JobStatus.PENDING, JobStatus.RUNNING)
        while page := await self.queue.list_jobs(status=live):
            for job in page:
                record = await self.queue.wait(job.job_id)
                self._ledger.add("ended", job.job_id, record.status)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database", type=Path)
    parser.add_argument("ledger", type=Path)
    parser.add_argument("seed", type=int)
    parser.add_argument("--acts", type=int, default=MORE_THAN_ALL)
    parser.add_argument("--finish", action="store_true")
    parser.add_argument("--synchronous", default="full")
    arguments = parser.parse_args()
    settings = JobQueueSettings(
        backend="sqlite",
        url=str(arguments.database),
        concurrency=8,
        max_pending=MORE_THAN_ALL,
        max_results=MORE_THAN_ALL,
        options={"synchronous": arguments.synchronous},
    )
    ledger = Ledger(arguments.ledger)
    keys = unanswered([*lines(arguments.ledger.read_bytes())])
    queue = SqliteJobQueue(JobHandlers(), settings)
    load = Load(queue, ledger, Random(arguments.seed), arguments.acts)
    async with queue:
        ledger.add("started")
        await (load.finish() if arguments.finish else load.go_on(keys))
    ledger.add("stopped")


if __name__ == "__main__":
    asyncio.run(main())
