"""Progress and metadata of running jobs: many reports, few writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from .claims import Claim
from .connections import Connections
from .rows import metadata_text
from .side_tasks import IDLE, SideTask
from .sql import Sql

# Seconds between two writes: whoever watches sees what is at most so old.
_PAUSE = 0.5

# What one statement has at most; so many ids fit in one notice.
_MOST_AT_ONCE = 200


class Reporting:
    """Writes how the jobs of one worker get on."""

    def __init__(
        self, connections: Connections, sql: Sql, look: Callable[[Iterable[str]], None]
    ) -> None:
        """*look* lets those who wait for these jobs here see what was written."""
        self._connections = connections
        self._sql = sql
        self._look = look
        self._changed: dict[str, Claim] = {}
        self.side_task = SideTask("report", self._write)

    def add(self, claim: Claim) -> None:
        """Something of this job has changed."""
        self._changed[claim.job_id] = claim
        self.side_task.wake()

    def forget(self, claim: Claim) -> None:
        """This job is over: its outcome has it all."""
        self._changed.pop(claim.job_id, None)

    async def _write(self) -> float:
        if not self._changed:
            return IDLE
        claims = list(self._changed.values())[:_MOST_AT_ONCE]
        for claim in claims:
            del self._changed[claim.job_id]
        rows = [_row(claim) for claim in claims]
        await self._connections.fetch(self._sql.report, *map(list, zip(*rows)))
        self._look(claim.job_id for claim in claims)
        await asyncio.sleep(_PAUSE)
        return 0.0


def _row(claim: Claim) -> tuple[int, int, float | None, str | None, int, str]:
    return (
        claim.seq,
        claim.delivery,
        claim.progress,
        claim.message,
        claim.attempt,
        metadata_text(claim.metadata),
    )
