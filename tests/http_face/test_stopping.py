"""A real server that is told to stop while streams and long polls are open."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest
from httpx_sse import connect_sse

from stoat_jobs.http._held_requests import _POLL

from ..support import SAFETY_NET
from ..support.programs import Command

# What the queue of the app may take to stop, and the server to notice what has ended.
QUEUE = 0.2 + 2 * 0.2 + 1
SERVER = 1.0
SLACK = 3.0  # of a busy machine
ROOT = Path(__file__).parents[2]


class Server(Command):
    """uvicorn with the app, on a port of its own."""

    def __init__(self, *options: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            number, (host, port) = listening.fileno(), listening.getsockname()
            app = ("tests.support.streaming_app:app", "--app-dir", str(ROOT), "--fd", str(number))
            command = [sys.executable, "-m", "uvicorn", *app, *options]
            super().__init__(command, pass_fds=[number], stdout=subprocess.DEVNULL)
        self.url = f"http://{host}:{port}/jobs"

    def stop(self, number: signal.Signals) -> tuple[int, float, str]:
        """Its exit code after the signal, the seconds that it took, and what it logged."""
        begin = time.monotonic()
        self.interrupt(number)
        code, _, log = self.finish()
        return code, time.monotonic() - begin, log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda each: each.name)
@pytest.mark.parametrize("options", [(), ("--loop", "uvloop", "--http", "h11")], ids=["", "h11"])
def test_a_server_stops_with_streams_open__faults_25_51(
    number: signal.Signals, options: tuple[str, ...]
) -> None:
    """uvicorn ends in the queue's bound although clients follow a job, wait for it, or say nothing.

    Streams end in order, and the long poll is answered with the record as it is.
    """
    with Server(*options) as server, httpx.Client(timeout=SAFETY_NET, trust_env=False) as client:
        place = started(client, server)
        with ExitStack() as stack:
            streams = [
                stack.enter_context(connect_sse(client, "GET", f"{place}/events")).iter_sse()
                for _ in range(3)
            ]
            assert {next(stream).event for stream in streams} == {"change"}
            every = stack.enter_context(connect_sse(client, "GET", f"{server.url}/events"))
            streams.append(every.iter_sse())
            assert next(streams[-1]).event == "snapshot"
            silent = stack.enter_context(closing(asked(f"{place}/events")))
            poll = stack.enter_context(closing(asked(f"{place}/wait?timeout=60")))
            assert silent.recv(15) == b"HTTP/1.1 200 OK"
            assert client.get(f"{server.url}/stats").json()["slots_in_use"] == 1
            code, seconds, log = server.stop(number)
            assert [list(stream) for stream in streams] == [[]] * 4
            answer = poll.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 202")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == "running"
        assert code in (0, -number)
        assert seconds < _POLL + SERVER + QUEUE + SLACK
        assert "Application shutdown complete" in log


def started(client: httpx.Client, server: Server) -> str:
    """Where a job is that runs until it is told to stop."""
    answer = client.post(f"{server.url}/", json={"job_type": "patient"})
    return f"{server.url}/{answer.json()['job_id']}"


def asked(url: str) -> socket.socket:
    """A connection on which *url* was asked for."""
    address = httpx.URL(url)
    connection = socket.create_connection((address.host, address.port or 80), SAFETY_NET)
    path = address.raw_path.decode()
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    return connection
