"""Staying in touch with a server that may go away and come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol

from .remote import Jobs, OutOfTouchError, Remote

_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 15.0
_DOUBLINGS = 4


class View(Protocol):
    """Who is told."""

    def show(self, jobs: Jobs) -> None:
        """The server says so."""

    def lost(self, reason: str, seconds: float) -> None:
        """The server is out of touch, and will be asked again in *seconds*."""


async def keep_in_touch(
    remote: Remote,
    stream: Callable[[], AsyncGenerator[Jobs, None]],
    view: View,
    until: Callable[[Jobs], bool],
) -> Jobs:
    """Show what comes of *stream*, begun anew whenever it ends.

    Returns:
        The first of it for which *until* is true.

    Raises:
        RemoteError: it cannot be had any more, as when the server is back without the job.
    """
    failures = 0
    while True:
        reason, wish = "the server ended the stream", 0.0
        try:
            async with aclosing(stream()) as news:
                async for jobs in news:
                    failures = 0
                    view.show(jobs)
                    if until(jobs):
                        return jobs
        except OutOfTouchError as error:
            reason, wish = str(error), error.retry_after
        seconds = wait_after(failures, max(wish, remote.retry_after))
        view.lost(reason, seconds)
        await asyncio.sleep(seconds)
        failures += 1


def wait_after(failures: int, wish: float) -> float:
    """Seconds: what the server wishes, or one, then twice as long each time, up to a bound."""
    doubled = (wish or _FIRST_WAIT_S) * 2.0 ** min(failures, _DOUBLINGS)
    return max(wish, min(doubled, _LONGEST_WAIT_S))
