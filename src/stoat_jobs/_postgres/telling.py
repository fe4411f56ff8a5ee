"""Who waits for a change of a job, and how it gets to know: one LISTEN connection a process.

- A subscriber reads the record after it has subscribed, so no change is missed.
- A notice carries ids of jobs. Those that somebody here waits for are read, many at once.
- A connection that is lost is made anew, and everything is read once more. A slow poll is the
  net below; behind a pooler that delivers no notices it is a poll each second, and one warning.
- A connection that is silent notifies itself now and then, because it may be half open.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from .._model.records import JobResult
from .connections import Connections
from .side_tasks import SideTask

Read = Callable[[list[str]], Awaitable[dict[str, JobResult[Any]]]]


class Subscription:
    """What one waiter of one job has been told."""

    record: JobResult[Any] | None
    """The last that was read; None if the job is not kept any more, or not read yet."""

    count: int
    """How often it was read."""

    is_closed: bool
    """Whether nothing more will come, because the queue has closed."""

    async def next(self) -> None:
        """Wait until it is read again, or closed."""
        raise NotImplementedError

    def wake(self) -> None:
        """Let the waiter look."""
        raise NotImplementedError


class Telling:
    """The subscriptions of one queue, and the connection that listens for it."""

    def __init__(
        self,
        connections: Connections,
        schema: str,
        read: Read,
        *,
        on_work: Callable[[], None],
        on_cancel: Callable[[str], None],
    ) -> None:
        """*on_work* is called when there may be new jobs, *on_cancel* with the id of a running
        job that was told to stop; both on the event loop.
        """
        raise NotImplementedError

    side_tasks: tuple[SideTask, ...]
    """Its listener and its reader."""

    async def start(self) -> None:
        """Listen; returns when notices come, or it is clear that they never will."""
        raise NotImplementedError

    def subscribe(self, job_id: str) -> Subscription:
        """Be told of a job, as long as the subscription is referenced."""
        raise NotImplementedError

    def tell(self, record: JobResult[Any]) -> None:
        """Tell the subscribers of a job what became of it here."""
        raise NotImplementedError

    def look(self, job_ids: Iterable[str]) -> None:
        """Read the records of those of these jobs that have subscribers."""
        raise NotImplementedError

    async def close(self) -> None:
        """Read once more for those who wait, and tell the others that nothing will come.

        It takes at most a second whatever the server does.
        """
        raise NotImplementedError
