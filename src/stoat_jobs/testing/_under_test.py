"""What the contract and the machine have in common: the queue that they test."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from stoat_jobs import JobBackend, JobHandlers, JobQueueSettings
from stoat_jobs.backends import Capabilities

from ._bench import Bench
from ._clock import FakeClockLoop, LoopFactory

QueueFactory = Callable[[JobHandlers, JobQueueSettings, Iterable[Any]], Awaitable[JobBackend]]


class QueueUnderTest:
    """How a queue is made, on which event loop it runs, and what it can."""

    # Not an abstract method: pytest would pass over a class that lacks it, without a word.
    make_queue: QueueFactory
    """``async def make_queue(self, handlers, settings, observers)``: the queue to test, not
    started; called inside the event loop it will run in."""

    loop_factory: LoopFactory = FakeClockLoop
    """Makes the event loop of each test: a :class:`FakeClockLoop`, or what behaves like one on
    another kind of loop."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in Capabilities.model_fields.keys() & vars(cls).keys():
            raise TypeError(
                f"{cls.__name__}.{name} has no effect: a queue declares what it can, as in"
                f" capabilities = Capabilities({name}={vars(cls)[name]!r}) in the class of the"
                " queue"
            )

    async def _fill(
        self, bench: Bench, settings: JobQueueSettings, observers: Iterable[Any] = ()
    ) -> None:
        """Make the queue of *bench*."""
        bench.queue = await self.make_queue(bench.handlers, settings, observers)
        bench.capabilities = self._capabilities_of(bench.queue)
        bench.clock.heed(bench.queue)

    def _capabilities_of(self, queue: JobBackend) -> Capabilities:
        return Capabilities.of(queue)
