"""A store's thread that is none: a race loop can order what it says, and a heat can be run again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar
from unittest import mock

from stoat_jobs._stored import open_store

T = TypeVar("T")


class InlineThread:
    """Stands in for :class:`BriefThread`: it works in the call, on the thread that makes it.

    What it has done is told through ``call_soon_threadsafe`` all the same. So the loop may put
    others before or after the news that a write is done, as with a thread.
    """

    is_forked = False

    def __init__(self, name: str) -> None:
        self.ident: int | None = None

    def start(self) -> None:
        self.ident = 1

    def call(self, function: Callable[..., T], *args: Any) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(function(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def end(self) -> None:
        """There is no thread to end."""

    def join(self, timeout: float | None = None) -> None:
        """Everything is done already."""


@contextmanager
def inline_stores() -> Iterator[None]:
    """Queues with a store work without its threads."""
    with mock.patch.object(open_store, "BriefThread", InlineThread):
        yield
