"""Which jobs this worker gets: PgQueuer's claim, and our record of it, in one transaction.

- It asks for as many as there are free slots, only of job types that have a handler here, and of
  those only the ones that the options name; for a type with a limit of its own, for as many as
  that leaves.
- A job that was lost before, and may be lost once more, is a suspect: it may kill its process.
  There is one of these at a time, or it would take the others with it.
- Jobs whose lease has ended are taken over only after one lease of unbroken contact with the
  server: after an outage every lease has ended, and most owners are alive.
- What a claim gives may be committed without its answer. So after a failure, the next claim first
  gives back what this worker has without knowing it.
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
from pgqueuer.domain.types import QueueEntrypoint, QueueManagerId

from .._events.log import log_event
from .._jobs.context import variables_of
from .._jobs.handlers import JobHandlers
from .._jobs.job_types import JobType
from .._model.errors import BackendStartError
from .._model.metadata import read_only
from .._model.status import PENDING
from .._payload.frozen import FrozenPayload
from .._run.job_run import JobRun
from .._run.outcome import Outcome
from .._text import nearest_first, one_line, shown
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
_BY_INDEX = "SET LOCAL enable_sort = off; SET LOCAL enable_seqscan = off"

# How the engine's claim finds the rows that it has chosen: also if the server thinks that there are
# none, ours finds them by index. Where the engine's words have changed, it does what it says.
FOUND = "WHERE id IN (SELECT id FROM eligible)"
FOUND_BY_INDEX = "WHERE id = ANY(ARRAY(SELECT id FROM eligible))"

# The heartbeat of the engine's rows. Ours is when the lease ends, so that others judge by the lease
# of the owner, and not by their own. If these words have changed, it takes another statement.
_HEARTBEAT = "heartbeat = NOW()"

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
    """Seconds to wait before it is delivered again, if it is given back."""
    is_refused: bool = False
    """Whether it is given back because this code refuses its payload."""
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
    pause: float = 0.0
    """Seconds to wait before the next look, if nobody tells of new jobs."""


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
        room = {each.name: _room(each, running) for each in self._claimed_types()}
        claimed = Claimed()
        try:
            async with self._connections.transaction(local=_BY_INDEX) as connection:
                await self._claim(connection, free, room, claimed)
        except BaseException as error:
            if is_slot_taken(error):  # so the engine keeps a limit over all workers
                return Claimed()
            self.lose_contact()
            raise
        if self._contact_since is None:
            self._contact_since = asyncio.get_running_loop().time()
        for claim in claimed.claims:
            self.own[claim.seq] = claim
        return claimed

    def _claimed_types(self) -> list[JobType[..., Any]]:
        names = self._options.job_types
        return [each for each in self._handlers() if names is None or each.name in names]

    def lose_contact(self) -> None:
        """The server could not be reached."""
        self._contact_since = None

    async def _claim(
        self, connection: Connection, free: int, room: Mapping[str, int], claimed: Claimed
    ) -> None:
        if self._contact_since is None:
            await connection.fetch(self._sql.take_back, self.owner, list(self.own))
        names = [name for name, some in room.items() if some > 0]
        free = min(free, sum(room[name] for name in names), _MOST_AT_ONCE)
        rows = await self._dequeue(connection, free, names) if names else []
        new = [row for row in rows if self._is_new(row["id"])]
        kept, left = _as_far_as_there_is_room(new, room)
        if left:
            await connection.fetch(self._sql.leave, left)
        if kept:
            await self._start(connection, kept, claimed)
        if len(rows) < free or not names:  # else there may be more
            claimed.pause = await self._seconds_to_next(connection)

    def _is_new(self, seq: int) -> bool:
        """Whether a job is not one of ours that the engine thinks lost, as our beat was late."""
        claim = self.own.get(seq)
        # What is given back may be claimed again before its answer has come.
        return claim is None or (claim.outcome is not None and claim.outcome.status is PENDING)

    async def _dequeue(self, connection: Connection, free: int, names: list[str]) -> list[Row]:
        query = self._builder.build_dequeue_query(
            batch_size=free,
            entrypoints=[QueueEntrypoint(name) for name in names],
            concurrency_limits=[self._options.limits.get(name, 0) for name in names],
            queue_manager_id=self.owner,
            global_concurrency_limit=None,
            heartbeat_timeout=self._stale_after(),
        )
        lease = self._options.lease
        sql = query.sql.replace(FOUND, FOUND_BY_INDEX)
        sql = sql.replace(_HEARTBEAT, f"{_HEARTBEAT} + interval '{lease} seconds'")
        rows: list[Row] = await connection.fetch(sql, *query.args)
        if rows and _HEARTBEAT not in sql:
            ids = [row["id"] for row in rows]
            await connection.fetch(self._sql.beat, ids, self.owner, lease)
        return rows

    def _stale_after(self) -> timedelta:
        """How long ago a lease must have ended; the end is in the engine's heartbeat."""
        since, lease = self._contact_since, self._options.lease
        now = asyncio.get_running_loop().time()
        return timedelta(0) if since is not None and now - since >= lease else _NEVER

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

    async def _seconds_to_next(self, connection: Connection) -> float:
        names = [definition.name for definition in self._claimed_types()]
        due = (await connection.fetchrow(self._sql.next_due, names))["seconds"]
        look = self._options.lease / _LOOKS
        return look if due is None else min(max(due, 0.0) + 0.001, look)

    def log_redelivered(self, claims: list[Claim]) -> None:
        """Say which of *claims* ran before, on a worker that was lost."""
        for claim in claims:
            if claim.row["losses"]:
                claim.log(logging.WARNING, "job_redelivered", losses=claim.row["losses"])


def check_job_types(backend: str, options: PostgresOptions, handlers: JobHandlers) -> None:
    """Refuse a worker of job types for which there is no handler.

    Raises:
        BackendStartError: there is one; names those that there are.
    """
    known = {each.name for each in handlers}
    for name in (options.worker and options.job_types) or ():
        if name not in known:
            names = one_line(", ".join(nearest_first(name, known)) or "none", 1000)
            reason = f"its option job_types has {shown(name)}, for which there is no handler here"
            raise BackendStartError(backend, f"{reason}; known, nearest first: {names}")


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
