"""The demo from its first line to its exit code."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import httpx

from stoat_jobs import JobStatus

from ..._demo.scan import ScanReport
from ..._display import counted, duration_text, printable
from ..terminal.interrupts import Interrupts
from .client import Client, Pings, ScanRecord
from .report import report_lines
from .screen import BarProgress, PlainProgress, Screen
from .server import Server


def run(server: Server, root: Path, *, serve: bool, interrupts: Interrupts) -> int:
    """Scan *root* and report; with *serve*, keep serving until a signal. Returns the exit code."""
    _log_to_stderr()
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
            self._screen.lines(["", *self._report(record, record.result)])
        return 0

    def serve(self) -> int:
        """Keep the server running until a signal. Ctrl-C is the normal end, so its code is 0."""
        try:
            with self._interrupts.raising():
                self._screen.lines(["", *_invitation(self._url, self._job_id)])
                threading.Event().wait()
        except KeyboardInterrupt:
            self._screen.lines(["", f"{self._interrupts.name}: the server stops."])
        return 0 if self._interrupts.signum == signal.SIGINT else self._interrupts.exit_code

    async def _scan(self) -> ScanRecord:
        response, seconds = await self._client.start_scan()
        self._job_id = job_id = response.json()["job_id"]
        answer = f"{response.status_code} {response.reason_phrase} in {duration_text(seconds)}"
        self._screen.step("POST /scan", f"{answer}: job {job_id[:8]}")
        async with self._client.pinging() as pings:
            record = await self._follow(job_id)
        self._screen.step("GET /ping", summary(pings))
        return record

    async def _follow(self, job_id: str) -> ScanRecord:
        with self._screen.progress() as progress:
            record = await self._interrupts.cancelling(self._show(job_id, progress))
        return await self._cancel(job_id) if record is None else record

    async def _show(self, job_id: str, progress: PlainProgress | BarProgress) -> ScanRecord:
        async with aclosing(self._client.follow(job_id)) as records:
            async for record in records:
                progress.show(record)
        return record

    async def _cancel(self, job_id: str) -> ScanRecord:
        record = await self._client.cancel(job_id)
        place = f" ({record.message})" if record.message else ""
        text = f"{self._interrupts.name}: job {record.status}{place}"
        self._screen.step("POST /jobs/id/cancel", text)
        return record

    def _report(self, record: ScanRecord, report: ScanReport) -> Iterator[str]:
        begin = record.started_at or record.submitted_at
        seconds = ((record.finished_at or begin) - begin).total_seconds()
        root = printable(os.path.abspath(self._root))
        return report_lines(report, root, seconds, self._screen.width)


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("log: %(msg)s: %(error)s", defaults={"error": ""}))
    logging.basicConfig(handlers=[handler])


def summary(pings: Pings) -> str:
    """The number and the times of the requests, in one line."""
    failed = f", {pings.failed:,} failed" if pings.failed else ""
    answered = f"meanwhile answered {counted(pings.answered, 'time')}{failed}"
    if not pings.answered:
        return answered
    times = f"median {duration_text(pings.median)}, slowest {duration_text(pings.slowest)}"
    return f"{answered}: {times}"


def _invitation(url: str, job_id: str) -> Iterator[str]:
    yield "The server runs until Ctrl-C. In a browser:"
    yield f"  {url}/jobs/dashboard"
    yield "From another terminal:"
    yield f"  stoat-jobs watch {url}/jobs/"
    yield f"  curl -X POST {url}/scan"
    yield f'  curl --json \'{{"job_type": "failing"}}\' {url}/jobs/'
    yield f'  curl --json \'{{"job_type": "endless"}}\' {url}/jobs/'
    yield f"  curl {url}/jobs/{job_id}"
    yield f"  curl -X POST {url}/jobs/{job_id}/cancel"
    yield f"  curl {url}/ping"
