"""Where jobs are submitted and read: whatever comes back is entered in the ledger."""

from __future__ import annotations

import asyncio
from typing import Any

from stoat_jobs import (
    JobBackend,
    JobContext,
    JobHandlers,
    JobNotFoundError,
    JobStatus,
    QueueClosedError,
    QueueFullError,
)

from .behaviours import BEHAVIOURS, LIMITS
from .entries import Entry
from .ledger import Ledger
from .plan import JobPlan, Order

RETRIES = 1


class Desk:
    """One queue's desk, for clients and for handlers."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    # Submitting.

    async def submit(self, queue: JobBackend, order: Order) -> Entry | None:
        """Submit an order; None if its key had a job already."""
        return await self._submit(queue, order.job, order.key, order.metadata)

    async def submit_child(self, queue: JobBackend, plan: JobPlan) -> Entry | None:
        """Submit what a job wants done; None if the queue does not take it."""
        assert plan.child is not None
        try:
            return await self._submit(queue, JobPlan(**plan.child), None, None)
        except (QueueFullError, QueueClosedError):
            return None

    async def _submit(
        self, queue: JobBackend, plan: JobPlan, key: str | None, metadata: dict[str, str] | None
    ) -> Entry | None:
        job_type = BEHAVIOURS[plan.behaviour].job_type
        options: dict[str, Any] = {"timeout": plan.timeout, "key": key, "metadata": metadata}
        try:
            job_id = await queue.submit(job_type, plan.payload(), **options)
        except (QueueFullError, QueueClosedError) as error:
            self.ledger.counts[f"refused: {type(error).__name__}"] += 1
            raise
        return self.ledger.returned(job_id, plan, key)

    # Reading.

    async def read(self, queue: JobBackend, entry: Entry) -> None:
        try:
            self.ledger.read(entry, await queue.get_result(entry.job_id))
        except JobNotFoundError:
            self.ledger.not_found(entry)

    async def look_around(self, queue: JobBackend) -> None:
        stats = await queue.stats()
        if stats.slots_in_use > stats.concurrency:
            self.ledger.faults.add("more slots in use than there are", stats)
        free = stats.slots_in_use < stats.concurrency and not self.ledger.closing
        if free and stats.by_status[JobStatus.PENDING]:
            self.ledger.faults.add("jobs wait although slots are free", stats)
        if stats.abandoned < self.ledger.left_behind:
            self.ledger.faults.add("abandoned threads are missing from the figures", stats)
        turns: list[None] = []
        turn = asyncio.get_running_loop().call_soon(turns.append, None)
        running = len(await queue.list_jobs(status=JobStatus.RUNNING))
        turn.cancel()
        in_one_piece = not turns  # else the list is of another moment than the figures
        counted = {stats.by_status[JobStatus.RUNNING], stats.slots_in_use}
        if in_one_piece and counted != {running}:
            self.ledger.faults.add("the figures disagree with the list", stats)

    async def wait(self, queue: JobBackend, entry: Entry, timeout: float | None = None) -> None:
        """Wait for the end, and hold it against the books."""
        known = entry.record is not None
        self.ledger.counts["waits"] += 1
        try:
            record = await queue.wait(entry.job_id, timeout)
        except JobNotFoundError:
            self._check_gone(entry, known)
        except TimeoutError:
            self.ledger.counts["waits that timed out"] += 1
            if timeout is None or entry.record is not None:
                self.ledger.faults.add("a wait timed out although the job had ended", entry)
        else:
            self._check_last(entry, record.status)
            self.ledger.read(entry, record)

    async def watch(self, queue: JobBackend, entry: Entry, most: int | None = None) -> None:
        """Watch to the end, or break after *most* records."""
        known, seen, last = entry.record is not None, 0, JobStatus.PENDING
        self.ledger.counts["watches"] += 1
        try:
            async for record in queue.watch(entry.job_id):
                self._check_step(entry, last, record.status)
                self.ledger.read(entry, record)
                seen, last = seen + 1, record.status
                if most is not None and seen > most:
                    return
        except JobNotFoundError:
            self._check_gone(entry, known)
        else:
            self._check_last(entry, last)

    def _check_gone(self, entry: Entry, known: bool) -> None:
        self.ledger.not_found(entry)
        if not known:
            self.ledger.faults.add("who read before the end was told there is no such job", entry)

    def _check_step(self, entry: Entry, before: JobStatus, after: JobStatus) -> None:
        if before.is_terminal or (before, after) == (JobStatus.RUNNING, JobStatus.PENDING):
            self.ledger.faults.add("a watcher saw a status go back", f"{before} {after} {entry}")

    def _check_last(self, entry: Entry, status: JobStatus) -> None:
        self.ledger.counts["readers who stayed to the end"] += 1
        if not status.is_terminal:
            self.ledger.faults.add("a reader was let go before the end", f"{status} {entry}")


def registry(ledger: Ledger) -> JobHandlers:
    """The job types, one of each kind of handler."""

    async def in_coroutine(ctx: JobContext, plan: JobPlan) -> Any:
        ledger.entered(ctx.job_id)
        for _ in range(plan.yields):
            await asyncio.sleep(0)
        return await BEHAVIOURS[plan.behaviour].do(ctx, plan)

    def in_thread(ctx: JobContext, plan: JobPlan) -> Any:
        ledger.entered_thread(ctx.job_id)
        try:
            return BEHAVIOURS[plan.behaviour].do(ctx, plan)
        finally:
            ledger.left_thread(ctx.job_id)

    handlers = JobHandlers()
    handlers.register("coroutine", in_coroutine, timeout=LIMITS["coroutine"])
    handlers.register("cooperative", in_coroutine, timeout=LIMITS["cooperative"], cooperative=True)
    # Directly: Python leaves an inner coroutine that yields while it is closed to the collector.
    stubborn = BEHAVIOURS["swallows_what_closes_it"].do
    handlers.register("stubborn", stubborn, timeout=LIMITS["stubborn"])
    handlers.register("retried", in_coroutine, timeout=LIMITS["retried"], retries=RETRIES)
    handlers.register("thread", in_thread, timeout=LIMITS["thread"])
    return handlers
