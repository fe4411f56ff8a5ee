"""Job types, and handles on their jobs, on the queue for tests."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from stoat_jobs import (
    InMemoryJobQueue,
    InvalidPayloadError,
    JobContext,
    JobFailedError,
    JobHandlers,
    JobNotFoundError,
    JobQueueSettings,
    JobRef,
    JobStatus,
)
from stoat_jobs._payload.codec import same

if TYPE_CHECKING:
    from decimal import Decimal as Hidden

handlers = JobHandlers()


class Size(BaseModel):
    files: int


class Report(BaseModel):
    files: int
    data: bytes = b"\xff"


class LongReport(Report):
    lines: int = 0


@handlers.job
def scan(ctx: JobContext, root: Path, depth: int = 1, *, follow: bool = False) -> list[Any]:
    return [str(root), depth, follow, dict(ctx.metadata)]


@handlers.job
async def report(ctx: JobContext, files: int = 0) -> Report:
    return Report(files=files)


@handlers.job
def refuse(ctx: JobContext) -> None:
    raise ValueError("no such directory")


@pytest.fixture
def queue() -> InMemoryJobQueue:
    return InMemoryJobQueue(handlers)


@pytest.fixture
def held() -> InMemoryJobQueue:
    """A queue whose jobs wait until they are let go."""
    return InMemoryJobQueue(handlers, JobQueueSettings(options={"autorun": False}))


# Submitting.


async def test_submit_by_position_and_by_name(queue: InMemoryJobQueue) -> None:
    """A job type is submitted with the handler's arguments, as one would call it."""
    first = await scan.submit(queue, Path("here"), 2, follow=True)
    second = await scan.submit(queue, root=Path("there"))
    assert await first.value() == ["here", 2, True, {}]
    assert await second.value() == ["there", 1, False, {}]


async def test_too_many_arguments_are_refused(queue: InMemoryJobQueue) -> None:
    """More positional arguments than the handler takes are refused; keyword-only ones count not."""
    submit: Any = scan.submit
    with pytest.raises(TypeError, match=r"scan.submit\(\) takes at most 2 positional .* not 3"):
        await submit(queue, Path("here"), 1, True)
    assert await queue.list_jobs() == []


async def test_an_argument_given_twice_is_refused(queue: InMemoryJobQueue) -> None:
    """An argument given by position and by name is refused by its name."""
    submit: Any = scan.submit
    with pytest.raises(TypeError, match=r"scan.submit\(\) got depth, root twice"):
        await submit(queue, Path("here"), 1, root=Path("there"), depth=2)
    assert await queue.list_jobs() == []


async def test_a_wrong_argument_is_refused_as_on_the_queue(queue: InMemoryJobQueue) -> None:
    """What a checker would have refused is an InvalidPayloadError at run time."""
    submit: Any = scan.submit
    with pytest.raises(InvalidPayloadError, match="roott: Extra inputs") as caught:
        await submit(queue, roott="here")
    assert [error["loc"] for error in caught.value.errors] == [("root",), ("roott",)]


# Options.


async def test_options_go_with_the_submission(held: InMemoryJobQueue) -> None:
    """`options` gives a timeout, a key and metadata to the submissions made through it."""
    keyed = scan.options(key="here", metadata={"user": "me"})
    first = await keyed.submit(held, Path("here"))
    again = await keyed.submit(held, Path("elsewhere"))
    assert again.job_id == first.job_id
    await held.run_next()
    assert await first.value() == ["here", 1, False, {"user": "me"}]


async def test_options_leave_the_job_type_as_it_is(held: InMemoryJobQueue) -> None:
    """`options` gives another job type; the registered one has none, and neither has its name."""
    keyed = scan.options(key="here")
    assert (keyed.name, keyed.form) == (scan.name, scan.form)
    assert handlers.get("scan") is scan
    first, second = await scan.submit(held, Path("a")), await scan.submit(held, Path("a"))
    assert first.job_id != second.job_id


async def test_options_add_up(held: InMemoryJobQueue) -> None:
    """Options of options are kept, unless they are given anew."""
    keyed = scan.options(key="one", metadata={"a": "b"}).options(key="two")
    ref = await keyed.submit(held, Path("a"))
    assert (await ref.get_result()).metadata == {"a": "b"}
    assert (await scan.options(key="two").submit(held, Path("b"))).job_id == ref.job_id


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"timeout": 0}, ValueError),
        ({"timeout": -1}, ValueError),
        ({"timeout": math.nan}, ValueError),
        ({"timeout": "3"}, TypeError),
        ({"key": ""}, ValueError),
        ({"key": 3}, TypeError),
        ({"metadata": {"a": b"1"}}, TypeError),
        ({"metadata": {"a": "x" * 65_536}}, ValueError),
        ({"metadata": [("a", "b")]}, TypeError),
    ],
    ids=lambda value: repr(value)[:30] if isinstance(value, dict) else "",
)
async def test_options_are_checked_at_submission(
    queue: InMemoryJobQueue, options: Any, error: type[Exception]
) -> None:
    """A wrong option is refused by its name when it is used, and nothing is queued."""
    with pytest.raises(error, match=next(iter(options))):
        await scan.options(**options).submit(queue, Path("a"))
    assert await queue.list_jobs() == []


# Handles.


async def test_ref_is_a_handle_on_the_queue(queue: InMemoryJobQueue) -> None:
    """A handle says what the queue says of its job."""
    ref = await report.submit(queue, files=3)
    record = await queue.get_result(ref.job_id)
    assert await ref.get_status() is JobStatus.COMPLETED
    assert await ref.get_result() == record
    assert await ref.wait() == record
    assert [seen async for seen in ref.watch()] == [record]
    assert await ref.cancel() is False
    assert await ref.value() == Report(files=3)
    assert repr(ref) == f"JobRef({ref.job_id!r})"


async def test_ref_from_a_kept_id(held: InMemoryJobQueue) -> None:
    """A handle can be built from an id, and cancels the job of that id."""
    ref: JobRef[Report] = JobRef(held, (await report.submit(held)).job_id)
    assert await ref.get_status() is JobStatus.PENDING
    assert await ref.cancel() is True
    assert (await ref.wait()).error_type == "Cancelled"


async def test_value_of_a_job_that_failed(queue: InMemoryJobQueue) -> None:
    """`value` raises what says why there is none, and has the record."""
    ref = await refuse.submit(queue)
    with pytest.raises(JobFailedError, match="no such directory") as caught:
        await ref.value()
    assert caught.value.record == await ref.get_result()


async def test_value_of_a_job_that_was_cancelled(held: InMemoryJobQueue) -> None:
    """A cancelled job has no value, partial work or not."""
    ref = await report.submit(held)
    await ref.cancel()
    with pytest.raises(JobFailedError, match="cancelled on request"):
        await ref.value()


async def test_value_within_a_time_limit(held: InMemoryJobQueue) -> None:
    """`value` and `wait` give up after their timeout with the built-in error, and the job goes on."""
    ref = await report.submit(held)
    for waiting in (ref.value(timeout=0), ref.wait(timeout=0)):
        with pytest.raises(TimeoutError, match=f"{ref.job_id} is pending"):
            await waiting
    assert await ref.get_status() is JobStatus.PENDING


async def test_ref_of_an_unknown_id(queue: InMemoryJobQueue) -> None:
    """Every method of a handle on an unknown job says that there is none."""
    ref: JobRef[Any] = JobRef(queue, "unknown")
    asking = [ref.get_status, ref.get_result, ref.wait, ref.value, ref.cancel]
    asking.append(aiter_of(ref))
    for ask in asking:
        with pytest.raises(JobNotFoundError, match="'unknown'"):
            await ask()


def aiter_of(ref: JobRef[Any]) -> Any:
    return ref.watch().__anext__


# Calling.


async def test_a_job_type_is_called_as_its_function() -> None:
    """In a unit test a job type is the function that it was, sync or async."""
    assert scan(JobContext(), Path("a"), follow=True) == ["a", 1, True, {}]
    assert await report(JobContext(), 3) == Report(files=3)
    with pytest.raises(ValueError, match="no such directory"):
        refuse(JobContext())


# Results through JSON.


def returns(annotation: Any) -> Any:
    def handler(ctx: JobContext) -> None: ...

    handler.__annotations__["return"] = annotation
    return JobHandlers().register("it", handler)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Report, Report(files=1)),
        (list[Report], [Report(files=1)]),
        (datetime, datetime(2024, 1, 1, tzinfo=UTC)),
        (bytes, b"\xff"),
        (tuple[int, Path], (1, Path("a"))),
        (Any, {"a": [1, None]}),
        (None, None),
        ("list[Report]", [Report(files=1)]),
    ],
    ids=map(str, range(8)),
)
def test_a_declared_result_comes_back_as_it_is(annotation: Any, value: Any) -> None:
    """A result of the declared type comes back equal, and of the same types at every depth."""
    kept = returns(annotation).result_through_json(value)
    assert same(kept, value)


def undeclared(ctx: JobContext):  # type: ignore[no-untyped-def]
    ...


def hidden(ctx: JobContext) -> Hidden: ...  # type: ignore[empty-body]


def test_the_type_of_a_result() -> None:
    """A job type knows what its handler declares to return; Any where that is not there."""
    assert returns(Report).result_type is Report
    assert JobHandlers().register("it", undeclared).result_type is Any
    assert JobHandlers().register("it", hidden).result_type is Any


@pytest.mark.parametrize("function", [undeclared, hidden])
def test_an_undeclared_result_becomes_plain_json(function: Any) -> None:
    """Without a type that exists at run time, a result is kept as plain JSON."""
    job_type = JobHandlers().register("it", function)
    assert job_type.result_through_json(Size(files=1)) == {"files": 1}
    assert job_type.result_through_json((1, Path("a"))) == [1, "a"]


@pytest.mark.parametrize(
    ("annotation", "value", "named"),
    [
        (int, "text", "str"),
        (Report, LongReport(files=1), "LongReport"),
        (Report, None, "NoneType"),
        (float, math.nan, "float"),
        (Any, object(), "object"),
        (Any, handlers, "JobHandlers"),
        (Any, "\ud800", "str"),
        (dict[str, Any], {"a": (1,)}, "dict"),
        (Any, {"a": {1, 2, object()}}, "dict"),
    ],
    ids=map(str, range(9)),
)
def test_a_result_that_cannot_be_kept_is_refused(annotation: Any, value: Any, named: str) -> None:
    """A result that has no JSON, or is not what was declared, is refused, naming its type."""
    with pytest.raises(TypeError, match=f"a result of type {named} cannot be kept as JSON"):
        returns(annotation).result_through_json(value)


async def test_a_refused_result_fails_the_job() -> None:
    """On a queue that encodes, the job of a result that cannot be kept has failed, and says why."""
    local = JobHandlers()

    @local.job
    def wrong(ctx: JobContext) -> int:
        ctx.set_progress(0.5)
        return "text"  # type: ignore[return-value]

    queue = InMemoryJobQueue(local)
    record = await (await wrong.submit(queue)).wait()
    assert (record.status, record.error_type, record.result) == (
        JobStatus.FAILED,
        "TypeError",
        None,
    )
    assert str(record.error).startswith("a result of type str cannot be kept as JSON")
    assert record.progress == 0.5
