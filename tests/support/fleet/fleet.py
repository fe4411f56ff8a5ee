"""Starts the processes of a fleet, and follows what they note."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from stoat_jobs import JobBackend, JobQueueSettings, create_queue

from .. import SAFETY_NET
from ..programs import unmeasured
from .jobs import NAMES, gate_of, handlers_of
from .ledger import Books, Entry, Ledger

ROOT = Path(__file__).parents[3]
PATIENCE = 60.0
"""Seconds in which whatever is due has come; only a fault waits so long."""

DEFAULTS: dict[str, Any] = {
    "concurrency": 10,
    "drain_timeout": 2.0,
    "cancel_grace": 0.5,
    # All records are there when they are counted.
    "max_pending": 1_000_000,
    "max_results": 1_000_000,
}

BOUND = DEFAULTS["drain_timeout"] + 2 * DEFAULTS["cancel_grace"] + 1
"""Seconds in which a queue promises to stop."""


async def until(condition: Callable[[], Any], patience: float = PATIENCE, what: Any = "") -> Any:
    """What *condition* gives, or what that gives when awaited, as soon as it is true."""
    deadline = time.monotonic() + patience
    while True:
        found = condition()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, f"not in {patience:g} s: {what or condition}"
        await asyncio.sleep(0.02)


class Member:
    """A process of the fleet."""

    def __init__(self, process: subprocess.Popen[bytes], ledger: Ledger) -> None:
        self.process = process
        self._ledger = ledger
        self.pid = process.pid
        self.was_killed = False

    def signal(self, signum: int) -> None:
        self.process.send_signal(signum)

    def freeze(self) -> None:
        """As a machine that sleeps."""
        self._ledger.note("frozen", member=self.pid)
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def terminate(self) -> None:
        self.signal(signal.SIGTERM)

    def kill(self) -> None:
        """As a crash would end it."""
        self.was_killed = True
        self._ledger.note("killed", member=self.pid)
        self.process.kill()
        self.process.wait()

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    async def killed_itself(self) -> None:
        """Wait until a job has killed it."""
        assert await self.ended() == -signal.SIGKILL
        self.was_killed = True

    async def ended(self, patience: float = PATIENCE) -> int:
        """Its exit code, once it has ended."""
        await until(lambda: not self.is_alive, patience, f"the end of {self.pid}")
        return self.process.wait()


class Fleet:
    """Processes on one database, and their ledger."""

    def __init__(self, url: str, folder: Path, **settings: Any) -> None:
        self.url = url
        self.settings = {**DEFAULTS, **settings}
        self.ledger = folder / "ledger"
        self.books = Books(self.ledger)
        self.members: list[Member] = []
        self._log = folder / "log"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for member in self.members:
            member.process.kill()
            member.process.wait()

    def show(self) -> None:
        """Print what is of use to who reads why a test has failed."""
        print(self._log.read_text(errors="replace")[-4_000:] if self._log.exists() else "")
        print(*self.books.entries("log")[-40:], sep="\n")

    def start(
        self, program: str, *arguments: str, environment: dict[str, str] | None = None
    ) -> Member:
        """Start a program; what it prints is shown when the test fails."""
        command = [sys.executable, "-m", f"tests.support.fleet.{program}", *arguments]
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**unmeasured(), **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.members.append(Member(process, Ledger(self.ledger)))
        return self.members[-1]

    def begin_worker(
        self,
        *arguments: str,
        only: Iterable[str] = NAMES,
        url: str | None = None,
        environment: dict[str, str] | None = None,
        **settings: Any,
    ) -> Member:
        """Start a worker, without waiting for it."""
        told = ["--settings", json.dumps({**self.settings, **settings}), *arguments]
        told += ["--only", *only]
        return self.start(
            "worker", url or self.url, str(self.ledger), *told, environment=environment
        )

    def begin_submitter(self, seed: str) -> Member:
        """Start a process that submits and follows jobs, without waiting for it."""
        settings = self._as_submitter(self.settings)
        told = ["--seed", seed, "--settings", json.dumps(settings)]
        return self.start("submitter", self.url, str(self.ledger), *told)

    def _as_submitter(self, settings: dict[str, Any]) -> dict[str, Any]:
        return {**settings, "options": {"worker": False, **settings.get("options", {})}}

    async def worker(self, *arguments: str, **options: Any) -> Member:
        """Start a worker, and wait until it is up."""
        member = self.begin_worker(*arguments, **options)
        await self.up(member)
        return member

    async def up(self, member: Member, event: str = "up") -> None:
        """Wait until it has started, or has come so far."""
        await until(
            lambda: self.books.entries(event, pid=member.pid) or not member.is_alive,
            what=f"the start of {member.pid}",
        )
        assert member.is_alive, f"{member.pid} ended with {member.process.returncode}"

    @asynccontextmanager
    async def queue(self, url: str | None = None, **settings: Any) -> AsyncIterator[JobBackend]:
        """A queue in this process, which only submits and reads unless it is told otherwise.

        What is not done after a long time is given up, so that no test hangs.
        """
        given = self._as_submitter({**self.settings, **settings})
        chosen = JobQueueSettings(backend="postgres", url=url or self.url, **given)
        queue = create_queue(handlers_of(self.ledger), chosen)
        async with asyncio.timeout(2 * SAFETY_NET), queue:
            yield queue

    def let_go(self, *members: Member) -> None:
        """Let the jobs end that these processes hold."""
        for member in members:
            gate_of(self.ledger, member.pid).touch()

    # What was noted.

    def starts(self, job_id: str | None = None) -> list[Entry]:
        """The calls of handlers, without those of further attempts."""
        facts = {} if job_id is None else {"job": job_id}
        return self.books.entries("start", **facts, attempt=0)

    async def started(self, *job_ids: str, times: int = 1, patience: float = PATIENCE) -> None:
        """Wait until each of these has been started so often."""
        await until(
            lambda: all(len(self.starts(job_id)) >= times for job_id in job_ids),
            patience,
            f"start {times} of {len(job_ids)} jobs",
        )

    async def logged(self, event: str, **facts: Any) -> Entry:
        """Wait until the log of a member has it."""
        found: list[Entry] = await until(
            lambda: self.books.entries("log", event=event, **facts), what=event
        )
        return found[0]

    async def dropped(self, member: Member, job_id: str) -> None:
        """Wait until a worker has found that a job is no longer its own."""
        events = ("job_lost", "outcome_refused")
        await until(
            lambda: any(
                self.books.entries("log", event=event, pid=member.pid, job_id=job_id)
                for event in events
            ),
            what=f"the loss of {job_id}",
        )

    @property
    def gone(self) -> list[Member]:
        """Who was up, and ended without being told to."""
        return [member for member in self.members if self._has_gone(member)]

    def _has_gone(self, member: Member) -> bool:
        if member.is_alive or member.was_killed:
            return False
        was_up = self.books.entries("up", pid=member.pid)
        return bool(was_up) and not self.books.entries("down", pid=member.pid)
