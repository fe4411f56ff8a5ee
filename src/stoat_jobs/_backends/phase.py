"""Where a queue is in its own life."""

from __future__ import annotations

from enum import Enum


class Phase(Enum):
    """Where a queue is in its own life; one that is closed may be started again."""

    NEW = "new"
    STARTED = "started"
    CLOSING = "closing"
    CLOSED = "closed"
