"""What `stoat-jobs worker` says of an app that it cannot run."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from ..support.worker_apps import IN_PROCESS, Worker, ended, last_line

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
        raise KeyError("DATABASE")
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
    await send({"type": "lifespan.startup.failed", "message": "no\\nlicence \\x1b[2J\\n"})

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
            r"the app's lifespan failed at startup: KeyError: 'DATABASE' \(apps\.py, line \d+\)",
        ),
        ("leaves", 1, "the app's lifespan ended before it was told to: it did not say why"),
        ("says_why", 1, r"the app's lifespan failed at startup: licence \\x1b\[2J"),
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
