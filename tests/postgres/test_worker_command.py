"""`stoat-jobs worker` beside a web server, both of the same app, on a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..support import SAFETY_NET
from ..support.postgres.cluster import PASSWORD, Cluster
from ..support.programs import Command

APP = """
import asyncio, json, os
from functools import partial
from pathlib import Path
from fastapi import FastAPI, Request
from stoat_jobs import JobContext, JobHandlers, JobQueueSettings, get_queue, lifespan

handlers = JobHandlers()

@handlers.job
async def where(ctx: JobContext) -> int:
    return ctx.app.state.pid

@handlers.job
async def hold(ctx: JobContext) -> int:
    print("begun", ctx.job_id, flush=True)
    while not Path("go").exists():
        await asyncio.sleep(0.01)
    return ctx.app.state.pid

settings = JobQueueSettings(**json.loads(os.environ["JOBS"]))
app = FastAPI(lifespan=partial(lifespan, handlers=handlers, settings=settings))
app.state.pid = os.getpid()

@app.post("/{job_type}")
async def submit(request: Request, job_type: str) -> str:
    return await get_queue(request).submit(job_type)

@app.get("/{job_id}/end")
async def end(request: Request, job_id: str) -> dict:
    record = await get_queue(request).wait(job_id, 120)
    return {"status": record.status, "result": record.result}

@app.get("/{job_id}")
async def look(request: Request, job_id: str) -> str:
    return await get_queue(request).get_status(job_id)
"""

Start = Callable[..., Command]


class Shop:
    """The folder of the app, and the processes that run it."""

    def __init__(self, folder: Path, stack: ExitStack, settings: dict[str, Any]) -> None:
        self.folder, self._stack, self._settings = folder, stack, settings
        (folder / "shop.py").write_text(APP)

    def start(self, *command: str) -> Command:
        path = os.pathsep.join([str(self.folder), *sys.path])
        settings = json.dumps({"backend": "postgres", **self._settings})
        program = Command(
            [sys.executable, "-m", *command],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path, "JOBS": settings},
            stderr=subprocess.STDOUT,
        )
        return self._stack.enter_context(program)

    def worker(self, *arguments: str) -> Command:
        """A worker that runs."""
        command = self.start("stoat_jobs", "worker", "shop:app", *arguments)
        command.read_until("at a time")
        return command

    def web(self) -> httpx.Client:
        """A client of a web process that runs."""
        server = self.start("uvicorn", "shop:app", "--port", "0")
        url = server.read_until("Uvicorn running on").split("running on ")[1].split()[0]
        client = httpx.Client(base_url=url, timeout=SAFETY_NET, trust_env=False)
        return self._stack.enter_context(client)

    def let_go(self) -> None:
        """Let jobs that are held end."""
        (self.folder / "go").touch()


MakeShop = Callable[..., Shop]


@pytest.fixture
def make_shop(tmp_path: Path) -> Iterator[MakeShop]:
    """Makes an app with these settings, which web processes only submit to."""
    with ExitStack() as stack:

        def make(url: str, options: dict[str, Any] | None = None, **settings: Any) -> Shop:
            chosen = {"worker": False, **(options or {})}
            return Shop(tmp_path, stack, {"url": url, "options": chosen, **settings})

        yield make


def end_of(client: httpx.Client, job_id: str) -> Any:
    """How a job ended."""
    answer = client.get(f"/{job_id}/end")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_web_process_submits_and_a_worker_runs(make_shop: MakeShop, url: str) -> None:
    """The same app, twice: what one accepts the other runs, and the first one hears of it."""
    shop = make_shop(url)
    web = shop.web()
    waiting = web.post("/where").json()
    assert web.get(f"/{waiting}").json() == "pending"
    worker = shop.worker()
    assert end_of(web, waiting) == {"status": "completed", "result": worker.process.pid}
    worker.interrupt(signal.SIGTERM)
    assert worker.finish()[0] == 0
    assert web.get(f"/{web.post('/where').json()}").json() == "pending"


def test_sigterm_drains(make_shop: MakeShop, url: str) -> None:
    """A job that runs may finish; the worker exits with 0 when it has."""
    shop = make_shop(url, drain_timeout=600)
    web, worker = shop.web(), shop.worker()
    job_id = web.post("/hold").json()
    worker.read_until(f"begun {job_id}")
    worker.interrupt(signal.SIGTERM)
    worker.read_until("queue_draining")
    assert web.get(f"/{job_id}").json() == "running"
    shop.let_go()
    assert worker.finish()[0] == 0
    assert end_of(web, job_id) == {"status": "completed", "result": worker.process.pid}


def test_what_is_not_drained_runs_elsewhere(make_shop: MakeShop, url: str) -> None:
    """A job that is over its time at the stop is given back, and another worker has it at once."""
    shop = make_shop(url, drain_timeout=0, options={"lease": 600})
    web, first = shop.web(), shop.worker()
    job_id = web.post("/hold").json()
    first.read_until(f"begun {job_id}")
    second = shop.worker()
    first.interrupt(signal.SIGTERM)
    assert first.finish()[0] == 0
    second.read_until(f"begun {job_id}")
    shop.let_go()
    assert end_of(web, job_id) == {"status": "completed", "result": second.process.pid}


def test_a_second_interrupt_leaves_the_job_to_others(make_shop: MakeShop, url: str) -> None:
    """Exit code 130 at once; the job runs again elsewhere when its lease has ended."""
    shop = make_shop(url, drain_timeout=600, options={"lease": 1})
    web, first = shop.web(), shop.worker()
    job_id = web.post("/hold").json()
    first.read_until(f"begun {job_id}")
    first.interrupt()
    first.read_until("Ctrl-C once more leaves at once")
    first.interrupt()
    assert first.finish()[0] == 130
    second = shop.worker()
    second.read_until(f"begun {job_id}")
    shop.let_go()
    assert end_of(web, job_id) == {"status": "completed", "result": second.process.pid}


def test_workers_of_some_types(make_shop: MakeShop, url: str) -> None:
    """With --job-type, each runs its own; a type that nobody runs waits."""
    shop = make_shop(url)
    web = shop.web()
    holding = shop.worker("--job-type", "hold")
    ids = [web.post("/where").json() for _ in range(3)]
    held = web.post("/hold").json()
    holding.read_until(f"begun {held}")
    shop.let_go()
    assert end_of(web, held)["result"] == holding.process.pid
    assert {web.get(f"/{job_id}").json() for job_id in ids} == {"pending"}
    other = shop.worker("--job-type", "where")
    assert {end_of(web, job_id)["result"] for job_id in ids} == {other.process.pid}


def until(condition: Callable[[], bool]) -> None:
    """Wait until *condition* holds."""
    deadline = time.monotonic() + SAFETY_NET
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_health_follows_the_server(make_shop: MakeShop, own_cluster: Cluster) -> None:
    """200 with the age of each side task; 503 while the server is away, and 200 when it is back."""
    shop = make_shop(own_cluster.url)
    path = shop.folder / "health.json"
    arguments = ("--health", "127.0.0.1:0", "--health-file", str(path), "--health-limit", "3")
    worker = shop.start("stoat_jobs", "worker", "shop:app", *arguments)
    address = worker.read_until("health at ").split()[-1]
    worker.read_until("at a time")
    client = httpx.Client(base_url=address, timeout=SAFETY_NET, trust_env=False)
    told = client.get("/")
    assert (told.status_code, told.json()["status"], told.json()["running"]) == (200, "running", 0)
    ages = told.json()["queues"]["job_queue"]["ages"]
    assert {"beat", "listen", "claim", "finish", "keep"} <= ages.keys()

    own_cluster.stop("immediate")
    until(lambda: client.get("/").status_code == 503)
    until(lambda: json.loads(path.read_text())["status"] == "late")
    assert client.get("/live").status_code == 200
    own_cluster.start()
    until(lambda: client.get("/").status_code == 200)
    until(lambda: json.loads(path.read_text())["status"] == "running")
    client.close()
    worker.interrupt(signal.SIGTERM)
    assert worker.finish()[0] == 0


def test_a_lease_that_is_longer_is_the_limit(make_shop: MakeShop, url: str) -> None:
    """With a lease above the default limit, nothing is late before it has ended."""
    shop = make_shop(url, options={"lease": 90})
    worker = shop.start("stoat_jobs", "worker", "shop:app", "--health", "127.0.0.1:0")
    address = worker.read_until("health at ").split()[-1]
    worker.read_until("at a time")
    assert httpx.get(address, trust_env=False).json()["limit_s"] == 90


def test_a_server_that_is_away_at_the_start(make_shop: MakeShop, cluster: Cluster) -> None:
    """One line without the password, and exit code 1, so that whoever started it tries again."""
    shop = make_shop(cluster.url_of("nowhere"))
    code, out, _ = shop.start("stoat_jobs", "worker", "shop:app").finish()
    assert code == 1
    line = out.rstrip("\n").rpartition("\n")[2]
    start = "stoat-jobs worker: the app's lifespan failed at startup: BackendStartError: backend"
    assert line.startswith(start)
    assert "Traceback" not in out
    assert PASSWORD not in out
