"""Who else works while an event loop waits: the threads of a backend, and servers."""

from __future__ import annotations

import threading

REAL_LIMIT = 20.0
"""Real seconds that a loop waits for a thread, a file or a server before it gives up."""

BRIEF_LOOK = 0.001
"""Real seconds between two looks at those whose work is short."""

QUIET = 0.03
"""Real seconds without a word on any connection after which no answer is expected any more."""


def is_reused(thread: threading.Thread) -> bool:
    """Whether a backend calls one handler after the other in this thread."""
    return hasattr(thread, "idle")


def is_idle(thread: threading.Thread) -> bool:
    """Whether a thread that is reused waits for its next call."""
    return getattr(thread, "idle", False) is True


def thread_at_brief_work() -> threading.Thread | None:
    """A thread that does short work for a backend now, if there is one."""
    for thread in threading.enumerate():
        if getattr(thread, "brief", False) is True and not is_idle(thread):
            return thread
    return None
