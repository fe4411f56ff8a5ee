"""The heartbeat of a worker: a thread with an event loop and a connection of its own.

A handler that holds the application's event loop costs no lease. But a loop that has not
answered for some leases is wedged, and its jobs are better run elsewhere: then it stops beating.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable
from uuid import UUID

from .._events.log import log_event
from .._run.calls import call_threadsafe
from .connections import Connection, Connections
from .side_tasks import SideTask
from .sql import Sql

# Leases after which an event loop that has not answered is wedged.
_PATIENCE = 3


class Beat(threading.Thread):
    """Renews the leases of what runs here, and hears what was lost and what was cancelled."""

    idle = True
    """A fake clock does not wait for it: only its connections can tell when something comes."""

    def __init__(
        self,
        connections: Connections,
        sql: Sql,
        owner: UUID,
        lease: float,
        running: Callable[[], Iterable[int]],
        told: Callable[[set[int], set[int]], None],
        failed: Callable[[], None],
    ) -> None:
        """Be a thread that is not started yet.

        *running* gives the sequence numbers of the jobs that run here, and may be called from any
        thread. *told* is called on the event loop that runs here, with the numbers of jobs that
        now belong to others, and of those that were told to stop; *failed* is called there each
        time when the server could not be reached.
        """
        super().__init__(name="stoat-jobs beat", daemon=True)
        self._connections = connections
        self._sql = sql
        self._owner = owner
        self._lease = lease
        self._running = running
        self._told = told
        self._failed = failed
        self._app_loop = asyncio.get_running_loop()
        self._asked_at: float | None = None  # when the loop was asked for an answer
        self._has_warned = False
        self._connection: Connection | None = None
        self._renewed_at = time.monotonic()
        self._is_closed = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def age(self) -> float:
        """Seconds since it last renewed."""
        return time.monotonic() - self._renewed_at

    def close(self) -> None:
        """End; it may take a moment, for which nobody has to wait."""
        self._is_closed.set()
        if self._loop is not None:
            call_threadsafe(self._loop, self._end)

    def run(self) -> None:
        while not self._is_closed.is_set():
            try:
                # Not by the policy: whatever the app's loops are, this one has no part in it.
                with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                    runner.run(self._main())
            except BaseException as error:
                log_event(logging.ERROR, "beat_restarted", exc_info=error)
                self._is_closed.wait(self._lease / 4)

    async def _main(self) -> None:
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        beating = SideTask("beat", self._beat, self._lease / 4)
        beating.start()
        try:
            if not self._is_closed.is_set():  # else that was before there was a loop to tell
                await self._ended.wait()
            await beating.close()
        finally:
            self._drop()

    def _end(self) -> None:
        self._ended.set()

    async def _beat(self) -> float:
        if self._is_app_answering():
            try:
                await self._renew()
            except BaseException:
                self._drop()
                call_threadsafe(self._app_loop, self._failed)
                raise
            self._renewed_at = time.monotonic()
        return self._lease / 4

    async def _renew(self) -> None:
        limit = self._lease / 3  # so that there is time for another try within the lease
        if self._connection is None or self._connection.is_closed():
            async with asyncio.timeout(limit):
                self._connection = await self._connections.connect()
        if not (numbers := sorted(self._running())):
            return
        # Not by a cancel, after which a transaction would wait for its rollback.
        alarm = asyncio.get_running_loop().call_later(limit, self._connection.terminate)
        try:
            await self._renew_some(self._connection, numbers)
        finally:
            alarm.cancel()

    async def _renew_some(self, connection: Connection, numbers: list[int]) -> None:
        arguments = (numbers, self._owner, self._lease)
        kept = await self._connections.fetch_on(connection, self._sql.beat, *arguments)
        lost = set(numbers) - {row["id"] for row in kept}
        cancelled = {row["id"] for row in kept if row["cancel_requested"]}
        if lost or cancelled:
            call_threadsafe(self._app_loop, self._told, lost, cancelled)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    # Whether the application's loop turns

    def _is_app_answering(self) -> bool:
        now = time.monotonic()
        asked_at = self._asked_at  # once: the answer comes in another thread
        if asked_at is None:
            self._asked_at = asked_at = now
            if not call_threadsafe(self._app_loop, self._answer):
                self.close()
                return False
        is_wedged = now - asked_at > _PATIENCE * self._lease
        if is_wedged and not self._has_warned:
            log_event(logging.ERROR, "beat_stopped", error="the event loop does not answer")
        self._has_warned = is_wedged
        return not is_wedged

    def _answer(self) -> None:
        self._asked_at = None
