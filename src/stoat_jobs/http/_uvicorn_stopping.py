"""Finds out whether uvicorn is stopping.

Before uvicorn stops the application, it waits for open requests, but it tells neither the requests
nor the application that it is waiting (uvicorn#451). Its signal handler is a method of its server,
which has the flag ``should_exit``. This module reads that flag and changes no signal handler.
"""

from __future__ import annotations

import signal

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def server_is_stopping() -> bool:
    """Whether uvicorn runs this process and has been told to stop."""
    return any(_has_to_exit(number) for number in _SIGNALS)


def _has_to_exit(number: signal.Signals) -> bool:
    server = getattr(signal.getsignal(number), "__self__", None)
    return getattr(server, "should_exit", None) is True
