"""The page on computing: a process for a job, which ends with it."""

from __future__ import annotations

import asyncio
import os
import re
import runpy
import threading
from pathlib import Path
from typing import Any

import pytest

from how_to import compute as page
from how_to.compute import find, handlers, in_a_process
from stoat_jobs import AsyncioJobQueue, JobContext, JobHandlers, JobQueueSettings
from stoat_jobs.testing import FakeClockLoop, run_with_fake_clock

from ..support import SAFETY_NET
from .test_child_processes import Pipe

PATIENT = JobQueueSettings(drain_timeout=0, cancel_grace=SAFETY_NET)


# Keeps a FIFO open until it is killed: nobody writes to the other one. One that is not killed
# says so and ends, or the test would never end.
HOLD = """
import os
import threading


def give_up():
    pipe.write(b"not killed\\n")
    os._exit(1)


with open({path!r}, "wb", buffering=0) as pipe:
    pipe.write(b"up\\n")
    threading.Timer({seconds}, give_up).start()
    open({path!r} + "-closed").read()
"""


async def test_what_is_found() -> None:
    """The job's result is what the function returned in its process."""
    async with AsyncioJobQueue(handlers, PATIENT) as queue:
        ref = await find.submit(queue, pattern="a.", text="abracadabra")
        assert await ref.value() == ["ab", "ac", "ad", "ab"]


async def test_what_finds_runs_in_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler itself leaves what keeps the GIL to a process."""
    called: list[Any] = []

    def noted(ctx: JobContext, function: Any, *args: Any) -> Any:
        called.append((function, args))
        return ["found"]

    monkeypatch.setattr(page, "in_a_process", noted)
    async with AsyncioJobQueue(handlers, PATIENT) as queue:
        assert await (await find.submit(queue, pattern="a.", text="ab")).value() == ["found"]
    assert called == [(re.findall, ("a.", "ab"))]


async def test_what_raises() -> None:
    """An error in the process is the job's error."""
    async with AsyncioJobQueue(handlers, PATIENT) as queue:
        record = await (await find.submit(queue, pattern="(", text="")).wait()
    assert record.status == "failed"
    assert "unterminated subpattern" in str(record.error)


@pytest.mark.parametrize("how", ["cancel", "timeout", "stop"])
def test_the_end_of_the_job_ends_the_process(tmp_path: Path, how: str) -> None:
    """A process that computes on is killed when its job is told to stop."""
    os.mkfifo(tmp_path / "pipe-closed")
    run_with_fake_clock(until_the_process_is_gone(Pipe(tmp_path / "pipe"), how))


async def until_the_process_is_gone(pipe: Pipe, how: str) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, FakeClockLoop)
    own = JobHandlers()

    @own.job(timeout=60)
    def compute(ctx: JobContext, script: str) -> None:
        in_a_process(ctx, runpy.run_path, script)

    script = pipe.path.with_suffix(".py")
    script.write_text(HOLD.format(path=str(pipe.path), seconds=SAFETY_NET))
    async with AsyncioJobQueue(own, PATIENT) as queue:
        ref = await compute.submit(queue, script=str(script))
        await pipe.until_up()
        if how == "cancel":
            await ref.cancel()
        if how == "timeout":
            await loop.advance(60)
        if how != "stop":
            await ref.wait()
    assert await ref.get_status() == ("timeout" if how == "timeout" else "cancelled")
    await pipe.until_all_are_gone()


async def test_a_process_that_is_killed() -> None:
    """A process that ends by itself, as when memory runs out, fails the job with a reason."""
    own = JobHandlers()

    @own.job
    def die(ctx: JobContext) -> None:
        in_a_process(ctx, os._exit, 9)

    async with AsyncioJobQueue(own, PATIENT) as queue:
        record = await asyncio.wait_for((await die.submit(queue)).wait(), SAFETY_NET)
    assert record.error == "the process ended with 9, no result"


async def test_what_does_not_travel() -> None:
    """A result that cannot be pickled fails the job; it does not wait for ever."""
    own = JobHandlers()

    @own.job
    def give(ctx: JobContext) -> None:
        in_a_process(ctx, threading.Lock)

    async with AsyncioJobQueue(own, PATIENT) as queue:
        record = await asyncio.wait_for((await give.submit(queue)).wait(), SAFETY_NET)
    assert record.status == "failed"
