"""What the groups of promise tests have in common."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest

from stoat_jobs import JobQueueSettings
from stoat_jobs.backends import Capabilities

from ._bench import Bench
from ._clock import run_with_fake_clock
from ._under_test import QueueUnderTest

Test = TypeVar("Test", bound=Callable[..., Any])


def needs(*capabilities: str) -> Callable[[Test], Test]:
    """Excuse a backend from a test unless it has all of these capabilities."""

    def mark(test: Test) -> Test:
        test.needs = capabilities  # type: ignore[attr-defined]
        return test

    return mark


def unless(capability: str) -> Callable[[Test], Test]:
    """Excuse a backend from a test if it has this capability."""

    def mark(test: Test) -> Test:
        test.unless = capability  # type: ignore[attr-defined]
        return test

    return mark


class Promises(QueueUnderTest):
    """Base of the promise tests: how a test is run, and who is excused from it.

    Its ``async`` tests become plain ones that run on a fake clock of their own, in a
    subclass too; they need no plug-in and no mark.
    """

    _test: Callable[..., Any]
    """The one that runs."""

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
        await self._fill(bench, chosen, observers)
        excuse(self._test, bench.capabilities)
        return bench

    @asynccontextmanager
    async def bench(self, observers: Iterable[Any] = (), **settings: Any) -> AsyncIterator[Bench]:
        """A bench whose queue runs, and is cleaned up at the end."""
        async with await self.new_bench(observers, **settings) as bench:
            yield bench


def _plain(test: Callable[..., Any]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(self: Promises, *args: Any, **kwargs: Any) -> None:
        self._test = test
        outcome = test(self, *args, **kwargs)
        if inspect.iscoroutine(outcome):
            run_with_fake_clock(outcome, self.loop_factory)

    return run


def excuse(test: Callable[..., Any], capabilities: Capabilities) -> None:
    """Skip *test* if a queue with these *capabilities* need not keep its promise."""
    for capability in getattr(test, "needs", ()):
        if not getattr(capabilities, capability):
            pytest.skip(f"excused by `{capability} = False`")
    if getattr(capabilities, getattr(test, "unless", ""), False):
        pytest.skip(f"excused by `{test.unless} = True`")  # type: ignore[attr-defined]
