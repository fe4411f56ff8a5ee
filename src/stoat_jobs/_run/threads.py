"""Daemon threads that call sync handlers, one call after the other.

- The thread that became free last is taken first. One that is idle for long ends.
- It is free before it tells how its call ended. So a job that starts in a slot that became free
  finds a thread, and there are never more threads than slots.
- A thread whose call was abandoned is never used again.
- Between two calls nothing of a job is referenced, and no event loop is left set.
- Handing over and ending may happen at the same moment. So who hands a call over looks
  afterwards whether the thread has ended, and the thread looks for a call after it has said so.
- A Ctrl-C between taking a thread and handing it a call leaves an idle thread, which ends.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Protocol

IDLE_SECONDS = 10.0
"""How long a thread waits for its next call before it ends."""

IDLE_NAME = "stoat-jobs idle"
"""The name of a thread that waits."""


class ThreadWork(Protocol):
    """A call, as a thread needs it; neither method raises."""

    name: str
    abandoned: bool

    def run(self) -> Any: ...

    def tell(self, result: Any) -> None: ...


class Worker(threading.Thread):
    """One of the threads; a daemon, as nothing may wait for it at exit."""

    def __init__(self, first: ThreadWork) -> None:
        super().__init__(name=first.name, daemon=True)
        self._calls = [first]
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._bell.put(None)
        self._busy = False
        self._ended = False

    @property
    def idle(self) -> bool:
        """Whether it waits, and nobody has handed it a call."""
        return not self._calls and not self._busy  # in this order, see _serve

    def hand_over(self, call: ThreadWork) -> None:
        """Let it make *call* next."""
        self._calls.append(call)
        self._bell.put(None)
        if self._ended:
            with suppress(IndexError):  # it has seen the call all the same
                call_in_thread(self._calls.pop())

    def run(self) -> None:
        while not self._ended:
            try:
                self._serve()
            except BaseException:
                # Nobody rang. Or somebody raised an exception in this thread, for a job that
                # had ended: it comes when the bell rings for the next one.
                self._end()

    def _serve(self) -> None:
        self._bell.get(timeout=IDLE_SECONDS)
        self._busy = True  # before the next line: at no moment it looks idle
        call = self._calls.pop()
        self.name = call.name
        result = call.run()
        if call.abandoned:
            self._ended = True
        else:
            _free.append(self)
        call.tell(result)
        # The traceback of an error leads back to this frame: a cycle, with all of the job.
        del call, result
        asyncio.set_event_loop(None)  # else a loop that the handler left, which may be closed
        self.name = IDLE_NAME
        self._busy = False

    def _end(self) -> None:
        with suppress(ValueError):
            _free.remove(self)
        self._busy = False
        self._ended = True
        if self._calls:
            self._ended = False
            self._bell.put(None)


_free: list[Worker] = []

if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_free.clear)  # threads stay behind in the parent


def call_in_thread(call: ThreadWork) -> None:
    """Make *call* in a thread.

    Raises:
        RuntimeError: the system lets the process start no further thread.
    """
    try:
        worker = _free.pop()  # not tested before: other threads may have queues, too
    except IndexError:
        worker = None
    if worker is None:
        # No context variables: since Python 3.14 a thread may keep those of its creator.
        contextvars.Context().run(Worker(call).start)
    else:
        worker.hand_over(call)
