"""A real server that is told to stop while streams and long polls are open."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
import pytest
from httpx_sse import connect_sse

from stoat_jobs.http._holding import _POLL

# What the queue of the app may take to stop, and the server to notice what has ended.
QUEUE = 0.2 + 2 * 0.2 + 1
SERVER = 1.0
SLACK = 3.0  # of a busy machine
SAFETY_NET = 60.0


class Server:
    """uvicorn in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url

    def stop(self, number: signal.Signals) -> tuple[int, float, str]:
        """Its exit code after the signal, the seconds that it took, and what it logged."""
        begin = time.monotonic()
        self.process.send_signal(number)
        log = self.process.communicate()[1]
        return self.process.wait(), time.monotonic() - begin, log


@contextmanager
def uvicorn(*options: str) -> Iterator[Server]:
    """The app, on a port of its own, ended whatever happens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        command = [sys.executable, "-m", "uvicorn", "streaming_app:app", *options]
        command += ["--app-dir", str(Path(__file__).parent), "--fd", str(listening.fileno())]
        process = subprocess.Popen(
            command,
            pass_fds=[listening.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        host, port = listening.getsockname()
    alarm = threading.Timer(SAFETY_NET, process.kill)
    alarm.start()
    try:
        yield Server(process, f"http://{host}:{port}/jobs")
    finally:
        alarm.cancel()
        process.kill()
        process.wait()
        process.stderr.close()  # type: ignore[union-attr]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda each: each.name)
@pytest.mark.parametrize("options", [(), ("--loop", "uvloop", "--http", "h11")], ids=["", "h11"])
def test_a_server_stops_with_streams_open__faults_25_51(
    number: signal.Signals, options: tuple[str, ...]
) -> None:
    """uvicorn ends in the queue's bound although clients follow a job, wait for it, or say nothing.

    Streams end in order, and the long poll is answered with the record as it is.
    """
    with uvicorn(*options) as server, httpx.Client(timeout=SAFETY_NET, trust_env=False) as client:
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
