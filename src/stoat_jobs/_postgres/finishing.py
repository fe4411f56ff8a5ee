"""How outcomes are written: those that wait, in one statement, until they are or the lease ends.

- An outcome that the server does not take was overtaken: by a cancel that it had accepted before,
  then the job ends as cancelled; or by another worker that has the job now, then it is dropped.
- A value that the server refuses fails its job and no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

from .._model.status import FAILED, PENDING
from .._run.outcome import Outcome, StopReason, failed
from .claims import Claim
from .connections import Connections, Row
from .reasons import is_data_error, reason_of
from .rows import metadata_text
from .side_tasks import IDLE, SideTask
from .sql import Sql

# What one statement has at most; so many ids fit in one notice.
_MOST_AT_ONCE = 200
_MOST_BYTES = 8_000_000

GIVEN_BACK = Outcome(PENDING)
"""Of a job that runs again elsewhere."""


class Finishing:
    """Writes the outcomes of one worker's jobs."""

    def __init__(
        self,
        connections: Connections,
        sql: Sql,
        owner: UUID,
        lease: float,
        over: Callable[[Claim, Row | None], None],
    ) -> None:
        """*over* is called when a job is no longer ours, with what was written, or None."""
        self._connections = connections
        self._sql = sql
        self._owner = owner
        self._lease = lease
        self._over = over
        self._ended: list[tuple[Claim, dict[str, Any]]] = []
        self.side_task = SideTask("finish", self._write_some)
        self._idle: asyncio.Event = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        return len(self._ended)

    def add(self, claim: Claim, outcome: Outcome) -> None:
        """Write how a job has ended."""
        claim.outcome = outcome
        self._idle.clear()
        self._ended.append((claim, _columns_of(claim, outcome)))
        self.side_task.wake()

    async def wait_until_written(self, seconds: float) -> None:
        """Wait until all is written; at most so many *seconds*."""
        idle = asyncio.ensure_future(self._idle.wait())
        await asyncio.wait([idle], timeout=seconds)
        idle.cancel()

    async def _write_some(self) -> float:
        while self._ended:
            batch = self._next_batch()
            try:
                await self._write(batch)
            except Exception as error:
                if not is_data_error(error):
                    raise  # the side task tries again in a moment
                await self._write_one_by_one(batch)
        self._idle.set()
        return IDLE

    def _next_batch(self) -> list[tuple[Claim, dict[str, Any]]]:
        room, number = _MOST_BYTES, 0
        for _, columns in self._ended[:_MOST_AT_ONCE]:
            room -= len(columns["result"] or "")
            if room < 0 and number:
                break
            number += 1
        return self._ended[:number]

    async def _write(self, batch: list[tuple[Claim, dict[str, Any]]]) -> None:
        """Write *batch*, which stays until that has succeeded."""
        columns = [list(column) for column in zip(*(each.values() for _, each in batch))]
        rows = await self._connections.fetch(self._sql.finish, self._owner, *columns)
        written = {row["seq"]: row for row in rows}
        refused = [claim for claim, _ in batch if claim.seq not in written]
        cancelled = await self._cancelled_of(refused)
        done = {id(claim) for claim, _ in batch}
        self._ended = [each for each in self._ended if id(each[0]) not in done]
        for claim, _ in batch:
            if claim.seq in written:
                self._over(claim, written[claim.seq])
            elif claim.seq in cancelled:
                self._overrule(claim)
            else:
                claim.log(logging.WARNING, "outcome_refused")
                self._over(claim, None)

    async def _cancelled_of(self, claims: list[Claim]) -> set[int]:
        """Those of *claims* that are still ours, and have been cancelled."""
        unknown = [claim.seq for claim in claims if not claim.is_cancel_known]
        if not unknown:
            return set()
        rows = await self._connections.fetch(self._sql.flags, unknown)
        return {row["seq"] for row in rows}

    def _overrule(self, claim: Claim) -> None:
        """A cancel was accepted before the outcome was written."""
        claim.is_cancel_known = True
        if claim.outcome is not None:
            self.add(claim, claim.outcome.overruled(StopReason.CANCEL, claim.timeout))

    async def _write_one_by_one(self, batch: list[tuple[Claim, dict[str, Any]]]) -> None:
        for each in batch:
            try:
                await self._write([each])
            except Exception as error:
                if not is_data_error(error):
                    raise
                self._fail(each[0], error)

    def _fail(self, claim: Claim, error: Exception) -> None:
        """The server refuses a value of this job."""
        self._ended = [each for each in self._ended if each[0] is not claim]
        claim.progress = claim.message = None
        reason = f"the server refuses its outcome: {reason_of(error)}"
        self.add(claim, Outcome(FAILED, None, reason, failed(error).error_type))


def _columns_of(claim: Claim, outcome: Outcome) -> dict[str, Any]:
    """What ``Sql.finish`` is given of a job."""
    is_back = outcome.status is PENDING
    result = None
    if outcome.result is not None:
        result = claim.definition.encode_result(outcome.result).decode()
    progress = None if outcome.refused and claim.progress == 1.0 else claim.progress
    return {
        "seq": claim.seq,
        "delivery": claim.delivery,
        "status": str(outcome.status),
        "result": result,
        "error": outcome.error,
        "error_type": outcome.error_type,
        "is_cancel_known": claim.is_cancel_known,
        "progress": None if is_back else progress,
        "message": None if is_back else claim.message,
        "attempt": 0 if is_back else claim.attempt,
        "metadata": metadata_text(claim.metadata),
        "pause": claim.pause,
    }
