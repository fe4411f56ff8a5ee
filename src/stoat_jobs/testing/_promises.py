"""What the groups of promise tests have in common."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest

from stoat_jobs import JobBackend, JobHandlers, JobQueueSettings

from ._bench import Bench
from ._capabilities import Capabilities
from ._clock import FakeClockLoop, LoopFactory, run_with_fake_clock

QueueFactory = Callable[[JobHandlers, JobQueueSettings, Iterable[Any]], Awaitable[JobBackend]]

Test = TypeVar("Test", bound=Callable[..., Any])


def needs(*capabilities: str) -> Callable[[Test], Test]:
    """Excuse a backend from a test where one of these attributes of the class is False."""

    def mark(test: Test) -> Test:
        test.needs = capabilities  # type: ignore[attr-defined]
        return test

    return mark


def unless(capability: str) -> Callable[[Test], Test]:
    """Excuse a backend from a test where this attribute of the class is True."""

    def mark(test: Test) -> Test:
        test.unless = capability  # type: ignore[attr-defined]
        return test

    return mark


class Promises(Capabilities):
    """Base of the promise tests: the factory, the capabilities, and how a test is run.

    Its ``async`` tests become plain ones that run on a fake clock of their own, in a
    subclass too; they need no plug-in and no mark.
    """

    # Not an abstract method: pytest would pass over a class that lacks it, without a word.
    make_queue: QueueFactory
    """``async def make_queue(self, handlers, settings, observers)``: the queue to test, not
    started; called inside the event loop it will run in."""

    loop_factory: LoopFactory = FakeClockLoop
    """Makes the event loop of each test: a :class:`FakeClockLoop`, or what behaves like one on
    another kind of loop."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, test in list(vars(cls).items()):
            if name.startswith("test_"):
                setattr(cls, name, _plain(test))

    async def new_bench(self, observers: Iterable[Any] = (), **settings: Any) -> Bench:
        """A bench whose queue is not started."""
        bench = Bench()
        # A watch over the loop is a thread, and a thread could end any deadlock.
        chosen = JobQueueSettings.model_validate({"loop_block_limit": 0, **settings})
        bench.queue = await self.make_queue(bench.handlers, chosen, observers)
        return bench

    @asynccontextmanager
    async def bench(self, observers: Iterable[Any] = (), **settings: Any) -> AsyncIterator[Bench]:
        """A bench whose queue runs, and is cleaned up at the end."""
        async with await self.new_bench(observers, **settings) as bench:
            yield bench


def _plain(test: Callable[..., Any]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(self: Promises, *args: Any, **kwargs: Any) -> None:
        for capability in getattr(test, "needs", ()):
            if not getattr(self, capability):
                pytest.skip(f"excused by `{capability} = False`")
        if getattr(self, getattr(test, "unless", ""), False):
            pytest.skip(f"excused by `{test.unless} = True`")  # type: ignore[attr-defined]
        outcome = test(self, *args, **kwargs)
        if inspect.iscoroutine(outcome):
            run_with_fake_clock(outcome, self.loop_factory)

    return run
