"""A job type is submitted to the queue that runs its own function, or refused."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest

from stoat_jobs import (
    AsyncioJobQueue,
    HandlerMismatchError,
    InMemoryJobQueue,
    JobBackend,
    JobContext,
    JobHandlers,
    JobStatus,
    JobType,
    NoTransactionsError,
    UnknownJobTypeError,
    lifespan,
)

billing, mail = JobHandlers(), JobHandlers()


@billing.job("send")
async def charge(ctx: JobContext, number: int = 0) -> str:
    return "charged"


@mail.job("send")
async def deliver(ctx: JobContext, number: int = 0) -> str:
    return "mailed"


class Works:
    """Handlers that are methods."""

    def send(self, ctx: JobContext) -> str:
        return "by a method"


class Callables:
    """A callable that compares equal to others of its kind."""

    def __call__(self, ctx: JobContext) -> str:
        return "by an object"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Callables)

    __hash__ = object.__hash__


def other_function(name: str, function: Callable[..., Any]) -> JobType[..., Any]:
    """*function* as the job type *name* of a registry of its own."""
    handlers = JobHandlers()
    handlers.register(name, function)
    return handlers.get(name)


async def result_of(job_type: Any, queue: Any) -> Any:
    ref = await job_type.submit(queue)
    return (await queue.get_result(ref.job_id)).result


async def test_another_function_of_that_name_is_refused_naming_both__fault_59() -> None:
    """A typed submit to a queue that runs another function says which two, and the remedies."""
    queue = InMemoryJobQueue(billing)
    with pytest.raises(HandlerMismatchError) as caught:
        await deliver.submit(queue, number=1)
    error = caught.value
    assert error.job_type == "send"
    assert error.wanted.startswith(f"{__name__}.deliver (line ")
    assert error.served.startswith(f"{__name__}.charge (line ")
    assert error.wanted in str(error) and error.served in str(error)
    assert "the queue that has its function" in str(error)
    assert "give one of the two another name" in str(error)
    assert isinstance(error, ValueError)
    assert await queue.list_jobs() == []


@pytest.mark.parametrize("options", [{"timeout": 5}, {"key": "once"}, {"metadata": {"who": "me"}}])
async def test_with_options_it_is_refused_too__fault_59(options: Mapping[str, Any]) -> None:
    """What `options` gives is the same job type, and is held to the same."""
    with pytest.raises(HandlerMismatchError):
        await deliver.options(**options).submit(InMemoryJobQueue(billing))
    assert await result_of(charge.options(**options), InMemoryJobQueue(billing)) == "charged"


async def test_a_connection_goes_with_the_submission() -> None:
    """The queue is given it, for one job and for many; one without transactions refuses it."""
    queue, connection = InMemoryJobQueue(billing), object()
    joined = charge.options(connection=connection)
    with pytest.raises(NoTransactionsError, match="'memory' has no transactions"):
        await joined.submit(queue)
    with pytest.raises(NoTransactionsError):
        await joined.submit_many(queue, [{}])
    assert await queue.list_jobs() == []


async def test_a_stopped_queue_and_a_new_one_refuse_it_too__fault_59() -> None:
    """Nothing waits in a queue that will run another function when it starts."""
    queue = AsyncioJobQueue(billing)
    with pytest.raises(HandlerMismatchError):
        await deliver.submit(queue)
    async with queue:
        pass
    with pytest.raises(HandlerMismatchError):
        await deliver.submit(queue)


async def test_what_a_queue_does_not_have_is_unknown_as_before__fault_59() -> None:
    """A queue that has no handler of this name says so."""
    with pytest.raises(UnknownJobTypeError, match="no handlers at all"):
        await deliver.submit(InMemoryJobQueue())


async def test_the_same_function_is_accepted_however_it_got_there__fault_59() -> None:
    """Included, registered again, or as a job type of another registry: it is one function."""
    included, again, as_type = JobHandlers(), JobHandlers(), JobHandlers()
    included.include(mail)
    again.register("send", deliver.function, timeout=3)
    as_type.register("send", deliver)
    for handlers in (mail, included, again, as_type):
        assert await result_of(deliver, InMemoryJobQueue(handlers)) == "mailed"


async def test_a_bound_method_is_the_same_where_its_object_is__fault_59() -> None:
    """A method is made anew each time it is asked for: its object and its function decide."""
    works, handlers = Works(), JobHandlers()
    handlers.register("send", works.send)
    same, other = other_function("send", works.send), other_function("send", Works().send)
    assert await result_of(same, InMemoryJobQueue(handlers)) == "by a method"
    with pytest.raises(HandlerMismatchError, match=r"Works\.send \(line"):
        await result_of(other, InMemoryJobQueue(handlers))


@pytest.mark.parametrize(
    "function",
    [
        functools.partial(charge.function, number=3),
        functools.wraps(charge.function)(lambda ctx: "wrapped"),
        lambda ctx: "closure",
        Callables(),
    ],
    ids=["partial", "wraps", "lambda", "callable"],
)
async def test_kinds_of_callables_are_named_in_the_refusal__fault_59(function: Any) -> None:
    """Whatever a handler is made of, it is another one, and the error has a name for it."""
    handlers = JobHandlers()
    handlers.register("send", function)
    with pytest.raises(HandlerMismatchError, match=rf"{__name__}\.deliver.*function, {__name__}\."):
        await deliver.submit(InMemoryJobQueue(handlers))
    with pytest.raises(HandlerMismatchError):
        await other_function("send", Callables()).submit(InMemoryJobQueue(handlers))


async def test_two_functions_from_one_place_say_how_that_comes__fault_59() -> None:
    """Where both have one name and one line, the error says that the code was run twice."""

    def made(answer: str) -> JobType[..., Any]:
        def send(ctx: JobContext) -> str:
            return answer

        return other_function("send", send)

    handlers = JobHandlers()
    handlers.register("send", made("first"))
    with pytest.raises(HandlerMismatchError, match="loaded or run twice"):
        await made("second").submit(InMemoryJobQueue(handlers))


async def test_scripted_outcomes_go_on__fault_59() -> None:
    """A job type that the memory backend has a script and no handler for is accepted."""
    queue = InMemoryJobQueue()
    queue.set_outcome("send", status=JobStatus.COMPLETED, result="scripted")
    assert await result_of(deliver, queue) == "scripted"


class Stub:
    """The three methods that an endpoint needs, and no handlers."""

    async def submit(self, job_type: str, payload: Mapping[str, Any]) -> str:
        return f"{job_type}-1"

    async def get_status(self, job_id: str) -> JobStatus:
        return JobStatus.PENDING

    async def get_result(self, job_id: str) -> Any:
        raise NotImplementedError


def _mock_without_a_job() -> Any:
    queue = MagicMock()
    queue.submit = AsyncMock(return_value="send-1")
    return queue


@pytest.mark.parametrize(
    "make",
    [
        Stub,
        lambda: AsyncMock(**{"submit.return_value": "send-1"}),
        lambda: AsyncMock(spec=JobBackend, **{"submit.return_value": "send-1"}),
        _mock_without_a_job,
    ],
    ids=["stub", "AsyncMock", "with spec", "MagicMock"],
)
async def test_a_stub_without_handlers_is_let_through__fault_59(make: Callable[[], Any]) -> None:
    """What has no registry of ours cannot be looked at, and takes what it is given."""
    assert (await deliver.submit(make())).job_id == "send-1"


async def test_what_an_app_lends_is_looked_at_too__fault_59() -> None:
    """Job types that a lifespan lends to a queue count as its own."""
    queue = InMemoryJobQueue()
    async with lifespan(queue=queue, handlers=billing):
        assert await result_of(charge, queue) == "charged"
        with pytest.raises(HandlerMismatchError):
            await deliver.submit(queue)


async def test_by_its_name_any_function_may_be_submitted__fault_59() -> None:
    """`queue.submit` takes names: what a queue has under this one is what is meant."""
    queue = InMemoryJobQueue(billing)
    record = await queue.get_result(await queue.submit(deliver.name))
    assert record.result == "charged"


# Calling the wrong thing.


@pytest.mark.parametrize(
    "call",
    [
        lambda job_type: job_type(),
        lambda job_type: job_type(number=3),
        lambda job_type: job_type(ctx=JobContext(), number=3),
        lambda job_type: job_type(3),
        lambda job_type: job_type("3", number=3),
    ],
    ids=["nothing", "arguments", "by name", "an argument first", "both"],
)
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_call_without_a_context_says_what_to_do(kind: str, call: Any) -> None:
    """Calling a job type like its function names both ways: a context first, or submit."""
    handlers = JobHandlers()

    def work(ctx: JobContext, number: int = 0) -> int:
        return number

    job_type: Any = handlers.register("work", work if kind == "sync" else charge.function)
    with pytest.raises(TypeError) as caught:
        call(job_type)
    assert str(caught.value) == (
        "a job type is called with a context first, as in a unit test: work(JobContext(), ...);"
        " to run it as a job: await work.submit(queue, ...)"
    ).replace("work(", f"{job_type.__name__}(").replace("work.", f"{job_type.__name__}.")


@pytest.mark.parametrize("context", [JobContext(), None, MagicMock(), Works()])
def test_a_context_may_be_a_stand_in(context: Any) -> None:
    """A unit test may give its own object, or None where the handler does not look."""
    handlers = JobHandlers()

    @handlers.job
    def work(ctx: JobContext, number: int = 0) -> int:
        return number

    assert work(context, number=3) == work(context, 3) == 3


QUEUES: list[Callable[[JobHandlers], Any]] = [AsyncioJobQueue, InMemoryJobQueue]


@pytest.mark.parametrize("make", QUEUES)
@pytest.mark.parametrize("given", [deliver, deliver.function], ids=["job type", "function"])
async def test_a_function_in_the_place_of_a_name_says_what_to_do(make: Any, given: Any) -> None:
    """`queue.submit(scan)` names both ways: the job type's name, or its own submit."""
    name = "send" if isinstance(given, JobType) else "deliver"
    async with make(mail) as queue:
        with pytest.raises(UnknownJobTypeError) as caught:
            await queue.submit(given, {"number": 1})
    assert str(caught.value).startswith(
        f"a job type is submitted by its name: queue.submit('{name}', ...), or, typed, by its own"
        f" method: {given.__name__}.submit(queue, ...)"
    )


async def test_whatever_stands_in_the_place_of_a_name_is_refused() -> None:
    """What is no name and no function is refused as before, also what raises when looked at."""

    class Hostile:
        def __getattr__(self, name: str) -> Any:
            raise ZeroDivisionError

        def __call__(self) -> None: ...

    for given in (Hostile(), None, 3, ["send"]):
        with pytest.raises(UnknownJobTypeError, match="unknown job type|by its name"):
            await InMemoryJobQueue(mail).submit(given)  # type: ignore[arg-type]


def test_the_loop_of_a_typed_submit_is_not_asked_for() -> None:
    """The refusal needs no running queue: it comes at the first step of the coroutine."""
    with pytest.raises(HandlerMismatchError):
        asyncio.run(deliver.submit(InMemoryJobQueue(billing)))
