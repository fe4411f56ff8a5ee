"""How outcomes are written: those that wait, in one statement, until they are or the lease ends.

- An outcome that the server does not take was overtaken: by a cancel that it had accepted before,
  then the job ends as cancelled; or by another worker that has the job now, then it is dropped.
- Large results have more time, and what fails is tried again after the others. So a result that
  a link is too slow for holds up no other.
- A value that the server refuses fails its job and no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Any
from uuid import UUID

from .._model.metadata import read_only
from .._model.status import FAILED, PENDING
from .._run.outcome import Outcome, StopReason
from .claims import Claim
from .connections import Connections, Row
from .reasons import is_data_error, reason_of
from .rows import metadata_of, metadata_text
from .side_tasks import IDLE, SideTask
from .sql import IDS_IN_A_NOTICE, Sql

# What one statement has at most.
_MOST_BYTES = 8_000_000

_REFUSED = "OutcomeRefused"

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
        self._ended: dict[Claim, dict[str, Any]] = {}
        """What is to be written, the oldest first, apart from what failed."""
        self.side_task = SideTask("finish", self._write_some)
        self._idle: asyncio.Event = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        return len(self._ended)

    def add(self, claim: Claim, outcome: Outcome) -> None:
        """Write how a job has ended."""
        claim.outcome = outcome
        self._idle.clear()
        self._ended[claim] = _columns_of(claim, outcome)
        self.side_task.wake()

    def _let_go(self, claim: Claim) -> Outcome:
        self._ended.pop(claim, None)
        return claim.outcome or GIVEN_BACK

    async def wait_until_written(self, seconds: float) -> None:
        """Wait until all is written; at most so many *seconds*."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    async def _write_some(self) -> float:
        while self._ended:
            batch = self._next_batch()
            try:
                await self._write(batch)
            except Exception as error:
                if not is_data_error(error):
                    self._put_last(batch)
                    raise  # the side task tries again in a moment
                await self._write_one_by_one(batch)
        self._idle.set()
        return IDLE

    def _next_batch(self) -> list[Claim]:
        batch: list[Claim] = []
        room = _MOST_BYTES
        for claim, columns in islice(self._ended.items(), IDS_IN_A_NOTICE):
            room -= _size(columns)
            if room < 0 and batch:
                break
            batch.append(claim)
        return batch

    def _put_last(self, batch: list[Claim]) -> None:
        for claim in batch:
            if claim in self._ended:
                self._ended[claim] = self._ended.pop(claim)

    async def _write(self, batch: list[Claim]) -> None:
        """Write the outcomes of *batch*, which stay until that has succeeded."""
        ended = [self._ended[claim] for claim in batch]
        columns = map(list, zip(*(each.values() for each in ended)))
        seconds = self._connections.seconds_for(sum(map(_size, ended)))
        found = await self._connections.fetch(
            self._sql.finish, self._owner, *columns, seconds=seconds
        )
        rows = {row["seq"]: row for row in found}
        for claim in batch:
            if claim.seq in rows:
                self._let_go(claim)
                self._over(claim, rows[claim.seq])
        refused = [claim for claim in batch if claim in self._ended]
        if refused:
            await self._look_at(refused)

    async def _look_at(self, claims: list[Claim]) -> None:
        """See why the outcomes of *claims* were not written."""
        found = await self._connections.fetch(self._sql.state, [claim.seq for claim in claims])
        rows = {row["seq"]: row for row in found}
        for claim in claims:
            outcome = self._let_go(claim)
            row = rows.get(claim.seq)
            if row is None or row["delivery"] != claim.delivery:
                claim.log(logging.WARNING, "outcome_refused")
                self._over(claim, None)
            elif row["status"] == outcome.status:  # it was written, and only the answer was lost
                self._over(claim, row)
            elif row["cancel_requested"] and not claim.is_cancel_known:
                claim.is_cancel_known = True
                self.add(claim, outcome.overruled(StopReason.CANCEL, claim.timeout))
            else:
                claim.log(logging.WARNING, "outcome_refused")
                self._over(claim, None)

    async def _write_one_by_one(self, batch: list[Claim]) -> None:
        for claim in batch:
            try:
                await self._write([claim])
            except Exception as error:
                if not is_data_error(error):
                    raise
                self._fail(claim, error)

    def _fail(self, claim: Claim, error: Exception) -> None:
        """The server refuses a value of this job."""
        reason = f"the server refuses its outcome: {reason_of(error)}"
        if self._let_go(claim).error_type == _REFUSED:  # and not because of its result
            claim.log(logging.ERROR, "outcome_refused", error=reason)
            self._over(claim, None)
            return
        claim.progress = claim.message = None
        claim.metadata = read_only(metadata_of(claim.row))
        self.add(claim, Outcome(FAILED, None, reason, _REFUSED))


def _size(columns: dict[str, Any]) -> int:
    return len(columns["result"] or "")


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
