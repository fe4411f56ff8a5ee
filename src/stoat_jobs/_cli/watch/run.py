"""Runs `stoat-jobs watch`, from the first request to the exit code."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime

import httpx
from rich.console import Console, RenderableType

from stoat_jobs import JobStatus

from ..terminal.console import make_console
from ..terminal.interrupts import Interrupts
from ..terminal.output import discard_output, is_plain
from . import wording
from .drawing import draw_job, draw_jobs
from .reconnect import View, stay_connected
from .remote import Jobs, Remote, RemoteError, UnreachableError, WatchedJob
from .views import Draw, Format, LineView, LiveView


def watch(
    url: str, headers: Sequence[tuple[str, str]], every: float, interrupts: Interrupts
) -> int:
    """Show the job or jobs at *url* until they have finished, or a signal; returns the exit code.

    Raises:
        RemoteError: there is nothing to watch, or not any more.
    """
    session = _Session(Remote(_address(url), headers, every), interrupts)
    try:
        code = asyncio.run(interrupts.cancelling(session.run()))
    except KeyboardInterrupt:  # while printing was blocked by the reader of the output
        discard_output()
        code = None
    if code is not None:
        return code
    # A table never ends by itself, so Ctrl-C is the normal way to leave it.
    at_a_table = isinstance(session.found, list) and interrupts.signum == signal.SIGINT
    return 0 if at_a_table else interrupts.exit_code


def _address(url: str) -> httpx.URL:
    try:
        address = httpx.URL(url if "://" in url else f"http://{url}")
    except httpx.InvalidURL as error:
        raise RemoteError(f"{url!r} is not a URL: {error}") from error
    if address.scheme not in ("http", "https") or not address.host:
        raise RemoteError(
            f"{url!r} is not the URL of a web server, like http://localhost:8000/jobs/"
        )
    return address


class _Session:
    """One run of the command; *found* is what was at the URL, None until that is known."""

    def __init__(self, remote: Remote, interrupts: Interrupts) -> None:
        self.found: WatchedJob | list[WatchedJob] | None = None
        self._remote = remote
        self._interrupts = interrupts

    async def run(self) -> int:
        """Watch until the job has finished; returns the exit code."""
        try:
            self.found = await self._look()
            if isinstance(self.found, list):
                return await self._watch_all(self.found)
            return await self._watch_one(self.found)
        finally:
            await self._remote.aclose()

    async def _look(self) -> WatchedJob | list[WatchedJob]:
        try:
            return await self._remote.look()
        except UnreachableError as error:
            raise RemoteError(f"cannot reach {_shown(self._remote.url)}: {error}") from error

    async def _watch_one(self, job: WatchedJob) -> int:
        with self._opened_view(_draw_job, wording.story) as view:
            view.show([job])
            jobs: Jobs = [job]
            if not _is_over(jobs):
                jobs = await stay_connected(self._remote, self._remote.changes, view, _is_over)
        return 0 if jobs[0].status is JobStatus.COMPLETED else 1

    async def _watch_all(self, jobs: Jobs) -> int:
        with self._opened_view(_draw_jobs, wording.line) as view:
            view.show(jobs)
            await stay_connected(self._remote, self._remote.listings, view, lambda jobs: False)
        return 0

    def _opened_view(self, draw: Draw, format_job: Format) -> AbstractContextManager[View]:
        """The view that suits standard output."""
        if is_plain():
            return nullcontext(LineView(format_job, self._interrupts))
        return LiveView(draw, make_console(plain=False), self._remote.now)


def _draw_job(jobs: Jobs, now: datetime, console: Console) -> RenderableType:
    return draw_job(jobs[0], now, console.width)


def _draw_jobs(jobs: Jobs, now: datetime, console: Console) -> RenderableType:
    return draw_jobs(jobs, now, console.width, console.height)


def _is_over(jobs: Jobs) -> bool:
    return all(job.status.is_terminal for job in jobs)


def _shown(url: httpx.URL) -> str:
    """The URL without its user name and password."""
    return str(url.copy_with(username="", password=""))
