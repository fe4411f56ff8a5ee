"""The demo from its first line to its exit code."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from pathlib import Path

import httpx

from stoat_jobs import JobStatus

from ..terminal.interrupts import Interrupts
from .client import Client, ScanRecord
from .screen import Screen
from .server import Server
from .steps import follow, invitation, log_to_stderr, report, submit, summary


def run(server: Server, root: Path, *, serve: bool, interrupts: Interrupts) -> int:
    """Scan *root* and report; with *serve*, keep serving until a signal. Returns the exit code."""
    log_to_stderr()
    server.start()
    try:
        demo = _Demo(server.url, root, interrupts)
        code = demo.end(asyncio.run(demo.run()))
        return demo.serve() if serve and code == 0 else code
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        print(f"stoat-jobs demo: the server does not answer: {reason}", file=sys.stderr)
        return 1
    finally:
        if not interrupts.repeated:
            server.stop()


class _Demo:
    """One run of the demo, from the client's side."""

    def __init__(self, url: str, root: Path, interrupts: Interrupts) -> None:
        self._url = url
        self._root = root
        self._interrupts = interrupts
        self._screen = Screen()
        self._client = Client(url)
        self._job_id = ""

    async def run(self) -> ScanRecord:
        """Send all requests; returns the job's final record."""
        try:
            await self._client.ping()
            self._screen.step("server", f"{self._url} (uvicorn, Starlette)")
            if self._interrupts.signum is not None:
                raise KeyboardInterrupt
            return await self._scan()
        finally:
            await self._client.aclose()

    def end(self, record: ScanRecord) -> int:
        """Print the report, or why there is none; returns the exit code."""
        if self._interrupts.signum is not None and record.status is JobStatus.CANCELLED:
            return self._interrupts.exit_code
        if record.result is None:
            reason = f"the job is {record.status}: {record.error}"
            print(f"stoat-jobs demo: {reason}", file=sys.stderr)
            return 1
        with self._interrupts.raising():
            lines = report(record, record.result, self._root, self._screen.width)
            self._screen.lines(["", *lines])
        return 0

    def serve(self) -> int:
        """Keep the server running until a signal. Ctrl-C is the normal end, so its code is 0."""
        try:
            with self._interrupts.raising():
                self._screen.lines(["", *invitation(self._url, self._job_id)])
                threading.Event().wait()
        except KeyboardInterrupt:
            self._screen.lines(["", f"{self._interrupts.name}: the server stops."])
        return 0 if self._interrupts.signum == signal.SIGINT else self._interrupts.exit_code

    async def _scan(self) -> ScanRecord:
        self._job_id = await submit(self._client, self._screen)
        async with self._client.pinging() as pings:
            record = await self._follow(self._job_id)
        self._screen.step("GET /ping", summary(pings))
        return record

    async def _follow(self, job_id: str) -> ScanRecord:
        with self._screen.progress() as progress:
            following = follow(self._client, job_id, progress)
            record = await self._interrupts.cancelling(following)
        return await self._cancel(job_id) if record is None else record

    async def _cancel(self, job_id: str) -> ScanRecord:
        record = await self._client.cancel(job_id)
        place = f" ({record.message})" if record.message else ""
        text = f"{self._interrupts.name}: job {record.status}{place}"
        self._screen.step("POST /jobs/id/cancel", text)
        return record
