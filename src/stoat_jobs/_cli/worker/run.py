"""The life of a worker, from the import of the app to the exit code."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from importlib.util import find_spec
from typing import Any

from stoat_jobs import JobBackend
from stoat_jobs.backends import WorkerProcess

from .app_lifespan import AppLifespan
from .health import RUNNING, STOPPING, Health
from .loading import load_app
from .logs import FallbackLog
from .problems import WRONG, WorkerError, say
from .signals import Signals

Factory = Callable[[], asyncio.AbstractEventLoop]


def run(arguments: Namespace) -> int:
    """Run the worker; returns the exit code."""
    with Signals() as signals, FallbackLog():
        try:
            with asyncio.Runner(loop_factory=_loop_factory(arguments.loop)) as runner:
                return runner.run(_Run(arguments, signals).main())
        except WorkerError as error:
            say(error.problem)
            return error.code
        except KeyboardInterrupt:
            if signals.name is None:
                raise
            return 0  # nothing ran yet


def _loop_factory(name: str) -> Factory | None:
    if name == "asyncio":
        return None
    if find_spec("uvloop") is None:
        if name == "uvloop":
            raise WorkerError(WRONG, "uvloop not installed: pip install uvloop")
        return None
    import uvloop

    return uvloop.new_event_loop


class _Run:
    def __init__(self, arguments: Namespace, signals: Signals) -> None:
        self._arguments = arguments
        self._signals = signals
        self._health = Health(arguments.health_limit)

    async def main(self) -> int:
        arguments = self._arguments
        async with AsyncExitStack() as stack:
            if arguments.health is not None:
                await stack.enter_async_context(self._health.serving(*arguments.health))
            if arguments.health_file is not None:
                await stack.enter_async_context(self._health.writing(arguments.health_file))
            with self._signals.raising():
                app = load_app(arguments.app, arguments.app_dir, is_factory=arguments.factory)
            await self._live(app)
        return 0

    async def _live(self, app: Any) -> None:
        wanted = WorkerProcess(self._arguments.concurrency, self._arguments.job_types)
        with wanted as worker:  # its task has this context
            life = AppLifespan(app, self._arguments.app_dir)
        try:
            is_stopped = await self._unless_stopped(life.start())
        except WorkerError as error:
            raise (WorkerError(WRONG, worker.refusal) if worker.refusal else error) from None
        if is_stopped:
            await life.cancel()
            return
        problem = worker.problem
        if problem is None:
            await self._work(life, worker)
        self._health.status = STOPPING
        await life.stop()
        if problem is not None:
            raise WorkerError(WRONG, problem)

    async def _work(self, life: AppLifespan, worker: WorkerProcess) -> None:
        """Run jobs until a signal, or until the lifespan ends by itself."""
        self._health.queues, self._health.status = worker.shared, RUNNING
        for name, queue in worker.shared.items():
            say(_what_runs(name, queue))
        if await self._unless_stopped(life.ended()):
            say(
                f"{self._signals.name}: running jobs may finish; Ctrl-C {self._more} leaves at once"
            )

    @property
    def _more(self) -> str:
        return "once more" if self._signals.name == "Ctrl-C" else "twice"

    async def _unless_stopped(self, work: Coroutine[Any, Any, None]) -> bool:
        """Await *work* until there is a signal; whether there was one before its end."""
        task = asyncio.create_task(work)
        signalled = asyncio.create_task(self._signals.received())
        await asyncio.wait([task, signalled], return_when=asyncio.FIRST_COMPLETED)
        is_stopped = not task.done()
        for each in (task, signalled):
            each.cancel()
        await asyncio.wait([task, signalled])
        if not is_stopped:
            task.result()
        return is_stopped


def _what_runs(name: str, queue: JobBackend) -> str:
    settings = queue.settings
    chosen = settings.options.get("job_types")
    types = [each.name for each in queue.handlers if chosen is None or each.name in chosen]
    slots = f"{settings.concurrency} at a time"
    return f"{name} on {settings.backend}, {slots}: {', '.join(sorted(types)) or 'no job types'}"
