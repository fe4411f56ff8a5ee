"""Where races are run: one queue for heat after heat, and everything that can be seen of it."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

from stoat_jobs import (
    FinishedEvent,
    JobBackend,
    JobContext,
    JobHandlers,
    JobObserver,
    JobQueueSettings,
    JobResult,
    QueueClosedError,
    StartedEvent,
    SubmittedEvent,
)
from stoat_jobs.testing import Bench, Call

from ..listening import Heard
from ..stores import BACKENDS
from .loop import Choices, ShuffledLoop

T = TypeVar("T")

TIMEOUT, DRAIN, GRACE = 10.0, 4.0, 2.0

PLAIN: dict[str, Any] = {
    "timeout": TIMEOUT,
    "drain_timeout": DRAIN,
    "cancel_grace": GRACE,
    "max_results": 2,
    "result_ttl": float("inf"),
    "loop_block_limit": 0,
}

LONGEST_SHIFT = 3
"""Ticks by which one that takes part may come after another."""

LONGEST_DURABLE_SHIFT = 10
"""The same on a durable queue, where what follows the one waits for two commits."""


class Look(NamedTuple):
    """Somebody who waits for a job, and watches it; ``late`` if not since its submission."""

    job_id: str
    late: bool
    wait: asyncio.Task[JobResult[Any]]
    watch: asyncio.Task[list[JobResult[Any]]]


class Witness(JobObserver):
    """Sees every job from its submission on, as an observer, a waiter and a watcher."""

    def __init__(self) -> None:
        self.queue: JobBackend
        self.clear()

    def clear(self) -> None:
        """Forget what was seen."""
        self.ids: list[str] = []
        self.starts: list[StartedEvent] = []
        self.begun: dict[str, float] = {}
        self.last_end = 0.0
        self.ends: list[FinishedEvent] = []
        self.looks: list[Look] = []
        self.story: list[tuple[str, str]] = []

    def submitted(self, event: SubmittedEvent) -> None:
        self.ids.append(event.job_id)
        self.story.append(("submitted", event.job_id))
        # Not as the handler that may be submitting: one on `memory` may not wait.
        contextvars.Context().run(self.look_on, event.job_id)

    def started(self, event: StartedEvent) -> None:
        self.starts.append(event)
        self.story.append(("began", event.job_id))
        self.begun.setdefault(event.job_id, asyncio.get_running_loop().time())

    def finished(self, event: FinishedEvent) -> None:
        self.ends.append(event)
        self.last_end = asyncio.get_running_loop().time()
        self.story.append(("stopped", event.record.job_id))

    def look_on(self, job_id: str, *, late: bool = False) -> Look:
        """Wait for a job and watch it, from now on."""
        wait = asyncio.ensure_future(self.queue.wait(job_id))
        watch = asyncio.ensure_future(_all_of(self.queue, job_id))
        wait.add_done_callback(self._note_farewell)
        self.looks.append(Look(job_id, late, wait, watch))
        return self.looks[-1]

    def _note_farewell(self, wait: asyncio.Task[Any]) -> None:
        if is_forsaken(wait):
            self.last_end = asyncio.get_running_loop().time()


def is_forsaken(look: asyncio.Task[Any]) -> bool:
    """Whether somebody was told that the job will not end on this queue."""
    assert look.done()
    return not look.cancelled() and isinstance(look.exception(), QueueClosedError)


async def _all_of(queue: JobBackend, job_id: str) -> list[JobResult[Any]]:
    return [record async for record in queue.watch(job_id)]


class ErrorLog(Heard):
    """What the queue logs as an error."""

    def emit(self, record: logging.LogRecord) -> None:
        record.exc_info = None  # else it keeps the frames of what failed
        super().emit(record)


class Arena:
    """A queue, its gated handlers, and one heat of a race after another."""

    def __init__(self, backend: str, settings: dict[str, Any], errors: ErrorLog) -> None:
        self.backend = backend
        self.settings = JobQueueSettings.model_validate({**PLAIN, **settings})
        self.errors = errors
        self.witness = Witness()
        self.bench = Bench()
        self.queue = BACKENDS[backend](self.handlers(), self.settings, [self.witness])
        self.bench.queue = self.witness.queue = self.queue
        self.loop: ShuffledLoop = self.bench.clock  # type: ignore[assignment]
        self.heat: Heat

    def handlers(self) -> JobHandlers:
        """The bench's, and some that submit or report when their gate opens."""
        handlers = self.bench.handlers
        handlers.register("parent", self.parent)
        handlers.register("from a thread", self.from_a_thread)
        handlers.register("reporting", self.reporting)
        return handlers

    async def parent(self, ctx: JobContext) -> None:
        await self.bench.hold(ctx)
        await self.heat.submit()

    def from_a_thread(self, ctx: JobContext) -> None:
        self.bench.work(ctx)
        if len(self.bench.calls_of(ctx.job_id)) > 1:
            return  # it runs again after a shutdown, and nobody listens to this thread
        ctx.from_thread(self.heat.submit)
        self.heat.thread_may_go.result()

    def reporting(self, ctx: JobContext) -> object:
        value = self.bench.work(ctx)
        ctx.set_progress(1.0)
        return value

    def new_heat(self, plan: bytes, order: bytes) -> Heat:
        """A heat whose acts follow *plan*, on a loop that follows *order*."""
        self.witness.clear()
        self.errors.records.clear()
        self.bench.calls.clear()
        self.bench.submissions.clear()
        self.bench.shut_gates()
        self.loop.choices = Choices(order)
        self.heat = Heat(self, Choices(plan))
        return self.heat


Act = Callable[["Heat"], Awaitable[object]]


class Heat:
    """One heat of a race: the job it is about, those that take part, what they were told."""

    def __init__(self, arena: Arena, choices: Choices) -> None:
        self.arena = arena
        self.bench, self.queue, self.loop = arena.bench, arena.queue, arena.loop
        self.witness = arena.witness
        self.choices = choices
        self.answers: list[tuple[str, bool]] = []
        """In the order in which callers asked."""
        self.asked: list[int] = []
        self.cancelled_at: dict[str, float] = {}
        """When a caller asked for what was then answered with True."""
        self.accepted: list[str] = []
        self.refused = 0
        self.not_found = False
        self.given_up = False
        self.jumped = 0.0
        self.closing_from: int | None = None
        self.life_2_from: int | None = None
        self.left: set[str] = set()
        self.out_of_reach: list[str] = []
        self.submissions: list[asyncio.Task[str | None]] = []
        self.thread_may_go: Future[None] = Future()

    def pick(self, *alternatives: T) -> T:
        """One of *alternatives*."""
        return self.choices.one(alternatives)

    @property
    def job_id(self) -> str:
        """The job that the race is about: the first that was submitted."""
        return self.witness.ids[0]

    @property
    def call(self) -> Call:
        """The first call of a handler."""
        return self.bench.calls[0]

    @property
    def is_durable(self) -> bool:
        """Whether jobs that the shutdown stops go on after it."""
        return self.arena.backend == "stored"

    def note_closed(self) -> None:
        """The queue is closed: what has not ended by now is left to its next life."""
        ended = {each.record.job_id for each in self.witness.ends}
        self.left = set(self.witness.ids) - ended
        self.life_2_from = len(self.witness.starts)

    # Before the race.

    async def submit(self, job_type: str = "hold", **options: Any) -> str | None:
        """Submit, and note what came of it; None if the queue is closed."""
        try:
            job_id = await self.queue.submit(job_type, **options)
        except QueueClosedError:
            self.refused += 1
            return None
        self.accepted.append(job_id)
        return job_id

    def start(self, job_type: str = "hold", **options: Any) -> asyncio.Task[str | None]:
        """Submit in a task of its own."""
        submission = asyncio.ensure_future(self.submit(job_type, **options))
        self.submissions.append(submission)
        return submission

    async def begin(self, *job_types: str, **options: Any) -> Call:
        """Submit a job of one of these types, and see its handler called."""
        number = len(self.bench.calls)
        self.start(self.pick(*job_types), **options)
        return await self.bench.call_number(number)

    def follow(self) -> None:
        """Perhaps let another job wait behind, for the slot."""
        if self.pick(False, True):
            self.start()

    # The race.

    async def race(self, *acts: Act) -> None:
        """Do all *acts*, within a few ticks; then let time pass as far as they need."""
        longest = LONGEST_DURABLE_SHIFT if self.is_durable else LONGEST_SHIFT
        acting = [
            asyncio.ensure_future(self._act_after(self.choices.below(longest + 1), act))
            for act in self.choices.shuffled(acts)
        ]
        await self.loop.drive(asyncio.gather(*acting))

    async def _act_after(self, ticks: int, act: Act) -> None:
        for _ in range(ticks):
            await asyncio.sleep(0)
        await act(self)
