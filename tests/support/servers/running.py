"""A real server in processes of its own, followed by what it logs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NoReturn

import httpx

from .. import SAFETY_NET
from ..programs import Program
from .commands import ROOT, SERVING, Address, Launch
from .logs import Line, Log


class Worker:
    """One process of a server, over a connection that leads to it."""

    def __init__(self, client: httpx.Client, pid: int) -> None:
        self.client = client
        self.pid = pid

    def greet(self) -> None:
        """Use the connection, so that it stays open."""
        self._answer("GET", "/")

    def submit(self, job_type: str) -> str:
        """The id of a new job."""
        answer = self._answer("POST", f"/submit/{job_type}")
        assert answer.status_code == 202, answer.text
        return answer.text

    def status(self, job_id: str) -> tuple[int, str]:
        """Status code and text of the answer."""
        answer = self._answer("GET", f"/jobs/{job_id}")
        return answer.status_code, answer.text

    def _answer(self, method: str, path: str) -> httpx.Response:
        answer = self.client.request(method, path)
        assert answer.headers["x-process"] == str(self.pid), "another process answered"
        return answer


class ServerProcess(Program):
    """A server at *address*, started and read to the end; its stderr goes to a file."""

    def __init__(self, launch: Launch, address: Address, folder: Path) -> None:
        self.launch = launch
        self.log = Log()
        self.workers: list[Worker] = []
        self._address = address
        self._stack = ExitStack()
        self._stderr = (folder / "stderr.txt").open("w+", encoding="utf-8")
        self._stack.enter_context(self._stderr)
        environment = {
            "PYTHONPATH": os.pathsep.join([str(launch.app_dir), str(ROOT)]),
            "SERVED_SETTINGS": json.dumps(dict(launch.settings)),
        }
        super().__init__(
            launch.command(address),
            env={**os.environ, **environment},
            pass_fds=[address.fd],
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
        )
        self.signalled: float | None = None
        self.seconds: float | None = None
        self._over = False

    def close(self) -> None:
        """End what has not ended by itself, also where its first process has."""
        if not self._over:
            self.kill()
        super().close()
        self._stack.close()

    # Workers.

    def serve(self) -> None:
        """Wait until all workers serve, and connect to each."""
        for _ in range(self.launch.processes):
            self.until(SERVING[self.launch.server])
        self.connect()

    def connect(self) -> None:
        """Connect until each worker was met once.

        Meanwhile those that were met are asked again: servers close what is idle for seconds.
        """
        met: dict[int, Worker] = {}
        while len(met) < self.launch.processes:
            worker = self._connection()
            met.setdefault(worker.pid, worker)
            for each in met.values():
                each.greet()
        self.workers = list(met.values())

    def _connection(self) -> Worker:
        client = httpx.Client(
            base_url=f"http://127.0.0.1:{self._address.port}", timeout=SAFETY_NET, trust_env=False
        )
        self._stack.enter_context(client)
        return Worker(client, int(self._greeting(client).headers["x-process"]))

    def _greeting(self, client: httpx.Client) -> httpx.Response:
        """The first answer; granian says that it has started a moment before it listens."""
        while self.process.poll() is None:
            with suppress(httpx.ConnectError):
                return client.get("/")
        return self._fail("it answered")

    def ask_for(self, path: str) -> socket.socket:
        """Make a request that the server holds, and do not wait for the answer."""
        connection = socket.create_connection(("127.0.0.1", self._address.port))
        self._stack.callback(connection.close)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        self.until("request_held")
        return connection

    # Signals.

    def terminate(self) -> None:
        """As ``kill`` and ``docker stop`` do: SIGTERM for the first process alone."""
        self._signal(os.kill, signal.SIGTERM)

    def terminate_all(self) -> None:
        """As systemd does: SIGTERM for all processes."""
        self._signal(os.killpg, signal.SIGTERM)

    def interrupt(self) -> None:
        """As Ctrl-C does: SIGINT for all processes of the terminal.

        For the first one alone with granian, whose worker may hang if it gets several signals.
        """
        alone = self.launch.server == "granian"
        self._signal(os.kill if alone else os.killpg, signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL for all processes, as for a container."""
        with suppress(ProcessLookupError):
            self._signal(os.killpg, signal.SIGKILL)

    def kill_worker(self) -> None:
        """SIGKILL for the last worker, as when memory runs out."""
        self._signal(os.kill, signal.SIGKILL, self.workers[-1].pid)

    def _signal(
        self, send: Callable[[int, int], None], number: signal.Signals, pid: int | None = None
    ) -> None:
        self.signalled = self.signalled or time.time()
        send(pid or self.process.pid, number)

    # The log.

    def until(self, *events: str, **extras: object) -> Line:
        """Read on to the next line that begins with one of *events* and has these *extras*."""

        def wanted(line: Line) -> bool:
            return line["event"].startswith(events) and extras.items() <= line.items()

        return self._read(wanted) or self._fail(" or ".join(events))

    def begin(self, *job_types: str, worker: int = 0) -> list[str]:
        """Submit one job of each type and see it start."""
        job_ids = [self.workers[worker].submit(job_type) for job_type in job_types]
        for job_id in job_ids:
            if not self.log.has("job_started", job_id=job_id):
                self.until("job_started", job_id=job_id)
        return job_ids

    def finish(self) -> int:
        """Read until no process is left that could log; the exit code of the first."""
        self._read(lambda line: False)
        code = self.process.wait()
        self.seconds = self.signalled and time.time() - self.signalled
        self._over = True
        assert not self.hangs, f"it did not end: {self.log.text()}"
        return code

    @property
    def complaints(self) -> str:
        """What was written to stderr, where no log goes."""
        self._stderr.seek(0)
        return self._stderr.read()

    def _read(self, wanted: Callable[[Line], bool]) -> Line | None:
        return next((line for line in self._lines() if wanted(line)), None)

    def _lines(self) -> Iterator[Line]:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            line: Line = json.loads(text)
            self.log.lines.append(line)
            yield line

    def _fail(self, event: str) -> NoReturn:
        log = f"{self.log.text()}\n{self.complaints}"
        raise AssertionError(f"the server ended before {event!r}:\n{log}")
