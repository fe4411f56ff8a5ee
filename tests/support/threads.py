"""The threads of sync handlers, apart from those of other tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stoat_jobs._run import threads
from stoat_jobs._run.threads import Worker

from . import SAFETY_NET

ENDLESS = 1000.0


def workers() -> set[Worker]:
    """All threads of sync handlers that are alive."""
    return {each for each in threading.enumerate() if isinstance(each, Worker)}


@contextmanager
def own_threads(idle_seconds: float = ENDLESS) -> Iterator[set[Worker]]:
    """Sync handlers find no thread of before; the threads of the block end with it.

    What it yields are the threads of before.
    """
    before = workers()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "_free", [])
        patch.setattr(threads, "IDLE_SECONDS", idle_seconds)
        yield before
        patch.setattr(threads, "IDLE_SECONDS", 0.0)
        for worker in workers() - before:
            worker._bell.put(None)  # no call comes with it
            worker.join(SAFETY_NET)
            assert not worker.is_alive()
