"""Which queues `stoat-jobs worker` runs, and what it refuses."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from ..support.programs import run_python
from ..support.worker_apps import IN_PROCESS, Worker, ended, last_line


def test_options_reach_the_queue(worker: Worker) -> None:
    """--concurrency and --job-type are those of the queue; all handlers stay registered."""
    command = worker("shop:app", "--concurrency", "7", "--job-type", "patient")
    assert command.read_until("up ") == "up True 7 ['patient'] 2"
    line = command.read_until("at a time")
    assert line == "stoat-jobs worker: job_queue on shared, 7 at a time: patient"


def test_an_unknown_job_type_is_refused(worker: Worker) -> None:
    """One line with the types that there are, the nearest first; exit code 2."""
    line = last_line(worker("shop:app", "--job-type", "pacient"), 2)
    assert line == "no job type 'pacient'; known, nearest first: patient, stubborn"


def test_web_processes_only_submit(worker: Worker, tmp_path: Path) -> None:
    """Without the command nothing changes: the same app has the options of its settings."""
    code = (
        "import asyncio, shop\n"
        "async def main():\n"
        "    async with shop.life(shop.app): pass\n"
        "asyncio.run(main())"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    assert "up False 2 None 2\n" in run_python("-c", code, env=env).stdout


@pytest.mark.parametrize("backend", ["asyncio", "memory", "sqlite"])
def test_a_backend_of_one_process_is_refused(worker: Worker, tmp_path: Path, backend: str) -> None:
    """One line says why a worker of its own makes no sense there; a file is not even opened."""
    url = "jobs.db" if backend == "sqlite" else None
    (tmp_path / "single.py").write_text(IN_PROCESS.format(backend=backend, url=url))
    for more in ([], ["--concurrency=3"], ["--job-type=scan"]):
        line = last_line(worker("single:app", *more), 2)
        start = f"backend '{backend}' runs its jobs in the process that accepted them, so"
        assert line.startswith(start), line
        assert line.endswith(": for workers, use a backend that processes share, such as postgres")
    assert not (tmp_path / "jobs.db").exists()


QUEUES = """
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from stoat_jobs import JobHandlers, JobQueueSettings, lifespan
from shop import handlers, settings, tell
others = JobHandlers()
@others.job
async def mail(ctx) -> None: ...

@asynccontextmanager
async def life(app):
    local = JobQueueSettings()
    async with (
        lifespan(app, handlers=handlers, settings=settings) as one,
        lifespan(app, handlers=others, settings=settings, name="mail") as two,
        lifespan(app, settings=local, name="local") as three,
    ):
        tell(one["job_queue"])
        tell(two["job_queue_mail"])
        print("local", three["job_queue_local"].started, flush=True)
        yield
app = Starlette(lifespan=life)
"""


def test_all_queues_run(worker: Worker, tmp_path: Path) -> None:
    """Several shared queues of an app run, each with its own types, beside one of the process."""
    (tmp_path / "queues.py").write_text(QUEUES)
    command = worker("queues:app", "--job-type=mail", "--concurrency=4")
    assert command.read_until("up ") == "up True 4 [] 2"
    assert command.read_until("up ") == "up True 4 ['mail'] 1"
    command.read_until("local True")
    assert command.read_until("at a time").endswith(
        "job_queue on shared, 4 at a time: no job types"
    )
    assert command.read_until("at a time").endswith(": job_queue_mail on shared, 4 at a time: mail")
    command.interrupt(signal.SIGTERM)
    assert ended(command)[0] == 0


FRAMEWORKS = """
from functools import partial
from fastapi import FastAPI
from litestar import Litestar
from quart import Quart
from stoat_jobs import lifespan, with_jobs
from shop import handlers, settings

ours = partial(lifespan, handlers=handlers, settings=settings)
fastapi = FastAPI(lifespan=ours)
litestar = Litestar(lifespan=[ours])
quart = Quart("shop")
quart.asgi_app = with_jobs(quart.asgi_app, handlers=handlers, settings=settings)

async def bare(scope, receive, send):
    assert scope["type"] == "http"

bare = with_jobs(bare, handlers=handlers, settings=settings)
"""


@pytest.mark.parametrize("framework", ["fastapi", "litestar", "quart", "bare"])
def test_an_app_of_any_framework(worker: Worker, tmp_path: Path, framework: str) -> None:
    """Whatever runs the lifespan, its queue is a worker's, and is stopped in good order."""
    (tmp_path / "frameworks.py").write_text(FRAMEWORKS)
    command = worker(f"frameworks:{framework}")
    line = command.read_until("at a time")
    assert line.endswith("job_queue on shared, 2 at a time: patient, stubborn")
    command.interrupt(signal.SIGTERM)
    code, out = ended(command)
    assert (code, out.count("worker_stopped")) == (0, 1)


GIVEN = """
from functools import partial
from starlette.applications import Starlette
from stoat_jobs import JobQueueSettings, create_queue, lifespan
from shop import handlers, settings
queue = create_queue(handlers, settings.model_copy(update={"options": {options}}))
app = Starlette(lifespan=partial(lifespan, queue=queue))
"""


def test_a_queue_that_the_app_has_built(worker: Worker, tmp_path: Path) -> None:
    """It is used as it is, and refused where it would have to be another one."""
    for name, options in [("given", {}), ("submits", {"worker": False})]:
        (tmp_path / f"{name}.py").write_text(GIVEN.replace("{options}", str(options)))
    for arguments, what in [
        (["given:app", "--concurrency=2"], "have another concurrency"),
        (["given:app", "--job-type=patient"], "run only some job types"),
        (["submits:app"], "run jobs: this queue only submits"),
    ]:
        line = last_line(worker(*arguments), 2)
        assert line.startswith("the app passes a queue to lifespan that it has built itself: ")
        assert line.endswith(f"so that the worker can {what}")
    command = worker("given:app")
    command.read_until("job_queue on shared, 2 at a time: patient, stubborn")
    command.interrupt(signal.SIGTERM)
    assert ended(command)[0] == 0
