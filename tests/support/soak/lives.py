"""The lives of one queue: entered, used, left in one of many ways, and entered again."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

from stoat_jobs import AsyncioJobQueue, JobQueueSettings, JobStatus, QueueClosedError
from stoat_jobs.testing._bench import all_records

from .behaviours import behaviours_for
from .clients import Client, Errands
from .desk import Desk, registry
from .ledger import Ledger
from .plan import Ending, LifePlan, Planner, client_rng

SETTINGS = JobQueueSettings(
    concurrency=50,
    drain_timeout=0.03,
    cancel_grace=0.01,
    max_pending=300,
    max_results=400,
    result_ttl=0.5,
)

LOOK = 0.005
"""Seconds between two looks at something that tells nobody of its end."""


RUNNERS: dict[str, Callable[[Coroutine[Any, Any, None]], None]] = {
    "asyncio": asyncio.run,
    "uvloop": uvloop.run,
}
"""What runs a life, by the kind of its event loop."""


class BodyError(Exception):
    """Leaves the queue by an exception."""


class Lives:
    """One queue through all its lives, and the ledger that goes with it."""

    def __init__(
        self,
        seed: int,
        most_jobs: int,
        patience: float,
        queue_type: Callable[..., AsyncioJobQueue] = AsyncioJobQueue,
        loop: str = "asyncio",
    ) -> None:
        self._run = RUNNERS[loop]
        self.ledger = Ledger(SETTINGS.concurrency, SETTINGS.max_results, SETTINGS.result_ttl)
        self.number = 0
        self.slowest_stop = 0.0
        self.left: dict[str, int] = {}
        """What was there after the latest life, and how much of it."""
        self._seed = seed
        self._most_jobs = most_jobs
        self._patience = patience
        self._queue = queue_type(registry(self.ledger), SETTINGS, [self.ledger])
        self._queue.app = self._desk = Desk(self.ledger)
        self._errands = Errands()
        self._owner: asyncio.Task[None] | None = None
        # Of tests that ran before in this process, and failed.
        self._others = stray_threads()

    def in_one_loop(self, enough: Callable[[], bool]) -> None:
        """Live in one event loop, until a life ends it or it is enough."""
        self._run(self._era(enough))
        self._run(self._aftermath())  # the loop's end may have ended the queue

    def empty(self) -> None:
        """Let retention and the ledger drop every record."""
        self._run(self._emptied())
        self.ledger.forget_ended()

    async def _era(self, enough: Callable[[], bool]) -> None:
        asyncio.get_running_loop().set_exception_handler(self._on_loop_error)
        plan = None
        while not (plan and plan.new_loop) and not enough():
            plan = LifePlan.draw(self._seed, self.number, self._most_jobs)
            self.number += 1
            await self._live(plan)
            if plan.ending is not Ending.LOOP_ENDS:
                await self._aftermath()

    # One life.

    async def _live(self, plan: LifePlan) -> None:
        self.ledger.counts[plan.ending.value] += 1
        leaving = asyncio.Event()
        # Kept here: a task that waits for what nobody else knows of is garbage.
        self._owner = owner = asyncio.ensure_future(self._hold(plan, leaving))
        await asyncio.wait(
            {owner, asyncio.ensure_future(leaving.wait())}, return_when="FIRST_COMPLETED"
        )
        if plan.ending is Ending.LOOP_ENDS:
            return
        if plan.ending is Ending.SHUTDOWN_CANCELLED:
            await asyncio.sleep(plan.delay or 0)
            owner.cancel()
        await asyncio.wait({owner}, timeout=self._patience)
        self._check_left(owner, plan)

    async def _hold(self, plan: LifePlan, leaving: asyncio.Event) -> None:
        began = time.monotonic()
        try:
            async with self._queue:
                self.ledger.closing = False
                try:
                    await self._use(plan, leaving)
                finally:
                    self.ledger.closing = True
                    began = time.monotonic()
                    leaving.set()
                if plan.ending is Ending.ERROR:
                    raise BodyError
        except BodyError:
            pass
        finally:
            self.slowest_stop = max(self.slowest_stop, time.monotonic() - began)

    async def _use(self, plan: LifePlan, leaving: asyncio.Event) -> None:
        clients = [asyncio.ensure_future(work) for work in self._clients(plan)]
        everybody = plan.ending in (Ending.QUIET, Ending.ERROR)
        await asyncio.wait(clients, return_when="ALL_COMPLETED" if everybody else "FIRST_COMPLETED")
        if plan.ending is Ending.LOOP_ENDS:
            leaving.set()
            self.ledger.cut_off()
            await asyncio.Event().wait()
        while plan.ending is Ending.QUIET and self.ledger.live:
            if not await self.ledger.next_end(self._patience):
                self.ledger.faults.add(
                    "stalled: jobs are left, and none ends", len(self.ledger.live)
                )
                return

    def _clients(self, plan: LifePlan) -> list[Any]:
        share, behaviours = plan.jobs // plan.clients, behaviours_for(plan.mood)
        return [
            self._errands.begin(
                Client(
                    self._queue,
                    self._desk,
                    Planner(client_rng(self._seed, plan.number, client), behaviours),
                    self._errands,
                    self._patience,
                ).work(client * share, share)
            )
            for client in range(plan.clients)
        ]

    def _check_left(self, owner: asyncio.Task[None], plan: LifePlan) -> None:
        if not owner.done():
            self.ledger.faults.add("the queue did not stop", plan)
            owner.cancel()
        elif owner.cancelled():
            if plan.ending is not Ending.SHUTDOWN_CANCELLED:
                self.ledger.faults.add("the shutdown was cancelled by nobody", plan)
        elif owner.exception() is not None:
            self.ledger.faults.add("the queue's body or its stop raised", repr(owner.exception()))

    # After it.

    async def _aftermath(self) -> None:
        asyncio.get_running_loop().set_exception_handler(self._on_loop_error)
        faults, self._owner = self.ledger.faults, None
        self.ledger.balance()
        if left := await self._errands.all_ended(self._patience):
            faults.add("readers who were never woken", left)
        while self._errands.errors:
            faults.add("a client met an error", repr(self._errands.errors.pop()))
        await self._until_gone("tasks", stray_tasks)
        await self._until_gone("threads", self._stray_threads)
        await self._check_closed()

    def _stray_threads(self) -> list[Any]:
        return [thread for thread in stray_threads() if thread not in self._others]

    async def _until_gone(self, what: str, strays: Callable[[], list[Any]]) -> None:
        deadline = time.monotonic() + self._patience
        while (found := strays()) and time.monotonic() <= deadline:
            await asyncio.sleep(LOOK)
        self.left[what] = len(found)
        if found:
            self.ledger.faults.add(f"{what} of the queue that stay", found)

    async def _check_closed(self) -> None:
        faults, stats = self.ledger.faults, await self._queue.stats()
        live = stats.by_status[JobStatus.PENDING] + stats.by_status[JobStatus.RUNNING]
        if live or stats.slots_in_use or stats.abandoned or self._queue.started:
            faults.add("a closed queue has something left", stats)
        try:
            faults.add(
                "a closed queue took a job", await self._queue.submit("thread", {"plan": PLAN})
            )
        except QueueClosedError:
            pass
        asked = time.monotonic()
        self.ledger.listed(await all_records(self._queue), asked)

    async def _emptied(self) -> None:
        await asyncio.sleep(SETTINGS.result_ttl)
        stats = await self._queue.stats()
        if any(stats.by_status.values()):
            self.ledger.faults.add("a record was kept beyond its time", stats)

    def _on_loop_error(self, loop: object, context: dict[str, Any]) -> None:
        self.ledger.faults.add("an error that nobody caught reached the event loop", context)


PLAN = {"behaviour": "returns", "n": 0}


def stray_tasks() -> list[Any]:
    """Tasks other than the caller's."""
    return list(asyncio.all_tasks() - {asyncio.current_task()})


def stray_threads() -> list[Any]:
    """Threads that still work for a queue."""
    ours = [each for each in threading.enumerate() if each.name.startswith("stoat-jobs")]
    return [thread for thread in ours if not getattr(thread, "idle", False)]
