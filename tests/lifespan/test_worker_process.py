"""Lifespans in a worker process: their queues run jobs, whatever the settings say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import BaseModel

from stoat_jobs import (
    AsyncioJobQueue,
    AsyncJobQueue,
    InMemoryJobQueue,
    JobContext,
    JobHandlers,
    JobQueueSettings,
    lifespan,
)
from stoat_jobs._app import as_worker
from stoat_jobs.backends import Capabilities, WorkerProcess

from ..support.recorded import RecordedQueue

pytestmark = pytest.mark.usefixtures("tidy")


class Options(BaseModel, extra="forbid"):
    worker: bool = True
    job_types: list[str] | None = None


class SharedQueue(AsyncioJobQueue):
    """Says that processes share it."""

    name = "shared"
    capabilities = Capabilities(cross_process=True)
    options_type = Options

    @property
    def options(self) -> Any:
        return self._options


class PlainQueue(AsyncioJobQueue):
    """Is shared, and has no options."""

    name = "plain"
    capabilities = Capabilities(cross_process=True)


class FileQueue(InMemoryJobQueue):
    """Keeps its jobs for one process at a time."""

    name = "file"
    capabilities = Capabilities(durable=True)


QUEUES = {"shared": SharedQueue, "plain": PlainQueue, "file": FileQueue, "memory": InMemoryJobQueue}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """These backends can be chosen by name."""

    def create(handlers: Any, settings: Any, observers: Any) -> Any:
        return QUEUES[settings.backend](handlers, settings, observers)

    monkeypatch.setattr(as_worker, "create_queue", create)


def make_app(**state: Any) -> Any:
    return SimpleNamespace(state=SimpleNamespace(**state))


def handlers_of(*names: str) -> JobHandlers:
    handlers = JobHandlers()
    for name in names:

        async def run(ctx: JobContext) -> None: ...

        handlers.register(name, run)
    return handlers


def settings_of(backend: str = "shared", **options: Any) -> JobQueueSettings:
    return JobQueueSettings(backend=backend, options=options, concurrency=2)


async def test_outside_nothing_changes() -> None:
    """Without a worker process, and after its block, a queue is what its settings say."""
    with WorkerProcess():
        pass
    async with lifespan(make_app(), settings=settings_of(worker=False)) as state:
        queue: Any = state["job_queue"]
        assert (queue.options.worker, queue.settings.concurrency) == (False, 2)


async def test_a_queue_runs_jobs() -> None:
    """A queue that only submits is built as one that runs jobs, with its handlers and observers."""
    seen: list[Any] = []
    observers = (each for each in [SimpleNamespace(submitted=seen.append)])
    handlers = handlers_of("scan")
    with WorkerProcess() as worker:
        app = make_app()
        settings = settings_of(worker=False)
        async with lifespan(
            app, handlers=handlers, settings=settings, observers=observers
        ) as state:
            queue: Any = state["job_queue"]
            assert (queue.options.worker, queue.options.job_types) == (True, None)
            assert (queue.started, queue.app) == (True, app)
            assert worker.queues == worker.shared == {"job_queue": queue}
            await queue.wait(await queue.submit("scan"))
    assert worker.problem is None
    assert len(seen) == 1


async def test_what_the_worker_is_to_do() -> None:
    """Concurrency and job types are over the settings; each queue has those of its own types."""
    with WorkerProcess(5, ["mail", "scan", "mail"]) as worker:
        async with (
            lifespan(make_app(), handlers=handlers_of("scan", "draw"), settings=settings_of()),
            lifespan(make_app(), handlers=handlers_of("mail"), settings=settings_of(), name="m"),
        ):
            one, two = worker.queues.values()
            assert list(worker.queues) == ["job_queue", "job_queue_m"]
    assert [each.settings.concurrency for each in (one, two)] == [5, 5]
    assert [each.settings.options["job_types"] for each in (one, two)] == [["scan"], ["mail"]]
    assert worker.problem is None


async def test_options_of_the_settings_stay() -> None:
    """Job types that the settings name are kept if the worker names none."""
    with WorkerProcess() as worker:
        settings = settings_of(worker=False, job_types=["scan"])
        async with lifespan(make_app(), handlers=handlers_of("scan"), settings=settings):
            (queue,) = worker.queues.values()
    assert queue.settings.options == {"worker": True, "job_types": ["scan"]}


async def test_apps_in_an_app() -> None:
    """Two apps, one mounted in the other, have queues under one key: both are seen, each once."""
    app = make_app()
    with WorkerProcess() as worker:
        async with (
            lifespan(app, settings=settings_of()),
            lifespan(app, handlers=handlers_of("late")),
            lifespan(make_app(), settings=settings_of()),
        ):
            assert list(worker.queues) == ["job_queue", "job_queue_"]


async def test_a_backend_that_cannot_be_restricted() -> None:
    """Its own refusal is in the error, and nothing is started."""
    with WorkerProcess(job_types=["scan"]) as worker:
        with pytest.raises(ValueError, match="backend 'plain' refuses what this worker is to do"):
            async with lifespan(
                make_app(), handlers=handlers_of("scan"), settings=settings_of("plain")
            ):
                pass
    assert worker.problem == worker.refusal
    assert "job_types" in str(worker.refusal)
    assert worker.queues == {}


async def test_a_file_is_left_to_its_process() -> None:
    """A durable backend of one process is refused before it starts, also beside a shared one."""
    app = make_app()
    with WorkerProcess() as worker:
        async with lifespan(app, settings=settings_of()):
            with pytest.raises(ValueError, match="backend 'file' runs its jobs in the process"):
                async with lifespan(app, settings=settings_of("file"), name="file"):
                    pass
    assert str(worker.problem).startswith("backend 'file' ")
    assert list(worker.queues) == ["job_queue"]


async def test_a_queue_of_the_process_starts() -> None:
    """A backend in memory starts as ever, which is a problem only if there is no other."""
    with WorkerProcess(7) as worker:
        async with lifespan(make_app(), settings=settings_of("memory"), name="local") as state:
            queue: Any = state["job_queue_local"]
            assert (queue.started, queue.settings.concurrency) == (True, 2)
            assert str(worker.problem).startswith("backend 'memory' runs its jobs in the process")
            async with lifespan(make_app(), settings=settings_of()):
                assert worker.problem is None


async def test_a_queue_that_only_submits_is_on_the_app() -> None:
    """A queue with the three methods of an endpoint's is no queue to run."""

    class Stub:
        submit = get_status = get_result = AsyncioJobQueue.submit

    with WorkerProcess() as worker:
        async with lifespan(make_app(), queue=cast(AsyncJobQueue, Stub())):
            pass
    assert str(worker.problem).startswith("the app's lifespan starts no queue: ")


async def test_a_started_queue_is_used() -> None:
    """A queue that is handed in and runs already is neither started nor stopped here."""
    queue = SharedQueue()
    async with queue:
        with WorkerProcess() as worker:
            async with lifespan(make_app(), queue=queue):
                assert worker.shared == {"job_queue": queue}
            assert queue.started


@pytest.mark.parametrize(
    ("worker", "settings", "what"),
    [
        (WorkerProcess(3), settings_of(), "have another concurrency"),
        (WorkerProcess(job_types=["scan"]), settings_of(), "run only some job types"),
        (WorkerProcess(), settings_of(worker=False), "run jobs: this queue only submits"),
    ],
)
async def test_a_queue_that_cannot_be_changed(
    worker: WorkerProcess, settings: JobQueueSettings, what: str
) -> None:
    """A queue that the app has built is refused if it would have to be another one."""
    queue = SharedQueue(handlers_of("scan"), settings)
    for app, given in [(make_app(), queue), (make_app(job_queue=queue), None)]:
        with worker, pytest.raises(ValueError, match="has built itself") as caught:
            async with lifespan(app, queue=given):
                pass
        assert str(caught.value).endswith(f"so that the worker can {what}")
        assert worker.refusal == str(caught.value)
        assert not queue.started


async def test_a_queue_that_declares_nothing() -> None:
    """What does not say whether processes share it is an error that names it."""
    queue = RecordedQueue([])
    queue.capabilities = None  # type: ignore[assignment]
    with WorkerProcess(), pytest.raises(TypeError, match="capabilities must be a Capabilities"):
        async with lifespan(make_app(), queue=queue):
            pass
