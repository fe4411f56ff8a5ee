"""Where a queue is in its own life."""

from __future__ import annotations

from enum import Enum


class Phase(Enum):
    """Where a queue is in its own life; one that is closed may be started again."""

    NEW = "new"
    STARTING = "starting"
    STARTED = "started"
    CLOSING = "closing"
    CLOSED = "closed"


# Before Python 3.12 looking one up in its class takes as long as a call.
NEW, STARTING, STARTED, CLOSING, CLOSED = Phase
