"""Whether the server was told to stop.

uvicorn lets open requests end before it ends the application, and tells neither them nor the
application that it waits. What it has is a flag, on the server whose method the signal handler
is: it is read here, and no signal handler is touched.
"""

from __future__ import annotations

import signal

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def server_stops() -> bool:
    """Whether uvicorn runs this process and has been told to stop."""
    return any(_has_to_exit(number) for number in _SIGNALS)


def _has_to_exit(number: signal.Signals) -> bool:
    server = getattr(signal.getsignal(number), "__self__", None)
    return getattr(server, "should_exit", None) is True
