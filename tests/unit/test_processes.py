"""The warning of several server processes, where there is no server; tests/servers has them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from stoat_jobs import AsyncioJobQueue, InMemoryJobQueue, JobQueueSettings, lifespan

TWO = SimpleNamespace(num_workers=2, workers=2, should_reload=False)


async def start(queue: Any = None, backend: str = "asyncio") -> None:
    async with lifespan(queue=queue, settings=None if queue else JobQueueSettings(backend=backend)):
        pass


def worker_of(module: str, function: str) -> Callable[..., None]:
    """A function of this name in a module of this name, which runs a queue."""
    server = ModuleType(module)
    source = f"def {function}(self=None, config=None, **queue):\n start(**queue)"
    vars(server)["start"] = lambda **queue: asyncio.run(start(**queue))
    exec(source, vars(server))
    return vars(server)[function]  # type: ignore[no-any-return]


spawn_worker = worker_of("gunicorn.arbiter", "spawn_worker")


@contextmanager
def warnings_in(caplog: pytest.LogCaptureFixture) -> Iterator[list[Any]]:
    warnings: list[Any] = []
    with caplog.at_level(logging.WARNING, "stoat_jobs"):
        yield warnings
    warnings += [each for each in caplog.records if each.message.startswith("several_processes")]


@pytest.mark.parametrize("backend", ["asyncio", "memory"])
def test_an_in_process_queue_among_several(caplog: pytest.LogCaptureFixture, backend: str) -> None:
    """A queue whose jobs one process knows is warned of once, with their number and the remedy."""
    with warnings_in(caplog) as warnings:
        spawn_worker(self=TWO, backend=backend)
    [warning] = warnings
    assert (warning.levelname, warning.processes) == ("WARNING", 2)
    assert "run one process" in warning.remedy


class Shared(AsyncioJobQueue):
    name = "shared"


def test_a_queue_that_processes_share(caplog: pytest.LogCaptureFixture) -> None:
    """A backend of another name looks after its processes itself: no warning."""
    with warnings_in(caplog) as warnings:
        spawn_worker(self=TWO, queue=Shared())
    assert warnings == []


def test_no_server(caplog: pytest.LogCaptureFixture) -> None:
    """Where nothing says that there are several processes there is no warning."""
    with warnings_in(caplog) as warnings:
        asyncio.run(start(InMemoryJobQueue()))
    assert warnings == []


def test_a_queue_that_was_started_before(caplog: pytest.LogCaptureFixture) -> None:
    """A queue that is only put on the app is the concern of whoever started it."""

    async def with_a_started_queue() -> None:
        async with InMemoryJobQueue() as queue:
            await start(queue)

    server = ModuleType("gunicorn.arbiter")
    exec("def spawn_worker(self, run):\n run()", vars(server))
    with warnings_in(caplog) as warnings:
        vars(server)["spawn_worker"](TWO, lambda: asyncio.run(with_a_started_queue()))
    assert warnings == []


@pytest.mark.parametrize(
    ("module", "function", "says"),
    [
        ("gunicorn.arbiter", "spawn_worker", {"self": SimpleNamespace()}),
        ("gunicorn.arbiter", "spawn_worker", {"self": SimpleNamespace(num_workers="many")}),
        ("gunicorn.arbiter", "spawn_worker", {"self": SimpleNamespace(num_workers=1)}),
        ("gunicorn.arbiter", "spawns_worker", {"self": TWO}),
        ("app.arbiter", "spawn_worker", {"self": TWO}),
        ("uvicorn._subprocess", "subprocess_started", {"config": SimpleNamespace(workers=2)}),
        ("hypercorn.asyncio.run", "asyncio_worker", {"config": SimpleNamespace(workers=0)}),
    ],
)
def test_what_is_not_certain(
    caplog: pytest.LogCaptureFixture, module: str, function: str, says: dict[str, Any]
) -> None:
    """Another version of a server, or another program's function of that name, is no alarm."""
    with warnings_in(caplog) as warnings:
        worker_of(module, function)(**says)
    assert warnings == []
