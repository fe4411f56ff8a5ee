"""A subscription: what is known to somebody who waits for a job."""

from __future__ import annotations

from typing import Any

from .._backends.job import Changes
from .._model.records import JobResult


class Subscription(Changes):
    """What one waiter of one job has been told."""

    __slots__ = ("__weakref__", "is_closed", "read", "record")

    def __init__(self, read: int, *, is_closed: bool) -> None:
        super().__init__()
        self.read = read
        """Only a later read is news."""
        self.record: JobResult[Any] | None = None
        """The last that was read; None if the job is not kept any more, or not read yet."""
        self.is_closed = is_closed
        """Whether nothing more will come, because the queue has closed."""

    async def next(self) -> None:
        """Wait until it is read again, or closed."""
        if not self.is_closed:
            await super().next()
