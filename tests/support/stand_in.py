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
EVENTS = f"{JOB}/events"

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
        answers: what a path answers, one after another; the last of them again and again.
        refusals: what is answered instead of a stream, one after another; None for a stream.
        seen: the requests, as (path, headers).
        retry: milliseconds that clients are told to wait between two streams.
        date: what the clock says here; by default the time.
    """

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answers: dict[str, list[Answer]] = {JOB: [answer(record())]}
        self.refusals: list[Answer | None] = []
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.retry = b"10"
        self.date: str | None = None
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._chunks: SimpleQueue[bytes] = SimpleQueue()
        self._serving = Thread(target=self.serve_forever, args=(0.01,))
        self._serving.start()

    def tell(self, said: Any) -> None:
        """Send *said* on the stream as an event."""
        self.send(f"event: change\ndata: {json.dumps(said)}\n\n".encode())

    def send(self, chunk: bytes) -> None:
        """Send *chunk* on the stream."""
        self._chunks.put(chunk)

    def hang_up(self) -> None:
        """End the stream."""
        self.send(b"")

    def handle_error(self, *_: Any) -> None:
        """Clients may leave when they like."""

    def next_chunk(self) -> bytes:
        return self._chunks.get()

    def next_answer(self, path: str) -> Answer | None:
        if path == EVENTS:
            return self.refusals.pop(0) if self.refusals else None
        answers = self.answers.get(path) or [answer({}, HTTPStatus.NOT_FOUND)]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def close(self) -> None:
        """Leave the port to another."""
        self.hang_up()
        self.shutdown()
        self._serving.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_GET(self) -> None:
        self.server.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
        answer = self.server.next_answer(self.path)
        if answer is None:
            self._stream()
        else:
            self._answer(*answer)

    def _stream(self) -> None:
        self._begin(HTTPStatus.OK, {"Content-Type": "text/event-stream"})
        self.wfile.write(b"retry: %b\n\n" % self.server.retry)
        while chunk := self.server.next_chunk():
            self.wfile.write(chunk)

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self._begin(status, headers)
        self.wfile.write(body)

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def date_time_string(self, timestamp: float | None = None) -> str:
        return self.server.date or super().date_time_string(timestamp)

    def log_message(self, *_: Any) -> None:
        """Nowhere."""
