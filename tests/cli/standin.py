"""A server that says what a test tells it to, right or wrong, over real HTTP."""

from __future__ import annotations

import json
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from threading import Thread
from typing import Any

JOB_ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
MOUNT, JOB = "/jobs/", f"/jobs/{JOB_ID}"

Answer = tuple[int, dict[str, str], bytes]


def record(**fields: Any) -> dict[str, Any]:
    """A job's record as it comes over HTTP: running, unless *fields* say otherwise."""
    return {
        "job_id": JOB_ID,
        "job_type": "scan",
        "status": "running",
        "submitted_at": "2026-01-01T10:00:00Z",
        "started_at": "2026-01-01T10:00:01Z",
        **fields,
    }


def ended(status: str = "completed", **fields: Any) -> dict[str, Any]:
    """The record of a job that ran for two and a half seconds."""
    return record(status=status, finished_at="2026-01-01T10:00:03.500Z", **fields)


def answer(said: Any, status: int = 200, **headers: str) -> Answer:
    """An answer of JSON."""
    return status, headers, json.dumps(said).encode()


class StandIn(ThreadingHTTPServer):
    """A server of one job, whose stream a test writes.

    Attributes:
        answers: what a path answers, its stream aside.
        seen: the requests, as (path, headers).
    """

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answers: dict[str, Answer] = {JOB: answer(record())}
        self.seen: SimpleQueue[tuple[str, dict[str, str]]] = SimpleQueue()
        self.chunks: SimpleQueue[bytes] = SimpleQueue()
        self.url = f"http://127.0.0.1:{self.server_port}"
        Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def tell(self, **fields: Any) -> None:
        """Send a record of the running job on the stream."""
        self.send(record(**fields))

    def end(self, status: str = "completed", **fields: Any) -> None:
        """Send the record of the job that has ended on the stream."""
        self.send(ended(status, **fields))

    def send(self, said: Any) -> None:
        """Send *said* on the stream as an event."""
        self.chunks.put(f"event: change\ndata: {json.dumps(said)}\n\n".encode())

    def hang_up(self) -> None:
        """End the stream."""
        self.chunks.put(b"")

    def stop(self) -> None:
        """Leave the port to another."""
        self.hang_up()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_GET(self) -> None:
        self.server.seen.put((self.path, dict(self.headers)))
        if self.path == f"{JOB}/events" and self.path not in self.server.answers:
            self._stream()
        else:
            self._answer(*self.server.answers.get(self.path, answer({}, HTTPStatus.NOT_FOUND)))

    def _stream(self) -> None:
        self._begin(HTTPStatus.OK, {"Content-Type": "text/event-stream"})
        self.wfile.write(b"retry: 10\n\n")
        while chunk := self.server.chunks.get():
            self.wfile.write(chunk)

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self._begin(status, headers)
        self.wfile.write(body)

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nowhere."""
