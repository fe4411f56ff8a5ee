"""The handlers of the workers: each note when they begin and how they end."""

from __future__ import annotations

import ast
import asyncio
import math
import os
import signal
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stoat_jobs import Backoff, JobContext, JobHandlers

from .ledger import Books, Ledger


def gate_of(ledger: Path, pid: int) -> Path:
    """The file that lets go of the jobs that a process holds."""
    return ledger.with_name(f"gate of {pid}")


class Jobs:
    """What the handlers of one process do."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ledger = Ledger(path)
        self._books = Books(path)

    @contextmanager
    def _run(self, ctx: JobContext) -> Iterator[str]:
        """A run of a job; its name is unique, and is the result of most jobs."""
        facts = {"job": ctx.job_id, "type": ctx.job_type, "run": uuid.uuid4().hex}
        self._ledger.note("start", **facts, attempt=ctx.attempt)
        try:
            yield facts["run"]
        except BaseException as error:
            self._ledger.note("raise", **facts, error=type(error).__name__)
            raise
        self._ledger.note("end", **facts)

    def _count(self, ctx: JobContext) -> int:
        """How often this job was begun, anywhere."""
        return len(self._books.entries("start", job=ctx.job_id))

    async def sleep(self, ctx: JobContext, seconds: float = 0.0) -> str:
        with self._run(ctx) as run:
            await asyncio.sleep(seconds)
        return run

    def sleep_sync(self, ctx: JobContext, seconds: float = 0.0) -> str:
        with self._run(ctx) as run:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                ctx.raise_if_cancelled()
                time.sleep(0.01)
        return run

    async def block(self, ctx: JobContext, seconds: float, times: int = 1_000) -> str:
        """Hold the event loop, the first so many times that it is begun."""
        with self._run(ctx) as run:
            if self._count(ctx) <= times:
                time.sleep(seconds)
        return run

    async def hold(self, ctx: JobContext) -> str:
        """Run until the test lets this process go on."""
        with self._run(ctx) as run:
            while not gate_of(self._path, os.getpid()).exists():
                await asyncio.sleep(0.02)
        return run

    async def submit_hold(self, ctx: JobContext, key: str) -> str:
        """Submit a job under a key that others submit as well; its id."""
        with self._run(ctx):
            return await ctx.queue.submit("hold", key=key)

    async def report(self, ctx: JobContext, steps: int, pause: float = 0.01) -> str:
        with self._run(ctx) as run:
            for step in range(steps):
                ctx.set_progress(step / steps, f"step {step}")
                ctx.update_metadata(step=step)
                await asyncio.sleep(pause)
        return run

    async def die(self, ctx: JobContext, times: int = 1_000, seconds: float = 0.0) -> str:
        """Kill the process, as often as it is begun, but at most so many times."""
        with self._run(ctx) as run:
            await asyncio.sleep(seconds)
            if self._count(ctx) <= times:
                os.kill(os.getpid(), signal.SIGKILL)
        return run

    async def echo(self, ctx: JobContext, value: Any = None) -> Any:
        with self._run(ctx):
            return value

    async def fail(self, ctx: JobContext, text: str = "no reason") -> None:
        with self._run(ctx):
            raise ValueError(text)

    async def fail_oddly(self, ctx: JobContext, text: str) -> None:
        """Raise an exception with a text that no server stores as it is."""
        with self._run(ctx):
            raise ValueError(ast.literal_eval(text))

    async def together(self, ctx: JobContext, value: str, column: str = "result") -> str:
        """Give a value as soon as the test lets this process go on, so that many end at once."""
        await self.hold(ctx)
        if column == "message":
            ctx.set_progress(0.5, value)
        if column == "metadata":
            ctx.update_metadata(value=value)
        return value if column == "result" else ""

    async def number(self, ctx: JobContext, n: int) -> str:
        with self._run(ctx) as run:
            return run

    async def flaky(self, ctx: JobContext, pause: float = 0.0) -> str:
        """Fail at the first attempt."""
        with self._run(ctx) as run:
            await asyncio.sleep(pause)
            if not ctx.attempt:
                raise OSError("once more")
        return run

    async def retry_later(self, ctx: JobContext) -> str:
        """Fail when it is first begun anywhere; the next attempt is an hour later."""
        with self._run(ctx) as run:
            if self._count(ctx) == 1:
                raise OSError("much later")
        return run


def older_number(jobs: Jobs) -> Any:
    """What code of an older release has as `number`: it refuses what newer code accepts."""

    async def number(ctx: JobContext, m: int) -> str:
        with jobs._run(ctx) as run:
            return run

    return number


OPTIONS: dict[str, dict[str, Any]] = {
    "flaky": {"retries": 2, "backoff": Backoff(first=0.1)},
    "retry_later": {
        "retries": 2,
        "backoff": Backoff(first=3_600, maximum=3_600, jitter=0),
        "timeout": math.inf,
    },
}
NAMES = tuple(name for name in vars(Jobs) if not name.startswith("_"))


def handlers_of(ledger: Path, only: Iterable[str] = NAMES, *, older: bool = False) -> JobHandlers:
    """The registry of one process, which may lack some types or be of an older release."""
    jobs, handlers = Jobs(ledger), JobHandlers()
    register: Any = handlers.register
    for name in only:
        function = older_number(jobs) if older and name == "number" else getattr(jobs, name)
        register(name, function, **OPTIONS.get(name, {}))
    return handlers
