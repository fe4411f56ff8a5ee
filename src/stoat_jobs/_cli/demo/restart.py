"""The demo of a job that survives its process, from its first line to its exit code."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import aclosing
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from ..terminal.interrupts import Interrupts
from .client import Client, ScanRecord
from .process import ServerEndedError, ServerProcess, serving
from .screen import Screen
from .steps import follow, invitation, report, submit, summary

_MIDDLE = 0.4


def run(root: Path, port: int, *, serve: bool, interrupts: Interrupts) -> int:
    """Scan *root*, kill the server in the middle, and start it again; returns the exit code.

    With *serve* the server then runs until a signal. No process and no file stays behind.
    """
    with TemporaryDirectory(prefix="stoat-jobs-demo-", ignore_cleanup_errors=True) as folder:
        demo = _Demo(root, Path(folder) / "jobs.db", serve, interrupts)
        try:
            code = asyncio.run(interrupts.cancelling(demo.run(port)))
        except ServerEndedError as error:
            return 2 if error.code == 2 else _failed(f"the server's process ended: {error.code}")
        except httpx.HTTPError as error:
            return _failed(f"the server does not answer: {str(error) or type(error).__name__}")
        finally:
            interrupts.ignore()  # what is left to do is short
    return demo.interrupted() if code is None else code


def _failed(reason: str) -> int:
    print(f"stoat-jobs demo: {reason}", file=sys.stderr)
    return 1


class _Demo:
    """One run of the demo: two processes, one after the other, with the same file."""

    def __init__(self, root: Path, database: Path, serve: bool, interrupts: Interrupts) -> None:
        self._root = root
        self._database = database
        self._serve = serve
        self._interrupts = interrupts
        self._screen = Screen()
        self._serves = False

    async def run(self, port: int) -> int:
        """Tell the whole story; returns the exit code."""
        async with serving(self._root, self._database, port, _MIDDLE) as server:
            self._step("server", f"{server.url} (process {server.pid}), jobs in {self._database}")
            record = await self._scan_and_kill(server)
        if record.status.is_terminal:
            return _failed(f"the job is {record.status}: {record.error}")
        async with serving(self._root, self._database, server.port) as server:
            self._step("server", f"{server.url} (process {server.pid}), with the same file")
            self._step("", f"started again: job {record.job_id[:8]} runs again from its beginning")
            return await self._finish(server, record.job_id)

    def interrupted(self) -> int:
        """The exit code after a signal. Ctrl-C is the normal end of serving, so its code is 0."""
        if not self._serves:
            raise KeyboardInterrupt
        self._screen.lines(["", f"{self._interrupts.name}: the server stops."])
        return 0 if self._interrupts.signum == signal.SIGINT else self._interrupts.exit_code

    async def _scan_and_kill(self, server: ServerProcess) -> ScanRecord:
        """Kill the server in the middle of a scan; returns the job's record before that."""
        async with aclosing(Client(server.url)) as client:
            job_id = await submit(client, self._screen)
            with self._screen.progress() as progress:
                record = await follow(client, job_id, progress, _is_in_the_middle)
            if not record.status.is_terminal:
                await server.kill()
                at = f"{record.progress:.0%}"
                self._step(f"kill -9 {server.pid}", f"the server is killed with SIGKILL at {at}")
        return record

    async def _finish(self, server: ServerProcess, job_id: str) -> int:
        async with aclosing(Client(server.url)) as client, client.pinging() as pings:
            with self._screen.progress() as progress:
                record = await follow(client, job_id, progress)
        self._step("GET /ping", summary(pings))
        if record.result is None:
            return _failed(f"the job is {record.status}: {record.error}")
        self._step("GET /jobs/id", str(record.status))
        with self._interrupts.raising():
            self._screen.lines(["", *report(record, record.result, self._root, self._screen.width)])
            if self._serve:
                self._screen.lines(["", *invitation(server.url, job_id)])
        if self._serve:
            self._serves = True
            await asyncio.Event().wait()
        await server.stop()
        return 0

    def _step(self, label: str, text: str) -> None:
        self._screen.step(label, text)


def _is_in_the_middle(record: ScanRecord) -> bool:
    return (record.progress or 0.0) >= _MIDDLE
