"""How outcomes are written: those that wait, in one statement, until they are or the lease ends.

- An outcome that the server does not take was overtaken: by a cancel that it had accepted before,
  then the job ends as cancelled; or by another worker that has the job now, then it is dropped.
- Large results have more time, and what fails is tried again after the others. So a result that
  a link is too slow for holds up no other.
- A value that the server refuses fails its job and no other.
- A record that somebody's open transaction has locked is written when that has ended. It holds up
  no other: where a statement waited for a lock in vain, the next one passes over what is locked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any
from uuid import UUID

from .._model.metadata import read_only
from .._model.status import FAILED, PENDING
from .._run.outcome import Outcome, StopReason
from .claims import Claim
from .connections import Connections, Row
from .reasons import is_data_error, is_lock_timeout, reason_of
from .rows import metadata_of, metadata_text
from .side_tasks import IDLE, SideTask
from .sql import IDS_IN_A_NOTICE, Sql

# What one statement has at most.
_MOST_BYTES = 8_000_000

# Seconds between two looks whether what was locked still is.
_LOOK = 0.5

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
        over: Callable[[Claim, Row | None], None],
    ) -> None:
        """*over* is called when a job is no longer ours, with what was written, or None."""
        self._connections = connections
        self._sql = sql
        self._owner = owner
        self._over = over
        self._ready: dict[Claim, dict[str, Any]] = {}
        """What is to be written, the oldest first, apart from what failed."""
        self._locked: dict[Claim, dict[str, Any]] = {}
        """The same, of records that others have locked."""
        self._is_connected = False
        self.side_task = SideTask("finish", self._write_some)
        self._idle: asyncio.Event = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        return len(self._ready) + len(self._locked)

    def add(self, claim: Claim, outcome: Outcome) -> None:
        """Write how a job has ended."""
        claim.outcome = outcome
        self._idle.clear()
        self._ready[claim] = _columns_of(claim, outcome)
        self.side_task.wake()

    def _let_go(self, claim: Claim) -> None:
        self._ready.pop(claim, None)
        self._locked.pop(claim, None)

    def _columns(self, claim: Claim) -> dict[str, Any]:
        return self._ready[claim] if claim in self._ready else self._locked[claim]

    def _set_aside(self, claim: Claim) -> None:
        columns = self._columns(claim)
        self._let_go(claim)
        self._locked[claim] = columns  # the last, so that all have their turn

    async def wait_until_written(self, seconds: float) -> None:
        """Wait until all is written; at most so many *seconds*."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    async def _write_some(self) -> float:
        if not self._is_connected:  # at the start, so that the first outcome need not wait for it
            await self._connections.fetch_apart("SELECT")
            self._is_connected = True
        await self._try(_first(self._ready), self._sql.finish)
        await self._try(_first(self._locked), self._sql.finish_free)
        if self._ready:
            return 0.0
        if self._locked:
            return _LOOK
        self._idle.set()
        return IDLE

    async def _try(self, batch: list[Claim], sql: str) -> None:
        try:
            if batch:
                await self._write(batch, sql)
        except Exception as error:
            if is_lock_timeout(error):
                for claim in batch:
                    self._set_aside(claim)
            elif not is_data_error(error):
                self._put_last(batch)
                raise  # the side task tries again in a moment
            elif len(batch) == 1:
                self._fail(batch[0], error)
            else:
                for claim in batch:
                    await self._try([claim], sql)

    def _put_last(self, batch: list[Claim]) -> None:
        for claim in batch:
            if claim in self._ready:
                self._ready[claim] = self._ready.pop(claim)

    async def _write(self, batch: list[Claim], sql: str) -> None:
        """Write the outcomes of *batch*, which stay until that has succeeded."""
        ended = [self._columns(claim) for claim in batch]
        columns = map(list, zip(*(each.values() for each in ended)))
        seconds = self._connections.seconds_for(sum(map(_size, ended)))
        found = await self._connections.fetch_apart(sql, self._owner, *columns, seconds=seconds)
        rows = {row["seq"]: row for row in found}
        for claim in batch:
            if claim.seq in rows:
                self._let_go(claim)
                self._over(claim, rows[claim.seq])
        refused = [claim for claim in batch if claim.seq not in rows]
        if refused:
            await self._look_at(refused)

    async def _look_at(self, claims: list[Claim]) -> None:
        """See why the outcomes of *claims* were not written."""
        numbers = [claim.seq for claim in claims]
        rows = {
            row["seq"]: row for row in await self._connections.fetch_apart(self._sql.state, numbers)
        }
        for claim in claims:
            self._judge(claim, rows.get(claim.seq))

    def _judge(self, claim: Claim, row: Row | None) -> None:
        outcome = claim.outcome or GIVEN_BACK
        is_same = row is not None and row["delivery"] == claim.delivery
        if row is not None and is_same and row["status"] == outcome.status:
            self._let_go(claim)  # it was written, and only the answer was lost
            self._over(claim, row)
        elif row is not None and is_same and row["cancel_requested"] and not claim.is_cancel_known:
            self._let_go(claim)
            claim.is_cancel_known = True
            self.add(claim, outcome.overruled(StopReason.CANCEL, claim.timeout))
        elif row is not None and is_same and row["owner"] == self._owner:
            self._set_aside(claim)
        else:
            claim.log(logging.WARNING, "outcome_refused")
            self._let_go(claim)
            self._over(claim, None)

    def _fail(self, claim: Claim, error: Exception) -> None:
        """The server refuses a value of this job."""
        reason = f"the server refuses its outcome: {reason_of(error)}"
        self._let_go(claim)
        if claim.outcome is not None and claim.outcome.error_type == _REFUSED:
            # And not because of its result.
            claim.log(logging.ERROR, "outcome_refused", error=reason)
            self._over(claim, None)
            return
        claim.progress = claim.message = None
        claim.metadata = read_only(metadata_of(claim.row))
        self.add(claim, Outcome(FAILED, None, reason, _REFUSED))


def _first(waiting: Mapping[Claim, dict[str, Any]]) -> list[Claim]:
    """What one statement takes."""
    batch: list[Claim] = []
    room = _MOST_BYTES
    for claim, columns in islice(waiting.items(), IDS_IN_A_NOTICE):
        room -= _size(columns)
        if room < 0 and batch:
            break
        batch.append(claim)
    return batch


def _size(columns: dict[str, Any]) -> int:
    return len(columns["result"] or "")


def _columns_of(claim: Claim, outcome: Outcome) -> dict[str, Any]:
    """What ``Sql.finish`` is given of a job."""
    is_back = outcome.status is PENDING
    result = None
    if outcome.result is not None:
        result = claim.definition.encode_result(outcome.result).decode()
    return {
        "seq": claim.seq,
        "delivery": claim.delivery,
        "status": str(outcome.status),
        "result": result,
        "error": outcome.error,
        "error_type": outcome.error_type,
        "is_cancel_known": claim.is_cancel_known,
        "progress": None if is_back else outcome.last_progress(claim.progress),
        "message": None if is_back else claim.message,
        "attempt": 0 if is_back else claim.attempt,
        "metadata": metadata_text(claim.metadata),
        "pause": claim.pause,
        "is_refusal": claim.is_refused,
    }
