"""Apps for `stoat-jobs worker`, with a backend that says of itself that processes share it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from .environments import install
from .programs import Command

Worker = Callable[..., Command]
"""Starts a worker with these arguments and variables."""

LOOPS = ["asyncio", "uvloop"]

BACKEND = """
import json, os
from pydantic import BaseModel
from stoat_jobs import AsyncioJobQueue
from stoat_jobs.backends import Capabilities

class Options(BaseModel, extra="forbid"):
    worker: bool = True
    job_types: list[str] | None = None

class SharedQueue(AsyncioJobQueue):
    name = "shared"
    capabilities = Capabilities(cross_process=True)
    options_type = Options

    @property
    def options(self):
        return self._options

    @property
    def running_here(self):
        return len(self._scheduler.running)

    def side_task_ages(self):
        path = os.environ.get("AGES")
        return json.loads(open(path).read()) if path else {"claim": 0.0}
"""

SHOP = """
import asyncio, os
from contextlib import asynccontextmanager
from pathlib import Path
from starlette.applications import Starlette
from stoat_jobs import JobContext, JobHandlers, JobQueueSettings, lifespan

handlers = JobHandlers()

def show(*what):
    print(*what, flush=True)

@handlers.job
async def patient(ctx: JobContext) -> None:
    show("patient begun", ctx.app.state.pool)
    while not Path("go").exists():
        await asyncio.sleep(0.01)
    show("patient done")

@handlers.job
async def stubborn(ctx: JobContext) -> None:
    show("stubborn begun")
    await asyncio.Event().wait()

settings = JobQueueSettings(
    backend="shared", drain_timeout=600, concurrency=2, options={"worker": False}
)

def tell(queue):
    types = queue.settings.options.get("job_types")
    show("up", queue.options.worker, queue.settings.concurrency, types, len(queue.handlers))

@asynccontextmanager
async def life(app):
    app.state.pool = "with a pool"
    async with lifespan(app, handlers=handlers, settings=settings) as state:
        tell(state["job_queue"])
        for name in os.environ.get("SUBMIT", "").split():
            await state["job_queue"].submit(name)
        yield state
    show("down")

app = Starlette(lifespan=life)

def create_app():
    return app
"""

IN_PROCESS = """
from functools import partial
from starlette.applications import Starlette
from stoat_jobs import JobQueueSettings, lifespan
settings = JobQueueSettings(backend={backend!r}, url={url!r})
app = Starlette(lifespan=partial(lifespan, settings=settings))
"""

STARTING = """
import asyncio
from contextlib import asynccontextmanager
from starlette.applications import Starlette
@asynccontextmanager
async def life(app):
    print("starting", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        print("tidied", flush=True)
    yield
app = Starlette(lifespan=life)
"""


def make(folder: Path, **modules: str) -> None:
    """Put the backend ``shared``, the app ``shop:app`` and *modules* into *folder*."""
    install(folder, "shared-backend", "shared = shared_backend:SharedQueue\n")
    for name, source in {"shared_backend": BACKEND, "shop": SHOP, **modules}.items():
        (folder / f"{name}.py").write_text(source)


class WorkerCommand(Command):
    """A worker that leads a group of processes; one that hangs is killed with what it started."""

    def kill(self) -> None:
        kill_group(self.process.pid)


def kill_group(pid: int) -> None:
    """End also what a command has started, if it has not done so itself."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def ended(command: Command) -> tuple[int, str]:
    """The exit code, and all output."""
    code, out, _ = command.finish()
    return code, out


def last_line(command: Command, code: int) -> str:
    """The last line of a worker that ends with *code*, without its beginning."""
    found, out = ended(command)
    assert found == code, out
    assert "Traceback" not in out
    start, _, text = out.rstrip("\n").rpartition("\n")[2].partition("stoat-jobs worker: ")
    assert (start, bool(text)) == ("", True), out
    return text
