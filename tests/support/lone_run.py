"""One job, run by a host that notes what it is told and does nothing else."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from stoat_jobs import JobHandlers, JobType
from stoat_jobs.backends import (
    Deadlines,
    FrozenPayload,
    JobRun,
    Outcome,
    StopReason,
    variables_of,
)
from stoat_jobs.testing import FakeClockLoop, run_with_fake_clock

from .loops import ON_UVLOOP, UvloopWithFakeClock

GRACE = 8.0
"""Seconds to stop, where a job type says nothing else."""

Test = Callable[..., Coroutine[Any, Any, None]]


@dataclass(eq=False)
class LoneJob:
    """What is needed of a job to run it."""

    payload: FrozenPayload
    timeout: float
    job_id: str = "the-id"
    job_type: str = "lone"
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.variables = variables_of(self.job_id)


class LoneHost:
    """The host of one run.

    Attributes:
        told: the names of what it was told, in order.
        outcome: that of a job that has finished.
    """

    delays = True
    kept_as_is = frozenset({id(type(None))})
    cancel_grace = GRACE
    max_metadata_bytes = 1000

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.now = self.loop.time
        self.deadlines = Deadlines(self.loop, self.now)
        self.queue = SimpleNamespace(app=None)
        self.told: list[str] = []
        self.reports: list[Any] = []
        self.outcome: Outcome | None = None
        self.over = asyncio.Event()

    def keep_result(self, definition: JobType[..., Any], value: Any) -> Any:
        return value

    def attempt_started(self, run: JobRun[LoneJob], previous: BaseException | None) -> None:
        self.told.append("started")

    def progressed(self, run: JobRun[LoneJob], fraction: float, message: str | None) -> None:
        self.reports.append(fraction)

    def metadata_updated(self, run: JobRun[LoneJob], metadata: Mapping[str, Any]) -> None:
        self.reports.append(dict(metadata))

    def stopping(self, run: JobRun[LoneJob]) -> None:
        self.told.append("stopping")

    def cancelled_externally(self) -> None:
        self.told.append("cancelled externally")

    def completed(self, run: JobRun[LoneJob], value: Any, now: float) -> None:
        self._ended("completed")

    def finished(self, run: JobRun[LoneJob], outcome: Outcome) -> None:
        self.outcome = outcome
        self._ended("finished")

    def dropped(self, run: JobRun[LoneJob]) -> None:
        self._ended("dropped")

    def _ended(self, how: str) -> None:
        self.told.append(how)
        self.over.set()


class Lone:
    """A run of *function*, registered with *options*; it begins in the loop's next round."""

    def __init__(
        self, function: Callable[..., Any], *, timeout: float = 300.0, **options: Any
    ) -> None:
        definition: JobType[..., Any] = JobHandlers().job("lone", **options)(function)
        self.host = LoneHost()
        self.job = LoneJob(definition.form.freeze({}), timeout)
        self.run: JobRun[LoneJob] = JobRun(self.job, definition, self.host)
        self.run.start()

    @property
    def told(self) -> list[str]:
        return self.host.told

    async def ended(self) -> list[str]:
        """What the host was told until the end, and in whatever comes of it after that."""
        task = self.run.task
        await self.host.over.wait()
        if task is not None:
            await asyncio.wait({task})
        return self.told

    def stop(self, reason: StopReason = StopReason.CANCEL) -> bool:
        return self.run.stop(reason)


def on_loops(test: Test) -> Callable[..., None]:
    """Run an ``async`` test on the loops of asyncio and uvloop, with a clock that it moves."""

    @functools.wraps(test)
    def run(loop_factory: Any, **arguments: Any) -> None:
        run_with_fake_clock(test(**arguments), loop_factory)

    own = inspect.Parameter("loop_factory", inspect.Parameter.KEYWORD_ONLY)
    others = inspect.signature(test).parameters.values()
    run.__signature__ = inspect.Signature([*others, own])  # type: ignore[attr-defined]
    loops = [FakeClockLoop, pytest.param(UvloopWithFakeClock, marks=ON_UVLOOP)]
    marked: Callable[..., None] = pytest.mark.parametrize(
        "loop_factory", loops, ids=["asyncio", "uvloop"]
    )(run)
    return marked


async def advance(seconds: float) -> None:
    """Move the clock, and let everything happen until then."""
    loop: Any = asyncio.get_running_loop()
    await loop.advance(seconds)


async def settle() -> None:
    """Let everything happen that happens now."""
    loop: Any = asyncio.get_running_loop()
    await loop.settle()
