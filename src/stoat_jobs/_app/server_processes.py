"""Whether the server that starts a queue has other processes, each with a queue of its own.

No server tells its application. But an application starts inside its server, so the server's own
functions are on the stack, and know. Only what is certain counts: where a server renames such a
function nothing is found, and nothing is said.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any

from .._events.log import log_event

Names = Mapping[str, Any]

# The jobs of these are known to one process.
_OF_ONE_PROCESS = ("asyncio", "memory")

_REMEDY = (
    "each process has a queue of its own and knows only the jobs that it accepted: run one process"
    " with a higher concurrency, or a backend that the processes share"
)


def warn_of_several(queue: Any) -> None:
    """Log that there are several processes, where that loses jobs to their clients."""
    if getattr(queue, "name", None) not in _OF_ONE_PROCESS:
        return
    processes = _count(sys._getframe())
    if processes > 1:
        log_event(logging.WARNING, "several_processes", processes=processes, remedy=_REMEDY)


def _count(frame: FrameType | None) -> int:
    """How many processes the server has that runs *frame*; 1 where that is not known."""
    return max(_said(frame), default=1)


def _said(frame: FrameType | None) -> Iterator[int]:
    while frame is not None:
        says = _SERVERS.get((frame.f_globals.get("__name__", ""), frame.f_code.co_name))
        if says is not None:
            yield _number(says, frame.f_locals)
        frame = frame.f_back


def _number(says: Callable[[Names], Any], names: Names) -> int:
    try:
        return int(says(names))
    except Exception:  # another version, in which it is said differently
        return 1


def _uvicorn(names: Names) -> Any:
    return 1 if names["config"].should_reload else names["config"].workers


def _hypercorn(names: Names) -> Any:
    return names["config"].workers


# By module and function. What a forked worker inherits is on its stack, too.
_SERVERS: Mapping[tuple[str, str], Callable[[Names], Any]] = {
    ("uvicorn._subprocess", "subprocess_started"): _uvicorn,
    ("hypercorn.asyncio.run", "asyncio_worker"): _hypercorn,
    ("hypercorn.asyncio.run", "uvloop_worker"): _hypercorn,
    ("gunicorn.arbiter", "spawn_worker"): lambda names: names["self"].num_workers,
    ("granian.server.common", "_spawn_workers"): lambda names: names["self"].workers,
    ("granian.server.common", "_respawn_workers"): lambda names: names["self"].workers,
    # Where workers are spawned, as since Python 3.14 and on macOS, the second one knows that it is.
    ("granian.server.mp", "wrapped"): lambda names: names["worker_id"],
}
