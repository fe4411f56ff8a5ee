"""Which queue an app gets, and what is done to one that was handed in."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from stoat_jobs import (
    AsyncioJobQueue,
    AsyncJobQueue,
    InMemoryJobQueue,
    JobBackend,
    JobContext,
    JobHandlers,
    JobNotFoundError,
    JobQueueSettings,
    JobResult,
    JobStatus,
    UnknownJobTypeError,
    lifespan,
)

from ..support.recorded import LogJobs, RecordedQueue

pytestmark = pytest.mark.usefixtures("tidy")


def make_app(**state: Any) -> Any:
    """An app as far as the lifespan sees it."""
    return SimpleNamespace(state=SimpleNamespace(**state))


def handlers_for(*names: str, answer: str = "") -> JobHandlers:
    """Handlers that return *answer*, or else their own name."""
    handlers = JobHandlers()
    for name in names:

        async def reply(ctx: JobContext, value: str = answer or name) -> str:
            return value

        handlers.register(name, reply)
    return handlers


async def outcome(queue: JobBackend, job_type: str) -> Any:
    return (await queue.wait(await queue.submit(job_type))).result


async def test_named_queue_comes_first() -> None:
    """``queue=`` is used, over one on the app."""
    wanted, on_app = RecordedQueue([]), RecordedQueue([])
    app = make_app(job_queue=on_app)
    async with lifespan(app, queue=wanted) as state:
        assert state == {"job_queue": wanted}
        assert app.state.job_queue is wanted
        assert (wanted.started, on_app.started) == (True, False)
    assert app.state.job_queue is on_app


async def test_queue_on_the_app_comes_second() -> None:
    """An ``app.state.job_queue`` that was injected is used, over the settings, and stays there."""
    on_app = RecordedQueue([])
    app = make_app(job_queue=on_app)
    async with lifespan(app, settings=JobQueueSettings(backend="memory")) as state:
        assert state == {"job_queue": on_app}
        assert on_app.started
    assert app.state.job_queue is on_app
    assert not on_app.started


async def test_queue_is_built_last() -> None:
    """Without any queue, one is built as the settings say, and the app is left without one."""
    app = make_app()
    async with lifespan(app, settings=JobQueueSettings(backend="memory", timeout=7)) as state:
        queue = state["job_queue"]
        assert isinstance(queue, InMemoryJobQueue)
        assert app.state.job_queue is queue
        assert queue.settings.timeout == 7
    assert not hasattr(app.state, "job_queue")


@pytest.mark.parametrize("given", ["memory", AsyncioJobQueue, JobHandlers()])
@pytest.mark.parametrize("place", ["queue", "app"])
async def test_what_is_no_queue_is_refused(given: Any, place: str) -> None:
    """A name, a class or a registry in the place of a queue is an error at startup."""
    app = make_app(job_queue=given) if place == "app" else make_app()
    with pytest.raises(TypeError, match=r"must be an AsyncJobQueue, not (str|JobH|the class A)"):
        async with lifespan(app, queue=given if place == "queue" else None):
            pytest.fail("started with that")


async def test_none_on_the_app_is_no_queue() -> None:
    """An ``app.state.job_queue`` of None counts as none, and is None again afterwards."""
    app = make_app(job_queue=None)
    async with lifespan(app):
        assert isinstance(app.state.job_queue, AsyncioJobQueue)
    assert app.state.job_queue is None


async def test_without_an_app() -> None:
    """A script needs no app: the state that is yielded has the queue."""
    async with lifespan(handlers=handlers_for("greet")) as state:
        queue = state["job_queue"]
        assert isinstance(queue, JobBackend)
        assert await outcome(queue, "greet") == "greet"


async def test_app_without_state() -> None:
    """An app that has no ``state`` (Quart) is served too, and gets no attribute."""
    app = SimpleNamespace()
    async with lifespan(app) as state:
        assert isinstance(state["job_queue"], AsyncioJobQueue)
    assert vars(app) == {}


async def test_unstarted_queue_is_started_and_stopped() -> None:
    """An injected queue that is not running runs as long as the app does."""
    log: list[str] = []
    async with lifespan(make_app(), queue=RecordedQueue(log)):
        log.append("up")
    assert log == ["start", "up", "stop", "stopped"]


@pytest.mark.parametrize("injected", ["argument", "state"])
async def test_started_queue_is_neither_started_nor_stopped(injected: str) -> None:
    """An injected queue that runs already is its owner's to stop."""
    log: list[str] = []
    async with RecordedQueue(log) as queue:
        app = make_app(job_queue=queue) if injected == "state" else make_app()
        async with lifespan(app, queue=queue if injected == "argument" else None):
            log.append("up")
        log.append("down")
        assert queue.started
    assert log == ["start", "up", "down", "stop", "stopped"]


class Stub:
    """The three methods that an endpoint needs."""

    async def submit(self, job_type: str, payload: Mapping[str, Any]) -> str:
        return "stub-1"

    async def get_status(self, job_id: str) -> JobStatus:
        return JobStatus.COMPLETED

    async def get_result(self, job_id: str) -> JobResult[Any]:
        raise JobNotFoundError(job_id)


@pytest.mark.parametrize("injected", ["argument", "state"])
async def test_three_method_stub_is_put_on_the_app(injected: str) -> None:
    """A stub with three methods is used as it is: nothing else is asked of it."""
    stub: AsyncJobQueue = Stub()
    app = make_app(job_queue=stub) if injected == "state" else make_app()
    given = stub if injected == "argument" else None
    async with lifespan(app, queue=given, handlers=handlers_for("greet")) as state:
        assert state == {"job_queue": stub}
        assert await app.state.job_queue.submit("greet", {}) == "stub-1"
    assert vars(stub) == {}
    assert hasattr(app.state, "job_queue") == (injected == "state")


async def test_handlers_are_lent() -> None:
    """The handlers given serve the job types that an injected queue lacks, while the app is up."""
    queue = AsyncioJobQueue(handlers_for("mine", answer="the queue's own"))
    async with lifespan(queue=queue, handlers=handlers_for("lent", answer="given")):
        assert await outcome(queue, "mine") == "the queue's own"
        assert await outcome(queue, "lent") == "given"


async def test_lending_changes_no_registry() -> None:
    """The caller's registries are what they were, during and after the app's life."""
    own, given = handlers_for("mine"), handlers_for("lent")
    queue = AsyncioJobQueue(own)
    async with lifespan(queue=queue, handlers=given):
        assert [job_type.name for job_type in own] == ["mine"]
        assert [job_type.name for job_type in given] == ["lent"]
    assert queue.handlers is own
    async with queue:
        with pytest.raises(UnknownJobTypeError, match="'lent'; known, nearest first: mine"):
            await queue.submit("lent")


async def test_handlers_registered_later_are_served() -> None:
    """What is registered while the app is up serves at once, on either registry."""
    own, given = handlers_for("mine"), handlers_for("lent")
    queue = AsyncioJobQueue(own)
    async with lifespan(queue=queue, handlers=given):
        own.include(handlers_for("mine too"))
        given.include(handlers_for("lent too"))
        assert await outcome(queue, "mine too") == "mine too"
        assert await outcome(queue, "lent too") == "lent too"


async def test_handlers_are_lent_to_a_started_queue() -> None:
    """A queue that runs already is lent the handlers too, and gives them back."""
    async with AsyncioJobQueue(handlers_for("mine")) as queue:
        async with lifespan(queue=queue, handlers=handlers_for("lent")):
            assert await outcome(queue, "lent") == "lent"
        with pytest.raises(UnknownJobTypeError, match="'lent'"):
            await queue.submit("lent")


async def test_job_of_a_lent_type_ends_on_a_queue_that_goes_on() -> None:
    """A job whose handler was lent is finished, though its app has gone meanwhile."""
    gate = asyncio.Event()
    given = JobHandlers()

    @given.job
    async def lent(ctx: JobContext) -> str:
        await gate.wait()
        return "finished"

    async with AsyncioJobQueue() as queue:
        async with lifespan(queue=queue, handlers=given):
            running, waiting = await queue.submit("lent"), await queue.submit("lent")
        gate.set()
        assert (await queue.wait(running)).result == "finished"
        assert (await queue.wait(waiting)).result == "finished"


async def test_same_registry_is_not_lent_to_itself() -> None:
    """An app that hands both queue and handlers over, as it may, gets just that queue."""
    handlers = handlers_for("mine")
    queue = AsyncioJobQueue(handlers)
    async with lifespan(queue=queue, handlers=handlers):
        assert queue.handlers is handlers
        assert await outcome(queue, "mine") == "mine"


async def test_observers_reach_a_built_queue() -> None:
    """A queue that is built here tells the observers."""
    log: list[str] = []
    async with lifespan(handlers=handlers_for("greet"), observers=[LogJobs(log)]) as state:
        queue = state["job_queue"]
        assert isinstance(queue, JobBackend)
        await outcome(queue, "greet")
    assert log == ["submitted greet", "started greet", "greet completed"]


async def test_two_apps_share_a_started_queue() -> None:
    """Two apps may share one queue and leave in any order, each with its handlers till then."""
    async with AsyncioJobQueue() as queue:
        first = lifespan(make_app(), queue=queue, handlers=handlers_for("first"))
        second = lifespan(make_app(), queue=queue, handlers=handlers_for("second"))
        await first.__aenter__()
        await second.__aenter__()
        assert await outcome(queue, "first") == "first"
        await first.__aexit__(None, None, None)
        assert await outcome(queue, "second") == "second"
        await second.__aexit__(None, None, None)
        assert len(queue.handlers) == 0
        assert queue.app is None


async def test_two_apps_lend_the_same_handlers() -> None:
    """Two apps that lend one registry to one queue have it until the last of them leaves."""
    handlers = handlers_for("lent")
    async with AsyncioJobQueue() as queue:
        first, second = (lifespan(make_app(), queue=queue, handlers=handlers) for _ in range(2))
        await first.__aenter__()
        await second.__aenter__()
        await first.__aexit__(None, None, None)
        assert await outcome(queue, "lent") == "lent"
        await second.__aexit__(None, None, None)
        assert len(queue.handlers) == 0
