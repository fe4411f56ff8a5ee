"""How a worker is, for an orchestrator: over HTTP, and in a file."""

from __future__ import annotations

import asyncio
import json
import math
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .problems import WRONG, WorkerError, say

STARTING, RUNNING, LATE, STOPPING = "starting", "running", "late", "stopping"

DEFAULT_LIMIT = 30.0

# Seconds between two times that the file is written.
_EVERY = 2.0

# Seconds that a client has to ask, and bytes that it may ask with.
_PATIENCE = 5.0
_LONGEST_REQUEST = 8192

_REASONS = {200: "OK", 405: "Method Not Allowed", 503: "Service Unavailable"}


class Health:
    """The state of a worker; ``status`` and ``queues`` are set by whoever runs it."""

    def __init__(self, limit: float | None = None) -> None:
        self._limit = limit
        self.status = STARTING
        self.queues: Mapping[str, Any] = {}

    @property
    def limit(self) -> float:
        """The age from which a side task is late; the leases may be longer than the default."""
        if self._limit is not None:
            return self._limit
        options = [getattr(queue, "options", None) for queue in self.queues.values()]
        return max([DEFAULT_LIMIT, *(getattr(each, "lease", 0.0) for each in options)])

    def report(self) -> dict[str, Any]:
        """What is told; whoever asks only whether all is well looks at its status."""
        queues = {name: _state_of(queue) for name, queue in self.queues.items()}
        running = [each["running"] for each in queues.values() if "running" in each]
        oldest = max((_oldest(each) for each in queues.values()), default=0.0)
        is_late = self.status == RUNNING and not oldest < self.limit
        return {
            "status": LATE if is_late else self.status,
            **({"running": sum(running)} if running else {}),
            "oldest_s": round(oldest, 2) if math.isfinite(oldest) else None,
            "limit_s": self.limit,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "queues": queues,
        }

    # Over HTTP.

    @asynccontextmanager
    async def serving(self, host: str | None, port: int) -> AsyncIterator[None]:
        """Answer meanwhile.

        Raises:
            WorkerError: it cannot listen there.
        """
        try:
            server = await asyncio.start_server(self._answer, host, port, limit=_LONGEST_REQUEST)
        except OSError as error:
            where = f"{host or '*'}:{port}"
            raise WorkerError(WRONG, f"cannot listen on {where}: {error.strerror}") from error
        chosen = server.sockets[0].getsockname()[1]
        say(f"health at http://{_in_url(host or 'localhost')}:{chosen}/")
        try:
            yield
        finally:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gone = (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)
        with suppress(*gone):
            async with asyncio.timeout(_PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._response(head))
                await writer.drain()
        writer.close()

    def _response(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        report = self.report()
        is_well = report["status"] in (RUNNING, STOPPING) or path == b"/live"
        code = 200 if is_well else 503
        if method not in (b"GET", b"HEAD"):
            code = 405
        body = json.dumps(report).encode() + b"\n"
        lines = (
            f"HTTP/1.1 {code} {_REASONS[code]}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            "cache-control: no-store",
            "connection: close",
        )
        start = "\r\n".join(lines).encode() + b"\r\n\r\n"
        return start if method == b"HEAD" else start + body

    # In a file.

    @asynccontextmanager
    async def writing(self, path: Path) -> AsyncIterator[None]:
        """Write the file meanwhile, and remove it in the end.

        Raises:
            WorkerError: it cannot be written.
        """
        try:
            self._write(path)
        except OSError as error:
            raise WorkerError(WRONG, f"cannot write {path}: {error.strerror}") from error
        task = asyncio.create_task(self._write_again(path))
        try:
            yield
        finally:
            task.cancel()
            _remove(path)

    async def _write_again(self, path: Path) -> None:
        is_failing = False
        while True:
            await asyncio.sleep(_EVERY)
            try:
                self._write(path)
            except OSError as error:
                if not is_failing:
                    say(f"cannot write {path}: {error.strerror}; it is tried again")
                is_failing = True
            else:
                is_failing = False

    def _write(self, path: Path) -> None:
        """Replace the file as a whole, so that nobody reads a part of it."""
        new = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            new.write_text(json.dumps(self.report()) + "\n", encoding="utf-8")
            new.replace(path)
        except OSError:
            new.unlink(missing_ok=True)
            raise


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _state_of(queue: Any) -> dict[str, Any]:
    state: dict[str, Any] = {"backend": queue.settings.backend}
    if hasattr(queue, "running_here"):
        state["running"] = queue.running_here
    if hasattr(queue, "side_task_ages"):
        ages = queue.side_task_ages()
        state["ages"] = {name: round(age, 2) for name, age in ages.items()}
    return state


def _oldest(state: Mapping[str, Any]) -> float:
    """The oldest age; one that has stopped has none, and is older than any."""
    if "ages" not in state:
        return 0.0
    return max(state["ages"].values(), default=math.inf)
