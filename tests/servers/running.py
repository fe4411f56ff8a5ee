"""A real uvicorn in a process of its own, followed by what it logs."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from typing_extensions import Self

HERE = Path(__file__).parent

# A server that hangs is killed, so that its test fails; nothing else waits this long.
SAFETY_NET = 60.0

ENDED = {"job_completed", "job_failed", "job_timeout", "job_cancelled"}

Line = dict[str, Any]


class UvicornProcess:
    """``uvicorn`` on a free port of its own choice, started and read to the end."""

    def __init__(self, app: str, stderr: Path) -> None:
        self.lines: list[Line] = []
        self._stderr = stderr.open("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", app, "--app-dir", str(HERE)),
                *("--port", "0", "--log-config", str(HERE / "log_config.json")),
            ],
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
        )
        self._alarm = threading.Timer(SAFETY_NET, self._process.kill)
        self._alarm.start()

    def __enter__(self) -> Self:
        running = self.until("Uvicorn running on")
        address = re.search(r"http://\S+", running["event"])
        assert address is not None
        self.client = httpx.Client(base_url=address.group(), timeout=SAFETY_NET)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._alarm.cancel()
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]
        self._stderr.close()
        self.client.close()

    def until(self, event: str, **extras: Any) -> Line:
        """Read on to the next line that begins with *event* and has these *extras*."""

        def wanted(line: Line) -> bool:
            return line["event"].startswith(event) and extras.items() <= line.items()

        return self._read(wanted) or self._fail(event)

    def submit(self, job_type: str) -> str:
        """The id of a new job."""
        answer = self.client.post(f"/submit/{job_type}")
        assert answer.status_code == 202, answer.text
        return answer.text

    def walk_away_from(self, path: str) -> None:
        """Make a request and leave it: the server goes on with it, and waits for it at the end."""
        url = self.client.base_url
        with socket.create_connection((url.host, url.port or 80)) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {url.host}\r\n\r\n".encode())
            self.until("request_held")

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def finish(self) -> int:
        """Read to the end of the log; the exit code."""
        self._read(lambda line: False)
        return self._process.wait()

    @property
    def complaints(self) -> str:
        """What was written to stderr, where no log goes."""
        self._stderr.seek(0)
        return self._stderr.read()

    def events(self, *names: str) -> list[tuple[str, str | None, str | None]]:
        """The lines of these events: event, job type, error type."""
        return [
            (line["event"], line.get("job_type"), line.get("error_type"))
            for line in self.lines
            if line["event"] in names
        ]

    def position(self, event: str) -> int:
        """Where *event* is in the log; it must be there once."""
        (position,) = (n for n, line in enumerate(self.lines) if line["event"] == event)
        return position

    def unsettled(self) -> set[str]:
        """Ids of jobs that were accepted and did not end exactly once."""
        submitted = {line["job_id"] for line in self.lines if line["event"] == "job_submitted"}
        ends = [line["job_id"] for line in self.lines if line["event"] in ENDED]
        return {job_id for job_id in submitted if ends.count(job_id) != 1}

    def _read(self, wanted: Callable[[Line], bool]) -> Line | None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            line: Line = json.loads(text)
            self.lines.append(line)
            if wanted(line):
                return line
        return None

    def _fail(self, event: str) -> Line:
        log = "\n".join(map(str, self.lines))
        raise AssertionError(f"the log ended before {event!r}:\n{log}\n{self.complaints}")
