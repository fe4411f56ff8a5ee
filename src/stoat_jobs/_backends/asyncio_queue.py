"""The backend for an app in one process: nothing to install, nothing that survives it."""

from __future__ import annotations

import sys
import warnings
from types import FrameType
from typing import ClassVar

from .._model.capabilities import Capabilities
from .in_process_queue import InProcessQueue
from .loop_watchdog import Watchdog
from .phase import NEW


class AsyncioJobQueue(InProcessQueue):
    """Jobs in the running event loop; sync handlers in daemon threads, which are reused.

    Use it while one machine and one server process are enough: jobs end with the process, and
    each process has its own. A coroutine that never yields blocks the loop, and no in-process
    queue can stop it: the log names it (``loop_blocked``). Register it as a plain function
    instead, which runs in a thread.

    Results are kept as they are, whatever they are. One that is not JSON-serialisable, or not of
    the declared type, is an error only if the app serves it as a response model.

    Jobs may be submitted before the queue starts; they run once it does.

    >>> import asyncio
    >>> from stoat_jobs import JobContext, JobHandlers
    >>> handlers = JobHandlers()
    >>> @handlers.job
    ... async def double(ctx: JobContext, n: int) -> int:
    ...     return 2 * n
    >>> async def main() -> int:
    ...     async with AsyncioJobQueue(handlers) as queue:
    ...         return await (await double.submit(queue, n=21)).value()
    >>> asyncio.run(main())
    42
    """

    name: ClassVar[str] = "asyncio"
    capabilities: Capabilities = Capabilities(keeps_any_result=True)
    _warned = False
    _watchdog: Watchdog | None = None

    async def _open(self) -> None:
        self._index.retention.expire_on(self._loop)
        if self.settings.loop_block_limit and self._loop is not None:
            self._watchdog = Watchdog(
                self._loop, self._scheduler.running, self.settings.loop_block_limit
            )
            self._watchdog.start()

    def _shut(self) -> None:
        self._index.retention.expire_on(None)
        if self._watchdog is not None:
            self._watchdog.stop()

    def _check_open(self) -> None:
        super()._check_open()
        if self._scheduler.phase is NEW and not self._warned:
            self._warned = True
            warnings.warn(
                "a job was submitted to a queue that has not been started, and waits until it is:"
                " run the app's lifespan (with a TestClient: `with TestClient(app) as client:`)"
                " or enter the queue with `async with queue:`",
                RuntimeWarning,
                stacklevel=_callers_level(),
            )


def _callers_level() -> int:
    """How many frames up, as the caller of this counts, the first code is that is not ours."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and _is_ours(frame):
        level, frame = level + 1, frame.f_back
    return level


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] == "stoat_jobs"
