"""What keeps the tables small and in agreement: old records go, lost rows come back.

Every worker does this, and no two of them take the same rows. So each removed record is told
once, by one of them. However large records are, a statement has to end within its time: so one
removes as many as are small together, and reads them only if an observer wants them.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterator
from typing import Any

from .._events.log import log_event
from .._events.observers import Observers
from .._jobs.handlers import JobHandlers
from .._model.events import RemovalReason, RemovedEvent
from .._model.records import JobResult
from .._model.settings import JobQueueSettings
from .._text import SHOWN_LIMIT, one_line
from .connections import Connections, Row
from .reading_sql import EVER
from .rows import record_of
from .side_tasks import SideTask
from .sql import IDS_IN_A_NOTICE, Sql

# Seconds between two rounds, and between two looks for records without a row of the engine.
_PRUNE_EVERY = 5.0
_SWEEP_EVERY = 60.0

# What one statement removes at most.
_AT_ONCE = 1_000
_BYTES_AT_ONCE = 8_000_000
_LOG_AT_ONCE = 20_000


def ttl_of(settings: JobQueueSettings) -> float:
    """Seconds that a record is kept, as the statements have it."""
    return min(settings.result_ttl, EVER)


class Keeper:
    """Prunes, and sweeps, for one life of a queue."""

    def __init__(
        self,
        connections: Connections,
        sql: Sql,
        settings: JobQueueSettings,
        observers: Observers,
        handlers: Callable[[], JobHandlers],
    ) -> None:
        self._connections = connections
        self._sql = sql
        self._settings = settings
        self._observers = observers
        self._handlers = handlers
        self._swept = -math.inf
        self.side_task = SideTask("keep", self._keep)

    async def _keep(self) -> float:
        ttl, most = ttl_of(self._settings), self._settings.max_results
        is_more = [
            await self._prune("age", self._sql.too_old, ttl),
            await self._prune("number", self._sql.too_many, most),
            await self._prune_log(),
            await self._sweep_now_and_then(),
        ]
        return 0.0 if any(is_more) else _PRUNE_EVERY

    # Each of these does some, and returns whether there may be more.

    async def _prune(self, reason: RemovalReason, sql: str, most: float) -> bool:
        found = await self._connections.fetch(sql, most, _AT_ONCE)
        is_told = self._observers.wants["removed"]()
        remove = self._sql.remove_and_read if is_told else self._sql.remove
        for ids in _small_together(found):
            self.tell_removed(await self._connections.fetch(remove, ids), reason)
        return len(found) == _AT_ONCE

    async def _prune_log(self) -> bool:
        (row,) = await self._connections.fetch(self._sql.prune_log, _LOG_AT_ONCE)
        is_more: bool = row["number"] == _LOG_AT_ONCE
        return is_more

    async def _sweep_now_and_then(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now < self._swept + _SWEEP_EVERY:
            return False
        (row,) = await self._connections.fetch(self._sql.sweep, IDS_IN_A_NOTICE)
        if row["number"]:
            log_event(logging.WARNING, "jobs_queued_again", number=row["number"])
        if row["number"] == IDS_IN_A_NOTICE:
            return True
        self._swept = now
        return False

    def tell_removed(self, rows: list[Row], reason: RemovalReason) -> None:
        """Tell observers that these records have gone."""
        if self._observers.wants["removed"]():
            for row in rows:
                event = RemovedEvent(record_of(row, self._handlers()), reason)
                self._observers.tell("removed", event)

    async def delete(self, record: JobResult[Any]) -> bool:
        """Remove the record of a finished job; whether this did it."""
        rows, may_be_done = await self._connections.change(self._sql.delete, record.job_id)
        if not (rows or may_be_done):
            return False
        job_type = one_line(record.job_type, SHOWN_LIMIT)
        log_event(logging.INFO, "job_deleted", job_id=record.job_id, job_type=job_type)
        if self._observers.wants["removed"]():
            self._observers.tell("removed", RemovedEvent(record, "deleted"))
        return True


def _small_together(found: list[Row]) -> Iterator[list[Any]]:
    """The ids of *found*, in parts that one statement can remove and read."""
    ids: list[Any] = []
    room = _BYTES_AT_ONCE
    for row in found:
        room -= row["size"]
        if room < 0 and ids:
            yield ids
            ids, room = [], _BYTES_AT_ONCE - row["size"]
        ids.append(row["id"])
    if ids:
        yield ids
