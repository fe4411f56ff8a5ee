"""Reconnects to a server that goes away and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol

from .remote import Jobs, Remote, UnreachableError

_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 15.0
_DOUBLINGS = 4


class View(Protocol):
    """Shows jobs and lost connections."""

    def show(self, jobs: Jobs) -> None:
        """Show *jobs*, which just came from the server."""

    def lost(self, reason: str, seconds: float) -> None:
        """Show that the connection is lost; the next attempt is in *seconds*."""


async def stay_connected(
    remote: Remote,
    stream: Callable[[], AsyncGenerator[Jobs, None]],
    view: View,
    until: Callable[[Jobs], bool],
) -> Jobs:
    """Show what *stream* yields, and start it again whenever it ends.

    Returns:
        The first jobs for which *until* is true.

    Raises:
        RemoteError: trying again does not help, for example because the server has lost the job.
    """
    failures = 0
    while True:
        reason, requested = "the server ended the stream", 0.0
        try:
            async with aclosing(stream()) as updates:
                async for jobs in updates:
                    failures = 0
                    view.show(jobs)
                    if until(jobs):
                        return jobs
        except UnreachableError as error:
            reason, requested = str(error), error.retry_after
        seconds = backoff(failures, max(requested, remote.retry_after))
        view.lost(reason, seconds)
        await asyncio.sleep(seconds)
        failures += 1


def backoff(failures: int, requested: float) -> float:
    """Seconds to wait: what the server has requested, or 1, doubled each time up to a limit."""
    doubled = (requested or _FIRST_WAIT_S) * 2.0 ** min(failures, _DOUBLINGS)
    return max(requested, min(doubled, _LONGEST_WAIT_S))
