"""Progress and metadata of running jobs: many reports, few writes.

What was not written is written with the next ones, unless its job is over by then. A value that
the server refuses is left out: it fails its job when that ends, and no other before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from itertools import islice
from uuid import UUID

from .claims import Claim
from .connections import Connections
from .reasons import is_data_error
from .rows import metadata_text
from .side_tasks import IDLE, SideTask
from .sql import IDS_IN_A_NOTICE, Sql

# Seconds between two writes: whoever watches sees what is at most so old.
_PAUSE = 0.5


class Reporting:
    """Writes how the jobs of one worker get on."""

    def __init__(
        self,
        connections: Connections,
        sql: Sql,
        owner: UUID,
        look: Callable[[Iterable[str]], None],
    ) -> None:
        """*look* lets those who wait for these jobs here see what was written."""
        self._connections = connections
        self._sql = sql
        self._owner = owner
        self._look = look
        self._changed: dict[str, Claim] = {}
        self._being_written: dict[str, Claim] = {}
        self.side_task = SideTask("report", self._write_all)

    def add(self, claim: Claim) -> None:
        """Something of this job has changed."""
        self._changed[claim.job_id] = claim
        self.side_task.wake()

    def forget(self, claim: Claim) -> None:
        """This job is over: its outcome has it all."""
        self._changed.pop(claim.job_id, None)
        self._being_written.pop(claim.job_id, None)

    async def _write_all(self) -> float:
        if not self._changed:
            return IDLE
        self._being_written, self._changed = self._changed, {}
        try:
            while self._being_written:
                await self._write_some(list(islice(self._being_written.values(), IDS_IN_A_NOTICE)))
        finally:
            self._changed = self._being_written | self._changed
        await asyncio.sleep(_PAUSE)
        return 0.0

    async def _write_some(self, claims: list[Claim]) -> None:
        try:
            await self._write(claims)
        except Exception as error:
            if not is_data_error(error):
                raise  # the side task tries again in a moment
            await self._write_one_by_one(claims)

    async def _write_one_by_one(self, claims: list[Claim]) -> None:
        for claim in claims:
            try:
                await self._write([claim])
            except Exception as error:
                if not is_data_error(error):
                    raise
                self._being_written.pop(claim.job_id, None)

    async def _write(self, claims: list[Claim]) -> None:
        columns = map(list, zip(*map(_row, claims)))
        await self._connections.fetch(self._sql.report, self._owner, *columns)
        for claim in claims:
            self._being_written.pop(claim.job_id, None)
        self._look(claim.job_id for claim in claims)


def _row(claim: Claim) -> tuple[int, int, float | None, str | None, int, str]:
    return (
        claim.seq,
        claim.delivery,
        claim.progress,
        claim.message,
        claim.attempt,
        metadata_text(claim.metadata),
    )
