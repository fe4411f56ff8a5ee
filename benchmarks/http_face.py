"""The cost of jobs over HTTP: status reads compared with a bare route, and open streams.

Reads are measured twice: on uvicorn, as CPU time of the server only, and as direct calls of the
ASGI app without a network, so that only the work of the two apps counts.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from stoat_jobs import AsyncioJobQueue, JobContext, JobHandlers
from stoat_jobs.http import HttpLimits, jobs_app

from .measure import Bench, Figure, Round, Size, Stopwatch, require

UNIT = "requests per cpu-s"
SERVED, SERVED_BARE = "status read, uvicorn", "bare Starlette route, uvicorn"
CALLED, CALLED_BARE = "status read, ASGI alone", "bare Starlette route, ASGI alone"
STREAM = "one of {:,} open streams, one change a second"

App = Callable[[Any, Any, Any], Awaitable[None]]

_CONNECTIONS = 10
_CHANGES = 20


def benches(size: Size) -> list[Bench]:
    streams = STREAM.format(size.streams)
    return [
        Bench((CALLED, CALLED_BARE), lambda: asyncio.run(_called(size.samples))),
        Bench((SERVED, SERVED_BARE), lambda: _served(size.samples)),
        Bench((streams,), lambda: asyncio.run(_streams(streams, size.streams))),
    ]


@asynccontextmanager
async def _app() -> AsyncIterator[tuple[Starlette, str]]:
    """An app with a finished job, a bare route, and a route for the CPU time of its process."""
    handlers = JobHandlers()

    @handlers.job
    async def noop(ctx: JobContext) -> int:
        return 1

    async def bare(request: Request) -> JSONResponse:
        return JSONResponse({"job_id": request.path_params["job_id"], "status": "completed"})

    async def cpu(request: Request) -> JSONResponse:
        return JSONResponse(time.process_time())

    async with AsyncioJobQueue(handlers) as queue:
        routes = [Mount("/jobs", jobs_app(queue=queue)), Route("/bare/{job_id}", bare)]
        job_id = await queue.submit("noop")
        await queue.wait(job_id)
        yield Starlette(routes=[*routes, Route("/cpu", cpu)]), job_id


# Direct calls of the ASGI app.


async def _called(requests: int) -> Round:
    async with _app() as (app, job_id):
        return {
            Figure(CALLED, UNIT): await _call_rate(app, f"/jobs/{job_id}", requests),
            Figure(CALLED_BARE, UNIT): await _call_rate(app, f"/bare/{job_id}", requests),
        }


async def _call_rate(app: App, path: str, requests: int) -> float:
    with (watch := Stopwatch()):
        statuses = [await _call(app, path) for _ in range(requests)]
    require(statuses.count(200), requests, "answers")
    return requests / watch.cpu


async def _call(app: App, path: str) -> int:
    statuses: list[int] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(_scope(path), receive, send)
    return statuses[0]


def _scope(path: str) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }


# On uvicorn.


def main() -> None:
    """Serve until standard input ends; prints the port and the id of the job."""
    asyncio.run(_serve())


async def _serve() -> None:
    uvicorn = import_module("uvicorn")
    async with _app() as (app, job_id):
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", access_log=False))
        serving = asyncio.ensure_future(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        print(server.servers[0].sockets[0].getsockname()[1], job_id, flush=True)
        await asyncio.to_thread(sys.stdin.read)
        server.should_exit = True
        await serving


@contextmanager
def _server() -> Iterator[tuple[int, str]]:
    command = [sys.executable, "-c", "from benchmarks.http_face import main; main()"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port, job_id = process.stdout.readline().split()
        yield int(port), job_id
        process.stdin.close()


def _served(requests: int) -> Round:
    with _server() as (port, job_id):
        return {
            Figure(SERVED, UNIT): asyncio.run(_served_rate(port, f"/jobs/{job_id}", requests)),
            Figure(SERVED_BARE, UNIT): asyncio.run(_served_rate(port, f"/bare/{job_id}", requests)),
        }


async def _served_rate(port: int, path: str, requests: int) -> float:
    """Requests per second of the server's CPU time, as the server reports it."""
    before = float((await _ask(port, "/cpu", 1))[0])
    each = requests // _CONNECTIONS
    answers = await asyncio.gather(*(_ask(port, path, each) for _ in range(_CONNECTIONS)))
    after = float((await _ask(port, "/cpu", 1))[0])
    good = sum(b'"completed"' in body for bodies in answers for body in bodies)
    require(good, each * _CONNECTIONS, "answers")
    return good / (after - before)


async def _ask(port: int, path: str, times: int) -> list[bytes]:
    """The bodies of *times* answers, requested one after another on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    bodies = []
    for _ in range(times):
        writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
        bodies.append(await reader.readexactly(int(length)))
    writer.close()
    await writer.wait_closed()
    return bodies


# Streams.


class _Reader:
    """A client that reads a stream and never disconnects."""

    def __init__(self) -> None:
        self.events = 0

    async def receive(self) -> MutableMapping[str, Any]:
        await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.events += message.get("body", b"").count(b"\ndata: ")


async def _streams(name: str, streams: int) -> Round:
    """All streams follow one job, and each gets every change of its progress."""
    handlers, steps = JobHandlers(), asyncio.Queue[float]()

    @handlers.job
    async def reporting(ctx: JobContext) -> None:
        while (fraction := await steps.get()) < 1:
            ctx.set_progress(fraction)

    limits = HttpLimits(max_open=streams, max_open_per_client=streams)
    readers = [_Reader() for _ in range(streams)]
    async with AsyncioJobQueue(handlers) as queue:
        path = f"/{await queue.submit('reporting')}/events"
        app = jobs_app(queue=queue, limits=limits)
        taken, tasks = await _opened(app, path, readers)
        cpu = await _changes(steps, readers)
        steps.put_nowait(1)
        await asyncio.gather(*tasks)
    return {
        Figure(name, "cpu, µs a second"): cpu / streams * 1e6,
        Figure(name, "bytes"): taken / streams,
    }


async def _opened(
    app: App, path: str, readers: list[_Reader]
) -> tuple[int, list[asyncio.Task[None]]]:
    """The memory of the streams in bytes, and their tasks, once all have begun."""
    gc.collect()
    tracemalloc.start()
    tasks = [asyncio.ensure_future(app(_scope(path), r.receive, r.send)) for r in readers]
    await _all_have(readers, 1)
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return taken, tasks


async def _changes(steps: asyncio.Queue[float], readers: list[_Reader]) -> float:
    """CPU seconds until a change has reached all streams; the mean of several changes."""
    begun = time.process_time()
    for number in range(_CHANGES):
        steps.put_nowait(number / _CHANGES)
        await _all_have(readers, number + 2)
    return (time.process_time() - begun) / _CHANGES


async def _all_have(readers: list[_Reader], events: int) -> None:
    while any(reader.events < events for reader in readers):  # noqa: ASYNC110 - no event costs less
        await asyncio.sleep(0)
