"""What a lifespan is given and could not use is refused at startup, with the remedy."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import asynccontextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest
from fastapi import FastAPI
from litestar import Litestar
from starlette.applications import Starlette
from starlette.testclient import TestClient

from stoat_jobs import (
    AsyncioJobQueue,
    AsyncJobQueue,
    HandlerMismatchError,
    InMemoryJobQueue,
    JobContext,
    JobHandlers,
    JobObserver,
    JobQueueSettings,
    get_queue,
    lifespan,
    with_jobs,
)

from ..support.scripted import Script, only_http, run_lifespan

pytestmark = pytest.mark.usefixtures("tidy")

UNUSABLE = pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"settings": JobQueueSettings()}, "settings"),
        ({"settings": JobQueueSettings(concurrency=8)}, "settings"),
        ({"observers": [JobObserver()]}, "observers"),
        ({"observers": iter([JobObserver()])}, "observers"),
        (
            {"settings": JobQueueSettings(), "observers": (JobObserver(),)},
            "settings and observers",
        ),
    ],
    ids=["settings", "other settings", "observers", "an iterator", "both"],
)


def make_app(**state: Any) -> Any:
    """An app as far as the lifespan sees it."""
    return SimpleNamespace(state=SimpleNamespace(**state))


def handlers_for(name: str, answer: str) -> JobHandlers:
    """One handler, which returns *answer*."""
    handlers = JobHandlers()

    @handlers.job(name)
    async def reply(ctx: JobContext) -> str:
        return answer

    return handlers


async def outcome(queue: Any, job_type: str) -> Any:
    return (await queue.wait(await queue.submit(job_type))).result


@UNUSABLE
async def test_settings_for_a_queue_that_is_given_are_refused__fault_59(
    given: dict[str, Any], named: str
) -> None:
    """Settings and observers are for a queue that is built: beside ``queue=`` they are an error."""
    app = make_app()
    with pytest.raises(ValueError, match=rf"^{named} .*queue= .*queue itself") as caught:
        async with lifespan(app, queue=AsyncioJobQueue(), **given):
            pytest.fail("started and ignored them")
    assert vars(app.state) == {}
    assert "settings=None if" in str(caught.value)


@UNUSABLE
async def test_a_second_lifespan_cannot_set_up_the_first_ones_queue__fault_59(
    given: dict[str, Any], named: str
) -> None:
    """A second lifespan on one app names both remedies: say it to the first, or have a name."""
    app = FastAPI()
    async with lifespan(app, handlers=handlers_for("work", "first")) as first:
        with pytest.raises(ValueError, match=rf'^{named} .*another lifespan.*name="io"'):
            async with lifespan(app, **given):
                pytest.fail("used the first queue, without a word")
        assert app.state.job_queue is first["job_queue"]
        assert await outcome(first["job_queue"], "work") == "first"


async def test_a_second_lifespan_may_share_the_queue__fault_59() -> None:
    """Without settings it uses the queue that is there, and lends it its handlers."""
    app = FastAPI()
    async with (
        lifespan(app, handlers=handlers_for("one", "1"), settings=JobQueueSettings()) as first,
        lifespan(app, handlers=handlers_for("two", "2"), observers=[]) as second,
    ):
        assert first == second
        assert [await outcome(first["job_queue"], name) for name in ("one", "two")] == ["1", "2"]


@UNUSABLE
async def test_a_test_may_inject_a_queue_into_an_app_with_settings__fault_59(
    given: dict[str, Any], named: str
) -> None:
    """A queue put at ``app.state.job_queue`` stands in for the one that would be built, all of it."""
    queue = InMemoryJobQueue()
    app = make_app(job_queue=queue)
    async with lifespan(app, handlers=handlers_for("work", "done"), **given) as state:
        assert state == {"job_queue": queue}
        assert await outcome(queue, "work") == "done"


async def test_a_queue_that_would_hide_the_first_one_is_refused__fault_59() -> None:
    """Beside a queue of the same app it needs a name; the same queue again is fine."""
    app, second = FastAPI(), InMemoryJobQueue()
    async with lifespan(app, handlers=handlers_for("work", "first")) as state:
        first = state["job_queue"]
        with pytest.raises(ValueError, match=r"would hide .*name=\"io\""):
            async with lifespan(app, queue=second):
                pytest.fail("hid the first one")
        assert app.state.job_queue is first
        async with lifespan(app, queue=second, name="io"), lifespan(app, queue=first):
            assert get_queue(app) is first
            assert get_queue(app, "io") is second


async def test_lent_handlers_of_one_name_are_refused__fault_59() -> None:
    """A handler that would be shadowed is an error that names both functions."""
    app, queue = make_app(), InMemoryJobQueue(handlers_for("work", "the queue's"))
    with pytest.raises(HandlerMismatchError, match=r"'work' is \S+reply \(line .*another name"):
        async with lifespan(app, queue=queue, handlers=handlers_for("work", "lent")):
            pytest.fail("shadowed one of them")
    assert (vars(app.state), queue.app) == ({}, None)
    assert [job_type.name for job_type in queue.handlers] == ["work"]


async def test_two_lifespans_that_lend_one_name_are_refused__fault_59() -> None:
    """The second of two registries on one queue may not shadow the first, lent or built with."""
    app = FastAPI()
    async with lifespan(app, handlers=handlers_for("work", "first")) as state:
        with pytest.raises(HandlerMismatchError):
            async with lifespan(app, handlers=handlers_for("work", "second")):
                pytest.fail("shadowed one of them")
        async with lifespan(app, handlers=handlers_for("more", "lent")):
            with pytest.raises(HandlerMismatchError):
                async with lifespan(app, handlers=handlers_for("more", "second")):
                    pytest.fail("shadowed one of them")
            assert await outcome(state["job_queue"], "more") == "lent"
        assert await outcome(state["job_queue"], "work") == "first"


async def test_the_same_functions_may_be_lent_again__fault_59() -> None:
    """One registry lent twice, and another one with the very same function, are fine."""
    handlers = handlers_for("work", "done")
    again = JobHandlers()
    again.register("work", handlers.get("work"), timeout=3)
    queue = InMemoryJobQueue(handlers)
    async with lifespan(queue=queue, handlers=again), lifespan(queue=queue, handlers=handlers):
        assert await outcome(queue, "work") == "done"


async def test_a_script_for_a_lent_name_is_no_clash__fault_59() -> None:
    """A test's ``set_outcome`` for a job type that the app lends goes on as before."""
    queue = InMemoryJobQueue()
    queue.set_outcome("work", result="scripted")
    async with lifespan(queue=queue, handlers=handlers_for("work", "lent")):
        assert await outcome(queue, "work") == "scripted"


async def test_the_server_is_told_at_startup__fault_59() -> None:
    """The refusal fails the app's startup, in a lifespan of a framework as in ``with_jobs``."""
    hung = partial(lifespan, queue=InMemoryJobQueue(), settings=JobQueueSettings())
    wrapped = with_jobs(only_http, queue=InMemoryJobQueue(), settings=JobQueueSettings())
    for app in (Starlette(lifespan=hung), wrapped):
        script = Script()
        script.end.set_result(None)
        with pytest.raises(ValueError, match="settings"):
            await run_lifespan(app, script)
        assert script.log == ["startup.failed"]


@pytest.mark.parametrize("kind", [FastAPI, Starlette])
def test_a_forgotten_partial_is_named(kind: Any) -> None:
    """``FastAPI(lifespan=lifespan(handlers=h))`` fails at startup and shows how it is written."""
    app = kind(lifespan=lifespan(handlers=JobHandlers()))
    with pytest.raises(TypeError, match=r"functools\.partial\(lifespan, \.\.\.\)"):
        with TestClient(app):
            pytest.fail("started")


def test_a_call_of_a_lifespan_is_no_decorator() -> None:
    """Whatever calls what ``lifespan(...)`` gave is told the same."""
    with pytest.raises(TypeError, match=r"functools\.partial\(lifespan, \.\.\.\)"):
        lifespan(handlers=JobHandlers())(Litestar)  # type: ignore[operator]


@pytest.mark.parametrize("given", [JobHandlers(), JobQueueSettings()], ids=["handlers", "settings"])
async def test_what_is_no_app_is_refused(given: Any) -> None:
    """Handlers or settings in the place of the app are an error that names the keyword."""
    with pytest.raises(TypeError, match=r"first argument of lifespan is the app.*handlers="):
        async with lifespan(given):
            pytest.fail("took them for an app")


@pytest.mark.parametrize("mock", [MagicMock, AsyncMock])
async def test_a_mock_of_an_app_has_no_queue_of_its_own(mock: Any) -> None:
    """A ``MagicMock`` gives a mock for every attribute, which is not a queue that was injected."""
    app = mock()
    for _ in range(2):
        async with lifespan(app, handlers=handlers_for("work", "done")) as state:
            queue = state["job_queue"]
            assert isinstance(queue, AsyncioJobQueue)
            assert app.state.job_queue is queue is get_queue(app)
            assert queue.app is app
            assert await outcome(queue, "work") == "done"
        with pytest.raises(RuntimeError, match="no job queue here"):
            get_queue(app)


@pytest.mark.parametrize(
    "queue",
    [InMemoryJobQueue(), AsyncMock(spec=AsyncJobQueue)],
    ids=["queue", "stub"],
)
async def test_a_queue_put_on_a_mock_of_an_app_is_used(queue: Any) -> None:
    """What a test has put there itself counts, on a mock too; a mock of a queue as well."""
    app = MagicMock()
    app.state.job_queue = queue
    async with lifespan(app, handlers=handlers_for("work", "done")) as state:
        assert state == {"job_queue": queue}
    assert app.state.job_queue is queue is get_queue(app)


class MakesThemUp:
    """Has whatever it is asked for, without being a mock."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return AsyncMock()


async def test_whatever_makes_attributes_up_has_no_queue() -> None:
    """It is not the class that decides, but whether anything would have been there."""
    app = SimpleNamespace(state=MakesThemUp())
    async with lifespan(app) as state:
        assert isinstance(state["job_queue"], AsyncioJobQueue)
        assert app.state.job_queue is state["job_queue"]


async def test_a_mocked_request_finds_nothing() -> None:
    """``get_queue`` of a mock says that there is no queue, and hands no mock out as one."""
    for source in (MagicMock(), MagicMock(state={}), {"type": "http", "app": MagicMock()}):
        with pytest.raises(RuntimeError, match="no job queue here"):
            get_queue(source)


@asynccontextmanager
async def own(app: Any) -> Any:
    async with lifespan(app, handlers=handlers_for("work", "own"), settings=JobQueueSettings()):
        yield


async def test_with_jobs_around_an_app_that_has_its_own_settings__fault_59() -> None:
    """The app's own lifespan finds the wrapper's queue, and its settings are not ignored."""
    script = Script()
    script.end.set_result(None)
    app: Any = with_jobs(Starlette(lifespan=own), handlers=handlers_for("work", "outer"))
    with pytest.raises(RuntimeError, match="settings .*another lifespan"):
        await run_lifespan(app, script)
    assert script.log == ["startup.failed"]


def test_a_scope_of_a_mapping_is_enough() -> None:
    """A scope is any mapping, and its state may be one."""
    queue = InMemoryJobQueue()
    state: Mapping[str, Any] = {"job_queue": queue}
    assert get_queue({"type": "http", "state": state}) is queue
