"""The heartbeat of a worker: a thread with an event loop and a connection of its own.

A handler that holds the application's event loop costs no lease. But a loop that has not
answered for some leases is wedged, and its jobs are better run elsewhere: then it stops beating.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from uuid import UUID

from .connections import Connections
from .sql import Sql


class Beat(threading.Thread):
    """Renews the leases of what runs here, and hears what was lost and what was cancelled."""

    def __init__(
        self,
        connections: Connections,
        sql: Sql,
        owner: UUID,
        lease: float,
        running: Callable[[], Iterable[int]],
        told: Callable[[set[int], set[int]], None],
    ) -> None:
        """*running* gives the sequence numbers of the jobs that run here, and may be called from
        any thread. *told* is called on the event loop that runs here, with the numbers of jobs
        that now belong to others, and of those that were told to stop.

        ``sql.beat(numbers, owner)`` renews, and returns the ``id`` of each that is still ours;
        ``sql.flags(numbers)`` returns the ``seq`` of each that was cancelled.
        """
        raise NotImplementedError

    @property
    def age(self) -> float:
        """Seconds since it last renewed."""
        raise NotImplementedError

    def close(self) -> None:
        """End; it may take a moment, for which nobody has to wait."""
        raise NotImplementedError
