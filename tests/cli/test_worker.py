"""`stoat-jobs worker`: the user's app without a socket, in a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from stoat_jobs._cli.worker.reload import python_files

from ..support import SAFETY_NET
from ..support.programs import Command, run_python
from ..support.worker_apps import make

Worker = Callable[..., Command]

LOOPS = ["asyncio", pytest.param("uvloop", marks=pytest.mark.skipif(os.name == "nt", reason=""))]


@pytest.fixture
def worker(environment: dict[str, str], tmp_path: Path) -> Iterator[Worker]:
    """Starts `stoat-jobs worker ARGUMENTS` in a folder that has the apps; all output is one."""
    make(tmp_path)
    with ExitStack() as stack:

        def start(*arguments: str, **variables: str) -> Command:
            program = [sys.executable, "-m", "stoat_jobs", "worker", *arguments]
            path = os.pathsep.join([str(tmp_path), environment.get("PYTHONPATH", "")])
            command = Command(
                program,
                cwd=tmp_path,
                env={**environment, "PYTHONPATH": path, **variables},
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            stack.enter_context(command)
            stack.callback(kill_group, command.process.pid)
            return command

        yield start


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


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains(worker: Worker, tmp_path: Path, loop: str, signum: signal.Signals) -> None:
    """The app's own lifespan runs, with workers on; a running job finishes, and the exit is 0."""
    command = worker("shop:app", "--loop", loop, SUBMIT="patient")
    assert command.read_until("up ") == "up True 2 None 2"
    assert command.read_until("patient begun") == "patient begun with a pool"
    command.interrupt(signum)
    command.read_until("running jobs may finish")
    (tmp_path / "go").touch()
    code, out = ended(command)
    assert code == 0
    assert re.search(r"patient done\n(.*\n)*down\n", out), out


def test_sigterm_may_be_repeated(worker: Worker, tmp_path: Path) -> None:
    """Several SIGTERMs, and one Ctrl-C beside them, are still an orderly stop."""
    command = worker("shop:app", SUBMIT="patient")
    command.read_until("patient begun")
    for signum in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        command.interrupt(signum)
    command.read_until("running jobs may finish")
    (tmp_path / "go").touch()
    assert ended(command)[0] == 0


@pytest.mark.parametrize("loop", LOOPS)
def test_a_second_interrupt_leaves_at_once(worker: Worker, loop: str) -> None:
    """Ctrl-C twice waits for nothing: 130, and one line says what becomes of the jobs."""
    command = worker("shop:app", "--loop", loop, SUBMIT="stubborn")
    command.read_until("stubborn begun")
    command.interrupt()
    command.read_until("Ctrl-C: running jobs may finish; Ctrl-C once more leaves at once")
    command.interrupt()
    assert "left at once; what ran here runs again" in last_line(command, 130)


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


IN_PROCESS = """
from functools import partial
from starlette.applications import Starlette
from stoat_jobs import JobQueueSettings, lifespan
settings = JobQueueSettings(backend={backend!r}, url={url!r})
app = Starlette(lifespan=partial(lifespan, settings=settings))
"""


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


APPS = """
import asyncio
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from stoat_jobs import lifespan
from shop import handlers, settings

empty = Starlette()

async def silent(scope, receive, send):
    return None

async def loud(scope, receive, send):
    assert scope["type"] == "http"

@asynccontextmanager
async def fails_first(app):
    async with lifespan(app, handlers=handlers, settings=settings) as state:
        raise KeyError("DATABASE\\x1b")
        yield state

@asynccontextmanager
async def fails_last(app):
    async with lifespan(app, handlers=handlers, settings=settings) as state:
        yield state
    raise KeyError("DATABASE")

@asynccontextmanager
async def breaks(app):
    async with asyncio.TaskGroup() as group:
        async with lifespan(app, handlers=handlers, settings=settings) as state:
            group.create_task(broken())
            yield state

async def broken():
    raise LookupError("no connection")

async def says_why(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no\\nlicence\\n"})

first = Starlette(lifespan=fails_first)
last = Starlette(lifespan=fails_last)
group = Starlette(lifespan=breaks)

async def leaves(scope, receive, send):
    await receive()
    async with lifespan(handlers=handlers, settings=settings):
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})
"""


@pytest.mark.parametrize(
    ("app", "code", "text"),
    [
        (
            "empty",
            2,
            r"the app's lifespan starts no queue: use stoat_jobs\.lifespan or with_jobs.*",
        ),
        ("silent", 2, r"the app's lifespan starts no queue: .*"),
        ("loud", 1, r"the app failed at startup, or it speaks no lifespan .*AssertionError \(.*\)"),
        (
            "first",
            1,
            r"the app's lifespan failed at startup: KeyError: 'DATABASE.+x1b' \(apps\.py, line \d+\)",
        ),
        ("leaves", 1, "the app's lifespan ended before it was told to: it did not say why"),
        ("says_why", 1, "the app's lifespan failed at startup: licence"),
        (
            "group",
            1,
            r"the app's lifespan ended before it was told to: LookupError: no .* \(apps\.py, .*\)",
        ),
    ],
)
def test_a_lifespan_that_does_not_run(
    worker: Worker, tmp_path: Path, app: str, code: int, text: str
) -> None:
    """One line says what failed, and where; no queue is 2, a failure is 1."""
    (tmp_path / "apps.py").write_text(APPS)
    line = last_line(worker(f"apps:{app}"), code)
    assert re.fullmatch(text, line), line


def test_a_lifespan_that_fails_at_shutdown(worker: Worker, tmp_path: Path) -> None:
    """It has run its jobs, and exits with 1 and one line."""
    (tmp_path / "apps.py").write_text(APPS)
    command = worker("apps:last")
    command.read_until("at a time")
    command.interrupt(signal.SIGTERM)
    line = last_line(command, 1)
    place = r"the app's lifespan failed at shutdown: KeyError: 'DATABASE' \(apps\.py, line \d+\)"
    assert re.fullmatch(place, line)


def test_a_queue_that_cannot_start(worker: Worker, tmp_path: Path) -> None:
    """Its own error, which says what to do, is the line; exit code 1."""
    (tmp_path / "absent.py").write_text(IN_PROCESS.format(backend="shard", url=None))
    line = last_line(worker("absent:app"), 1)
    assert line.startswith("the app's lifespan failed at startup: BackendNotFoundError: no backend")


NAMES = """
import sys
answer = 42
def make(): return answer
def fail(): raise RuntimeError("no")
def needs(one): return one
"""


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["shop"], 2, "'shop' is not package.module:app"),
        (["shop:"], 2, "'shop:' is not package.module:app"),
        (["shap:app"], 2, r"no module 'shap' in /.* or on Python's path; see --app-dir"),
        (["shop.api:app"], 2, r"no module 'shop\.api' in /.*"),
        (["none.api:app"], 2, r"no module 'none' in /.*"),
        (["shop:ap"], 2, "shop has no 'ap'"),
        (["shop:app.state.x"], 2, "shop has no 'app.state.x'"),
        (["names:answer"], 2, "names:answer is no ASGI app, but of type int"),
        (["names:make"], 2, "names:make takes no arguments, so it is no ASGI app: try --factory"),
        (["names:make", "--factory"], 2, "what names:make returns is no ASGI app, .* type int"),
        (["names:answer", "--factory"], 2, "names:answer is no factory, but of type int"),
        (["names:fail", "--factory"], 1, r"names:fail\(\) failed: RuntimeError: no \(names.*5\)"),
        (["names:needs", "--factory"], 1, r"names:needs\(\) failed: TypeError: .*"),
        (["raises:app"], 1, r"raises cannot be imported: NameError: .*\(raises.py, line 2\)"),
        (["broken:app"], 1, r"broken cannot be imported: SyntaxError: .*"),
        (["needing:app"], 1, r"needing cannot .* ModuleNotFoundError: .*gone.*\(needing.py, .*"),
        (["leaving:app"], 1, r"leaving cannot be imported: SystemExit: 0 .*"),
    ],
)
def test_what_is_no_app(
    worker: Worker, tmp_path: Path, arguments: list[str], code: int, text: str
) -> None:
    """One line: 2 if there is no such app, 1 if its code raised, with the place."""
    (tmp_path / "names.py").write_text(NAMES)
    (tmp_path / "raises.py").write_text("\nnothing\n")
    (tmp_path / "broken.py").write_text("def (\n")
    (tmp_path / "needing.py").write_text("import gone\n")
    (tmp_path / "leaving.py").write_text("raise SystemExit(0)\n")
    line = last_line(worker(*arguments), code)
    assert re.fullmatch(text, line), line


def test_a_factory_in_another_folder(worker: Worker, tmp_path: Path) -> None:
    """--factory calls what makes the app, and --app-dir says where its code is."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "made.py").write_text("from shop import create_app as make\n")
    command = worker("made:make", "--factory", "--app-dir", "src")
    command.read_until("up True")
    command.interrupt(signal.SIGTERM)
    assert ended(command)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--concurrency=0"], "'0' is not a number above 0"),
        (["--health=8081"], "'8081' is not HOST:PORT, such as 127.0.0.1:8081"),
        (["--health=localhost:65536"], "'localhost:65536' is not HOST:PORT"),
        (["--health-limit=nan"], "'nan' is not a number of seconds above 0"),
        (["--loop=trio"], "invalid choice: 'trio'"),
    ],
)
def test_wrong_arguments(worker: Worker, arguments: list[str], text: str) -> None:
    """They are refused before anything is imported; exit code 2."""
    code, out = ended(worker("shop:app", *arguments))
    assert code == 2
    assert text in out
    assert "up " not in out


SLOW = """
import time
from pathlib import Path
print("importing", flush=True)
while not Path("go").exists():
    time.sleep(0.01)
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


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_it_starts(
    worker: Worker, tmp_path: Path, loop: str, signum: signal.Signals
) -> None:
    """While the app is imported or starts, nothing is to be drained: it ends, with 0."""
    (tmp_path / "slow.py").write_text(SLOW)
    (tmp_path / "starting.py").write_text(STARTING)
    for name, said, last in [
        ("slow", "importing", "importing"),
        ("starting", "starting", "tidied"),
    ]:
        command = worker(f"{name}:app", "--loop", loop)
        command.read_until(said)
        command.interrupt(signum)
        code, out = ended(command)
        assert (code, out.rstrip("\n").rpartition("\n")[2]) == (0, last)


# Health.


def get(url: str) -> tuple[int, Any]:
    """Status and JSON of an answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=SAFETY_NET) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def address(command: Command) -> str:
    """Where it says that its health is told."""
    return command.read_until("health at ").split()[-1]


def test_health_over_http(worker: Worker, tmp_path: Path) -> None:
    """200 while every age is below the limit, and while it drains; 503 as it starts, or is late."""
    ages = tmp_path / "ages.json"
    ages.write_text('{"beat": 0.5, "claim": 29.9}')
    (tmp_path / "starting.py").write_text(STARTING)
    command = worker("starting:app", "--health", "127.0.0.1:0")
    url = address(command)
    command.read_until("starting")
    assert get(url)[0] == 503
    assert get(url)[1]["status"] == "starting"
    assert get(f"{url}live")[0] == 200

    command = worker("shop:app", "--health", "127.0.0.1:0", SUBMIT="patient", AGES=str(ages))
    url = address(command)
    command.read_until("at a time")
    status, told = get(url)
    assert (status, told["status"], told["running"]) == (200, "running", 1)
    assert (told["oldest_s"], told["limit_s"]) == (29.9, 30.0)
    queue = {"backend": "shared", "running": 1, "ages": {"beat": 0.5, "claim": 29.9}}
    assert told["queues"] == {"job_queue": queue}
    for late in ('{"claim": 30.0}', "{}"):
        ages.write_text(late)
        assert (get(url)[0], get(url)[1]["status"]) == (503, "late")
        assert get(f"{url}live")[0] == 200
    command.interrupt(signal.SIGTERM)
    command.read_until("running jobs may finish")
    assert (get(url)[0], get(url)[1]["status"]) == (200, "stopping")
    (tmp_path / "go").touch()
    assert ended(command)[0] == 0


def test_a_health_limit(worker: Worker, tmp_path: Path) -> None:
    """--health-limit is the age from which a side task is late."""
    ages = tmp_path / "ages.json"
    ages.write_text('{"claim": 5.0}')
    arguments = ["shop:app", "--health", "127.0.0.1:0", "--health-limit", "5"]
    command = worker(*arguments, AGES=str(ages))
    url = address(command)
    command.read_until("at a time")
    assert get(url)[0] == 503
    ages.write_text('{"claim": 4.9}')
    assert get(url)[0] == 200


def test_a_health_file(worker: Worker, tmp_path: Path) -> None:
    """It is replaced as a whole every few seconds, says its time, and is gone in the end."""
    path = tmp_path / "health.json"
    command = worker("shop:app", "--health-file", str(path))
    command.read_until("at a time")
    told: list[Any] = []
    for _ in range(3):
        with path.open() as file:
            number, began = path.stat().st_ino, time.monotonic()
            while path.stat().st_ino == number and time.monotonic() < began + SAFETY_NET:
                time.sleep(0.01)
            told.append(json.loads(file.read()))  # of before, though there is a new one
    assert told[-1]["status"] == "running"
    assert len({each["time"] for each in told}) == 3
    command.interrupt(signal.SIGTERM)
    assert ended(command)[0] == 0
    assert not list(tmp_path.glob("*health.json*"))


def test_health_that_cannot_be_told(worker: Worker, tmp_path: Path) -> None:
    """A port that is taken, or a file that cannot be written, is one line; exit code 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = last_line(worker("shop:app", "--health", f"127.0.0.1:{port}"), 2)
        assert line.startswith(f"cannot listen on 127.0.0.1:{port}: ")
    line = last_line(worker("shop:app", "--health-file", "nowhere/health.json"), 2)
    assert line == "cannot write nowhere/health.json: No such file or directory"


# The log.

CONFIGURED = """
import logging
logging.basicConfig(level={level}, format="MINE %(message)s")
from shop import app
"""


def test_events_are_shown_where_no_log_is_configured(worker: Worker) -> None:
    """An app without a logging configuration has the events of stoat_jobs on standard error."""
    command = worker("shop:app", SUBMIT="patient")
    assert " INFO worker_started backend=shared" in command.read_until("worker_started")


@pytest.mark.parametrize(("level", "expected"), [("'INFO'", 1), ("'WARNING'", 0)])
def test_the_log_of_the_app_counts(
    worker: Worker, tmp_path: Path, level: str, expected: int
) -> None:
    """One that configures logging has each event once, and of its own levels only."""
    (tmp_path / "configured.py").write_text(CONFIGURED.format(level=level))
    command = worker("configured:app")
    command.read_until("at a time")
    command.interrupt(signal.SIGTERM)
    code, out = ended(command)
    assert code == 0
    assert out.count("worker_started") == out.count("MINE worker_started") == expected


# Reload.


def test_reload(worker: Worker, tmp_path: Path) -> None:
    """A change restarts the worker, in good order; one that cannot start waits for the next."""
    (tmp_path / "changing.py").write_text("print('one', flush=True)\nfrom shop import app\n")
    command = worker("changing:app", "--reload", "--concurrency=3")
    command.read_until("one")
    command.read_until("up True 3")
    command.read_until("at a time")
    (tmp_path / "changing.py").write_text("print('two', flush=True)\nimport gone\n")
    command.read_until("changing.py has changed: the worker starts again")
    command.read_until("down")
    command.read_until("two")
    command.read_until("it ended with 1; waiting for a change of the code")
    (tmp_path / "changing.py").write_text("from shop import app\n")
    command.read_until("up True 3")
    command.read_until("at a time")
    os.killpg(command.process.pid, signal.SIGINT)  # as a terminal does
    code, out = ended(command)
    assert (code, "down" in out) == (0, True)


def test_what_is_watched(tmp_path: Path) -> None:
    """Python files, at any depth, but none of virtual environments or hidden folders."""
    for name in ("a.py", "b/c.py", "b/d.txt", ".git/e.py", "b/__pycache__/f.py", "venv/g.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    (tmp_path / "b" / "gone.py").symlink_to("nowhere")
    found = {str(Path(each).relative_to(tmp_path)) for each in python_files(str(tmp_path))}
    assert found == {"a.py", "b/c.py"}


def test_sigterm_for_who_reloads(worker: Worker, tmp_path: Path) -> None:
    """A signal that only it gets stops the worker as well, in good order."""
    command = worker("shop:app", "--reload", SUBMIT="patient")
    command.read_until("patient begun")
    command.interrupt(signal.SIGTERM)
    command.read_until("SIGTERM: running jobs may finish")
    (tmp_path / "go").touch()
    code, out = ended(command)
    assert (code, "patient done" in out) == (0, True)


def test_interrupts_for_who_reloads(worker: Worker) -> None:
    """The second Ctrl-C leaves at once, also if only it gets them."""
    command = worker("shop:app", "--reload", SUBMIT="stubborn")
    command.read_until("stubborn begun")
    command.interrupt()
    command.read_until("SIGTERM: running jobs may finish")
    command.interrupt()
    assert ended(command)[0] == 130


def test_help_names_the_exit_codes(worker: Worker) -> None:
    """--help says what the command does, and what its exit codes mean."""
    code, out = ended(worker("--help"))
    assert code == 0
    assert "130 Ctrl-C twice" in out
