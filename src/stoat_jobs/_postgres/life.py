"""What runs between the start and the stop of a queue."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from .._backends.loop_watchdog import Watchdog
from .._events.observers import Observers
from .._jobs.protocols import JobBackend
from .._model.errors import BackendStartError
from .._model.records import JobResult
from .._run.outcome import StopReason, never_started
from .connections import Connections, Row
from .ended import tell_ended
from .keeper import Keeper
from .options import PostgresOptions
from .records import Records
from .rows import record_with
from .schema import check, install
from .sql import Sql
from .submitting import Submitting
from .telling import Telling
from .worker import Worker

# Seconds that a start may take, apart from what needs no server.
_START = 9.5

# Seconds that a stop may take beyond its settings. Of these, all but the outcomes of jobs have the
# last part: what waits to be submitted, who waits for jobs here, and the goodbye to the server.
_BEYOND = 1.0
_LAST_PART = 0.25
_CLOSING = 0.1


class Life:
    """One life of a queue, on one event loop."""

    def __init__(
        self,
        queue: JobBackend,
        options: PostgresOptions,
        connections: Connections,
        sql: Sql,
        observers: Observers,
        records: Records,
        backend: str,
    ) -> None:
        settings = queue.settings
        self._backend = backend
        self._options = options
        self._connections = connections
        self._sql = sql
        self._observers = observers
        self._records = records
        self._limit = settings.loop_block_limit
        self._watchdog: Watchdog | None = None
        self._until: float | None = None
        self.telling = Telling(
            connections,
            options.schema_name,
            records.of_waiters,
            on_work=self._look_for_work if options.worker else None,
            on_cancel=self._cancel_here,
            on_silence=self._look_around,
        )
        self.submitting = Submitting(
            backend, connections, sql, settings, observers, self._look_for_work
        )
        self.keeper = Keeper(connections, sql, settings, observers, lambda: queue.handlers)
        self.worker: Worker | None = None
        if options.worker:
            self.worker = Worker(
                queue, settings, options, connections, sql, observers, self.telling
            )

    async def open(self) -> None:
        """Begin, within some ten seconds whatever the server does.

        If it raises, :meth:`close` is to be called.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _START
        await self._connections.open()
        await self._prepare(deadline - loop.time())
        await self.telling.start(deadline - loop.time())
        self.submitting.side_task.start()
        if self.worker is not None:
            if self._limit:
                self._watchdog = Watchdog(loop, self.worker.running, self._limit)
                self._watchdog.start()
            self.keeper.side_task.start()
            self.worker.start()  # last: nobody stops it if something else fails

    async def _prepare(self, seconds: float) -> None:
        prepare = install if self._options.create_tables else check
        schema = self._options.schema_name
        try:
            async with self._connections.borrowed(seconds) as connection:
                await prepare(connection, schema)
        except TimeoutError as error:
            reason = f"{error}, as it was asked for the tables in schema {schema}"
        else:
            return
        if self._options.create_tables:
            reason += "; if they are old and large, run `stoat-jobs postgres upgrade URL`"
        raise BackendStartError(self._backend, reason)

    def ages(self) -> dict[str, float]:
        """Seconds since each side task last ended a step well, by its name."""
        tasks = [*self.telling.side_tasks, self.submitting.side_task]
        if self.worker is None:
            return {task.name: task.age for task in tasks}
        tasks += [*self.worker.side_tasks, self.keeper.side_task]
        return {"beat": self.worker.beat_age, **{task.name: task.age for task in tasks}}

    def _look_for_work(self) -> None:
        if self.worker is not None:
            self.worker.look_for_work()

    async def _look_around(self) -> None:
        if self.worker is not None:
            await self.worker.look_around()

    def _cancel_here(self, job_id: str) -> None:
        if self.worker is not None:
            self.worker.cancel(job_id)

    async def cancel(self, job_ids: list[str]) -> list[Row]:
        """Cancel those of these jobs that are live; returns their rows."""
        text = never_started(StopReason.CANCEL).error
        rows, may_be_done = await self._connections.change(self._sql.cancel, job_ids, text)
        if may_be_done:
            rows += await self._records.cancelled(set(job_ids) - {str(row["id"]) for row in rows})
        for row in rows:
            record: JobResult[Any] = record_with(row)
            if not record.status.is_terminal:
                self.telling.tell(record)
            elif record.started_at is None:  # else its worker tells
                tell_ended(self._observers, record, self.telling.tell)
        return rows

    async def stop_work(self, drain_timeout: float) -> None:
        """Let jobs finish, and stop the rest."""
        if self.worker is not None:
            beyond = self.worker.longest_grace() + _BEYOND
            self._until = asyncio.get_running_loop().time() + drain_timeout + beyond
            await self.worker.stop(drain_timeout, self._until - _LAST_PART)

    async def close(self) -> None:
        """End everything, within a short time whatever the server does.

        A stop that was short has more of it.
        """
        now = asyncio.get_running_loop().time()
        left = _BEYOND if self._until is None else min(self._until - now, _BEYOND)
        if self._watchdog is not None:
            self._watchdog.stop()
        async with AsyncExitStack() as closing:  # all of it, in reverse, whatever fails
            closing.push_async_callback(self._connections.close, _CLOSING)
            closing.push_async_callback(self.telling.close, max(left, _LAST_PART) - 2 * _CLOSING)
            closing.push_async_callback(self.submitting.close, _CLOSING)
            closing.push_async_callback(self.keeper.side_task.close)
