"""Submitters: they follow up some of their jobs, and walk away from most."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from stoat_jobs import JobBackend, JobNotFoundError, QueueClosedError, QueueFullError

from .desk import Desk
from .entries import Entry
from .plan import Follow, Order, Planner

PAST = 300
"""Jobs that a client remembers."""


class StalledError(Exception):
    """The queue is full, and no job ends any more."""


class Errands:
    """The tasks that clients begin and do not wait for."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self.errors: list[BaseException] = []

    def begin(self, errand: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(errand)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def all_ended(self, patience: float) -> int:
        """Wait for them all; how many have not ended, which are cancelled."""
        tasks = set(self._tasks)
        if tasks:
            _, tasks = await asyncio.wait(tasks, timeout=patience)
        for task in tasks:
            task.cancel()
        return len(tasks)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.errors.append(task.exception())  # type: ignore[arg-type]


class Client:
    """Submits its share of a life's jobs."""

    def __init__(
        self, queue: JobBackend, desk: Desk, planner: Planner, errands: Errands, patience: float
    ) -> None:
        self._queue = queue
        self._desk = desk
        self._planner = planner
        self._errands = errands
        self._patience = patience
        self._past: deque[Entry] = deque(maxlen=PAST)
        self._follow_ups: dict[Follow, Callable[[Order, Entry], Awaitable[None]]] = {
            Follow.NOTHING: self._nothing,
            Follow.READ: self._read,
            Follow.LOOK_BACK: self._look_back,
            Follow.LOOK_AROUND: self._look_around,
            Follow.WAIT: self._wait,
            Follow.CROWD: self._crowd,
            Follow.WAIT_AT_MOST: self._wait_at_most,
            Follow.WATCH: self._watch,
            Follow.WATCH_AND_BREAK: self._watch_and_break,
            Follow.WATCH_AND_FORGET: self._watch_and_forget,
            Follow.WALK_AWAY: self._walk_away,
            Follow.CANCEL: self._cancel,
            Follow.MEDDLE: self._meddle,
        }

    async def work(self, first: int, jobs: int) -> None:
        """Submit so many jobs; fewer if the queue is closed before."""
        for n in range(first, first + jobs):
            order = self._planner.order(n)
            try:
                entry = await self._submit(order)
            except QueueClosedError:
                return
            if entry is not None:
                self._past.append(entry)
                await self._follow_ups[order.follow](order, entry)
            if order.pause is not None:
                await asyncio.sleep(order.pause)

    async def _submit(self, order: Order) -> Entry | None:
        while True:
            try:
                return await self._desk.submit(self._queue, order)
            except QueueFullError:
                if not await self._desk.ledger.next_end(self._patience):
                    raise StalledError(f"no job ended for {self._patience:g} s") from None

    # Follow-ups.

    async def _nothing(self, order: Order, entry: Entry) -> None:
        """Most clients come back later, or never."""

    async def _read(self, order: Order, entry: Entry) -> None:
        await self._desk.read(self._queue, entry)

    async def _look_back(self, order: Order, entry: Entry) -> None:
        await self._desk.read(self._queue, self._past[0])

    async def _look_around(self, order: Order, entry: Entry) -> None:
        look = partial(self._desk.look_around, self._queue)
        self._errands.begin(self._after(order.delay, look))

    async def _wait(self, order: Order, entry: Entry) -> None:
        read = partial(self._desk.wait, self._queue, entry)
        self._errands.begin(self._after(order.delay, read))

    async def _crowd(self, order: Order, entry: Entry) -> None:
        for _ in range(order.amount + 1):
            await self._wait(order, entry)
            await self._watch(order, entry)

    async def _wait_at_most(self, order: Order, entry: Entry) -> None:
        self._errands.begin(self._desk.wait(self._queue, entry, order.delay or 0.0))

    async def _watch(self, order: Order, entry: Entry) -> None:
        read = partial(self._desk.watch, self._queue, entry)
        self._errands.begin(self._after(order.delay, read))

    async def _watch_and_break(self, order: Order, entry: Entry) -> None:
        self._errands.begin(self._desk.watch(self._queue, entry, order.amount))

    async def _watch_and_forget(self, order: Order, entry: Entry) -> None:
        self._desk.ledger.counts["walked away"] += 1
        self._errands.begin(self._steps(order, entry))

    async def _steps(self, order: Order, entry: Entry) -> None:
        watch = self._queue.watch(entry.job_id)
        with contextlib.suppress(StopAsyncIteration, JobNotFoundError):
            for _ in range(order.amount):
                self._desk.ledger.read(entry, await watch.__anext__())

    async def _walk_away(self, order: Order, entry: Entry) -> None:
        self._desk.ledger.counts["walked away"] += 1
        read = self._desk.wait if order.amount % 2 else self._desk.watch
        reader = self._errands.begin(read(self._queue, entry))
        self._later(order.delay, reader.cancel)

    async def _cancel(self, order: Order, entry: Entry) -> None:
        if order.delay is None:
            await self._cancel_now(entry)
        else:
            cancel = partial(self._cancel_now, entry)
            self._errands.begin(self._after(order.delay, cancel))

    async def _cancel_now(self, entry: Entry) -> None:
        self._desk.ledger.counts["cancels"] += 1
        ended = entry.record is not None
        entry.cancel_asked = entry.cancel_asked or not ended
        try:
            promised = await self._queue.cancel(entry.job_id)
        except JobNotFoundError:
            self._desk.ledger.not_found(entry)
            return
        if promised and ended:
            self._desk.ledger.faults.add("cancel gave True for a job that had ended", entry)
        entry.cancel_promised = entry.cancel_promised or promised
        entry.cancel_refused = entry.cancel_refused or not promised

    async def _meddle(self, order: Order, entry: Entry) -> None:
        if order.delay is None:
            self._cancel_newest_task()
        else:
            self._later(order.delay, self._cancel_newest_task)

    def _cancel_newest_task(self) -> None:
        """The newest, since it may not have had its first step."""
        live = self._desk.ledger.live
        tasks = {task.get_name().rpartition(" ")[2]: task for task in asyncio.all_tasks()}
        running = [live[job_id] for job_id in tasks if job_id in live]
        if running:
            newest = max(running, key=lambda entry: entry.number)
            newest.meddled = True
            self._desk.ledger.counts["tasks cancelled past the queue"] += 1
            tasks[newest.job_id].cancel()

    # When.

    async def _after(self, delay: float | None, act: Callable[[], Awaitable[None]]) -> None:
        if delay is not None:
            await asyncio.sleep(delay)
        await act()

    def _later(self, delay: float | None, act: Callable[[], object]) -> None:
        loop = asyncio.get_running_loop()
        if delay:
            loop.call_later(delay, act)
        else:
            loop.call_soon(act)
