"""Finds out whether the server runs several processes, each with a queue of its own.

Servers do not tell their applications. But an application starts inside its server, so the
server's functions are on the stack, and their variables have the number of processes. A warning
is logged only if the number is certain: if a server renames such a function, nothing is logged.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any

from .._events.log import log_event

Names = Mapping[str, Any]

# Backends whose jobs are known to one process only.
_OF_ONE_PROCESS = ("asyncio", "memory")

_REMEDY = (
    "each process has a queue of its own and knows only the jobs that it accepted: run one process"
    " with a higher concurrency, or use a backend that processes share"
)


def warn_of_several(queue: Any) -> None:
    """Log a warning if the server has several processes and *queue* is in-process."""
    if getattr(queue, "name", None) not in _OF_ONE_PROCESS:
        return
    processes = _count(sys._getframe())
    if processes > 1:
        log_event(logging.WARNING, "several_processes", processes=processes, remedy=_REMEDY)


def _count(frame: FrameType | None) -> int:
    """The number of processes of the server that runs *frame*; 1 if it is not known."""
    return max(_counts(frame), default=1)


def _counts(frame: FrameType | None) -> Iterator[int]:
    while frame is not None:
        read = _SERVERS.get((frame.f_globals.get("__name__", ""), frame.f_code.co_name))
        if read is not None:
            yield _number(read, frame.f_locals)
        frame = frame.f_back


def _number(read: Callable[[Names], Any], names: Names) -> int:
    try:
        return int(read(names))
    except Exception:  # another version of the server, with other variables
        return 1


def _uvicorn(names: Names) -> Any:
    return 1 if names["config"].should_reload else names["config"].workers


def _hypercorn(names: Names) -> Any:
    return names["config"].workers


# By module and function. The stack of a forked worker contains the frames of its parent, too.
_SERVERS: Mapping[tuple[str, str], Callable[[Names], Any]] = {
    ("uvicorn._subprocess", "subprocess_started"): _uvicorn,
    ("hypercorn.asyncio.run", "asyncio_worker"): _hypercorn,
    ("hypercorn.asyncio.run", "uvloop_worker"): _hypercorn,
    ("gunicorn.arbiter", "spawn_worker"): lambda names: names["self"].num_workers,
    ("granian.server.common", "_spawn_workers"): lambda names: names["self"].workers,
    ("granian.server.common", "_respawn_workers"): lambda names: names["self"].workers,
    # Spawned workers (on macOS, and on Linux since Python 3.14) know only their own number, from 1.
    ("granian.server.mp", "wrapped"): lambda names: names["worker_id"],
}
