"""Which jobs this worker gets: PgQueuer's claim, and our record of it, in one transaction.

- It asks for as many as there are free slots, only of job types that have a handler here; for a
  type with a limit of its own, for as many as that leaves.
- A job that was lost before, and may be lost once more, is a suspect: it may kill its process.
  There is one of these at a time, or it would take the others with it.
- Jobs whose lease has ended are taken over only after one lease of unbroken contact with the
  server: after an outage every lease has ended, and most owners are alive.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

from pgqueuer.adapters.persistence.qb import QueryQueueBuilder
from pgqueuer.domain.types import QueueManagerId

from .._events.log import log_event
from .._jobs.context import variables_of
from .._jobs.handlers import JobHandlers
from .._jobs.job_types import JobType
from .._model.metadata import read_only
from .._payload.frozen import FrozenPayload
from .._run.job_run import JobRun
from .._run.outcome import Outcome
from .._text import one_line
from .connections import Connection, Connections, Row
from .options import PostgresOptions
from .reasons import is_slot_taken
from .rows import metadata_of
from .schema import engine_settings
from .sql import Sql

# What one claim takes at most; so many ids fit in one notice.
_MOST_AT_ONCE = 100

# Part of a lease between two looks for jobs that nobody has told of: those of lost workers.
_LOOKS = 3

# Of a table without statistics the server thinks that it has few rows, and that to sort all that
# wait is as good as to read the first by the index in that order. It is not if there are many.
_BY_INDEX = "SET LOCAL enable_sort = off"

_NEVER = timedelta(days=36_500)


@dataclass(eq=False)
class Claim:
    """One delivery of one job to this worker."""

    row: Row
    definition: JobType[..., Any]
    payload: FrozenPayload = field(init=False)
    progress: float | None = None
    message: str | None = None
    run: JobRun[Any] | None = None
    outcome: Outcome | None = None
    """How it ended, until that is written."""
    pause: float = 0.0
    """Seconds to wait before it is delivered again, if its payload was refused here."""
    is_cancel_known: bool = False
    """Whether the run has heard of a caller's cancel, so its outcome respects it."""
    is_cancelling_itself: bool = False

    def __post_init__(self) -> None:
        row = self.row
        self.seq: int = row["seq"]
        self.job_id = str(row["id"])
        self.job_type: str = row["type"]
        self.delivery: int = row["delivery"]
        self.timeout: float = row["timeout"]
        self.metadata: Mapping[str, Any] = read_only(metadata_of(row))
        self.variables = variables_of(self.job_id)

    @property
    def attempt(self) -> int:
        """Which start of the handler this is."""
        return 0 if self.run is None else self.run.attempt

    def log(self, level: int, event: str, **more: Any) -> None:
        """Log what happened to the job."""
        job_type = one_line(self.job_type, 200)
        log_event(level, event, job_id=self.job_id, job_type=job_type, **more)


@dataclass
class Claimed:
    """What one claim gave."""

    claims: list[Claim] = field(default_factory=list)
    buried: list[Row] = field(default_factory=list)
    """The records of jobs that had been lost too often."""
    is_full: bool = False
    """Whether there may be more."""


class Claims:
    """Claims jobs for one worker."""

    def __init__(
        self,
        connections: Connections,
        sql: Sql,
        options: PostgresOptions,
        handlers: Callable[[], JobHandlers],
    ) -> None:
        """*handlers* returns the registry, which may change while the queue runs."""
        # Made when the queue starts: two workers never have the same, also after a fork.
        self.owner = QueueManagerId(uuid4())
        self._connections = connections
        self._sql = sql
        self._options = options
        self._handlers = handlers
        self._builder = QueryQueueBuilder(engine_settings(options.schema_name))
        self._contact_since: float | None = None
        self.own: dict[int, Claim] = {}
        """What this worker has, until it is written how it ended; by the engine's ids."""

    async def claim(self, free: int, running: Mapping[str, int]) -> Claimed:
        """Take over up to *free* jobs; *running* says how many of each type run here."""
        room = {each.name: _room(each, running) for each in self._handlers()}
        free = min(free, _MOST_AT_ONCE)
        claimed = Claimed()
        try:
            async with self._connections.transaction(local=_BY_INDEX) as connection:
                rows = await self._dequeue(connection, free, room)
                if rows:
                    await self._start(connection, rows, claimed)
        except BaseException as error:
            if is_slot_taken(error):  # so the engine keeps a limit over all workers
                return Claimed(is_full=True)
            self._contact_since = None
            raise
        if self._contact_since is None:
            self._contact_since = asyncio.get_running_loop().time()
        claimed.is_full = len(rows) >= free
        for claim in claimed.claims:
            self.own[claim.seq] = claim
        return claimed

    async def _dequeue(
        self, connection: Connection, free: int, room: Mapping[str, int]
    ) -> list[Row]:
        names: list[Any] = [name for name, some in room.items() if some > 0]
        if not names:
            return []
        query = self._builder.build_dequeue_query(
            batch_size=free,
            entrypoints=names,
            concurrency_limits=[self._options.limits.get(name, 0) for name in names],
            queue_manager_id=self.owner,
            global_concurrency_limit=None,
            heartbeat_timeout=self._stale_after(),
        )
        rows: list[Row] = await connection.fetch(query.sql, *query.args)
        # A late beat of ours: the claim has renewed the lease of what runs here.
        others = [row for row in rows if row["id"] not in self.own]
        kept, left = _as_far_as_there_is_room(others, room)
        if left:
            await connection.fetch(self._sql.leave, left)
        return kept

    def _stale_after(self) -> timedelta:
        since, lease = self._contact_since, self._options.lease
        now = asyncio.get_running_loop().time()
        return timedelta(seconds=lease) if since is not None and now - since >= lease else _NEVER

    async def _start(self, connection: Connection, rows: list[Row], claimed: Claimed) -> None:
        order = {row["id"]: number for number, row in enumerate(rows)}
        most = self._options.max_deliveries
        records = await connection.fetch(self._sql.start, list(order), most)
        records.sort(key=lambda record: order[record["seq"]])
        missing = order.keys() - {record["seq"] for record in records}
        if missing:
            claimed.buried = await connection.fetch(self._sql.bury, sorted(missing))
        aside = self._suspects_too_many(records)
        if aside:
            await connection.fetch(self._sql.put_aside, sorted(aside))
        for record in records:
            if record["seq"] not in aside:
                claimed.claims.append(Claim(record, self._handlers().get(record["type"])))

    def _suspects_too_many(self, records: list[Row]) -> set[int]:
        """Of those that were lost before, and may be lost once more: all but one at a time."""
        suspects = [record["seq"] for record in records if self._is_suspect(record)]
        has_one = any(self._is_suspect(claim.row) for claim in self.own.values())
        return set(suspects[0 if has_one else 1 :])

    def _is_suspect(self, record: Row) -> bool:
        losses: int = record["losses"]
        return losses >= max(self._options.max_deliveries - 1, 1)

    async def seconds_to_next(self) -> float:
        """How long to wait before the next look, if nobody tells of new jobs."""
        names = [definition.name for definition in self._handlers()]
        (row,) = await self._connections.fetch(self._sql.next_due, names)
        due = row["seconds"]
        look = self._options.lease / _LOOKS
        return look if due is None else min(max(due, 0.0) + 0.001, look)

    def log_redelivered(self, claims: list[Claim]) -> None:
        """Say which of *claims* ran before, on a worker that was lost."""
        for claim in claims:
            if claim.row["losses"]:
                claim.log(logging.WARNING, "job_redelivered", losses=claim.row["losses"])


def _room(definition: JobType[..., Any], running: Mapping[str, int]) -> int:
    """How many more jobs of this type may run here."""
    if definition.concurrency is None:
        return _MOST_AT_ONCE
    return definition.concurrency - running.get(definition.name, 0)


def _as_far_as_there_is_room(
    rows: list[Row], room: Mapping[str, int]
) -> tuple[list[Row], list[int]]:
    """Those of *rows* that may run here, and the ids of the others."""
    left_over = dict(room)
    kept, left = [], []
    for row in rows:
        left_over[row["entrypoint"]] -= 1
        if left_over[row["entrypoint"]] >= 0:
            kept.append(row)
        else:
            left.append(row["id"])
    return kept, left
