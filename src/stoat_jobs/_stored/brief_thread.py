"""A thread that does short pieces of work for an event loop, one after the other.

Not an executor's thread: at its exit the interpreter waits for those, even for one that hangs.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

_Piece = tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]


class BriefThread(threading.Thread):
    """Does what :meth:`call` is given; all other methods are for the thread that calls that.

    ``brief`` and ``idle`` tell a fake clock that time stands still while there is work.
    """

    brief = True

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._pieces: SimpleQueue[_Piece | None] = SimpleQueue()
        self._pid = os.getpid()
        self._given = 0
        self._done = 0

    @property
    def idle(self) -> bool:
        """Whether nothing is left to do."""
        return self._given <= self._done

    @property
    def is_forked(self) -> bool:
        """Whether this process is a child of the one in which the thread lives."""
        return os.getpid() != self._pid

    def call(self, function: Callable[..., T], *args: Any) -> Future[T]:
        """Call *function* after all that was given before.

        Raises:
            RuntimeError: the thread lives in the process from which this one was forked.
        """
        if self.is_forked:
            raise RuntimeError("this process was forked from the one that uses the store")
        future: Future[T] = Future()
        self._pieces.put((future, function, args))
        self._given += 1  # last: a Ctrl-C before must not leave it with nothing to do
        return future

    def end(self) -> None:
        """End after all that was given."""
        self._pieces.put(None)

    def run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            _do(*piece)
            del piece  # an idle thread keeps nothing of it
            self._done += 1


def _do(future: Future[Any], function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    if not future.set_running_or_notify_cancel():
        return  # whoever waited for it has left
    try:
        result = function(*args)
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
