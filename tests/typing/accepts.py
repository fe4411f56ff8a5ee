"""What type checkers must accept, and the types that they must see."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, Protocol, TypeVar, assert_type

from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import ParamSpec

from stoat_jobs import (
    AsyncioJobQueue,
    AsyncJobQueue,
    Backoff,
    FinishedEvent,
    InMemoryJobQueue,
    JobBackend,
    JobContext,
    JobHandlers,
    JobObserver,
    JobPage,
    JobQueueSettings,
    JobRef,
    JobResult,
    JobStatus,
    create_queue,
    current_job,
    current_job_id,
    get_queue,
    lifespan,
)
from stoat_jobs.backends import Capabilities
from stoat_jobs.http import (
    AccessRequest,
    Authorize,
    HttpLimits,
    JobQueueDep,
    Operation,
    accepted,
    add_problem_handlers,
    allow_all,
    jobs_app,
    jobs_router,
    queue_named,
)

handlers = JobHandlers()

P = ParamSpec("P")
R = TypeVar("R")


class Report:
    files: int = 0


# Handlers: decorated bare, with options, by name; sync and async; late.


@handlers.job
def scan(ctx: JobContext, root: str, recursive: bool = True) -> Report:
    ctx.set_progress(0.5, "half")
    return Report()


@handlers.job
async def fetch(ctx: JobContext, url: str, *, tries: int = 3) -> bytes:
    return b""


@handlers.job(timeout=5, retries=2)
def timed(ctx: JobContext, n: int) -> list[int]:
    return [n]


@handlers.job("other-name", cooperative=True)
async def named(ctx: JobContext, /, **payload: str) -> dict[str, str]:
    return payload


@handlers.job(name="by-keyword", timeout=3)
def by_keyword(ctx: JobContext, n: int) -> int:
    return n


@handlers.job(
    retries=3,
    retry_on=(ConnectionError, TimeoutError),
    backoff=Backoff(first=10, factor=1, jitter=0),
    cancel_grace=30,
    timeout_grace=5,
    concurrency=1,
    keep_payload=True,
)
async def with_all(ctx: JobContext, n: int) -> int:
    ctx.update_metadata(pages=[n], note=None)
    await ctx.wait_cancelled()
    assert_type(ctx.metadata, Mapping[str, Any])
    return n


@handlers.job(retries=1, retry_on=lambda error: "again" in str(error))
def picky(ctx: JobContext, n: int) -> int:
    return n


assert_type(picky(JobContext(), n=1), int)
together = handlers.job(scan.function, timeout=3, replace=True)


@handlers.job()
async def nothing(ctx: JobContext) -> None: ...


# Behind a decorator that keeps the types, and what gives something to await without async def.


def plain(function: Callable[P, R]) -> Callable[P, R]:
    return function


@handlers.job
@plain
async def decorated(ctx: JobContext, n: int) -> str:
    return str(n)


@handlers.job(retries=1)
def awaitable(ctx: JobContext, n: int) -> Awaitable[str]:
    return fetched(n)


async def fetched(n: int) -> str:
    return str(n)


class Service:
    def method(self, ctx: JobContext, n: int) -> str:
        return str(n)

    async def async_method(self, ctx: JobContext, n: int) -> str:
        return str(n)


bound = handlers.register("bound", Service().method)
async_bound = handlers.register("async-bound", Service().async_method, timeout=1.0)
late_sync = handlers.register("late-sync", scan.function)
dynamic = handlers.get("scan")


# A job type is the function that it was: in a unit test it is called, typed.


async def calls() -> None:
    ctx = JobContext()
    assert_type(scan(ctx, "here"), Report)
    assert_type(scan(ctx, root="here", recursive=False), Report)
    assert_type(timed(ctx, 3), list[int])
    assert_type(await fetch(ctx, "url", tries=1), bytes)
    assert_type(await named(ctx, a="b"), dict[str, str])
    assert_type(by_keyword(ctx, n=3), int)
    assert_type(await decorated(ctx, 3), str)
    assert_type(await awaitable(ctx, 3), str)
    assert_type(bound(ctx, 3), str)
    assert_type(await async_bound(ctx, n=3), str)
    coroutine: Coroutine[Any, Any, bytes] = fetch(ctx, "url")
    coroutine.close()


# Both backends, under both protocols.


def takes_queue(queue: AsyncJobQueue) -> None: ...


def takes_backend(queue: JobBackend) -> None: ...


asyncio_queue = AsyncioJobQueue(handlers, JobQueueSettings(concurrency=4), [JobObserver()])
memory_queue = InMemoryJobQueue(handlers, observers=())
takes_queue(asyncio_queue)
takes_queue(memory_queue)
takes_backend(asyncio_queue)
takes_backend(memory_queue)
takes_backend(create_queue(handlers, JobQueueSettings(backend="memory")))


class ThreeMethods:
    """What an endpoint's test injects."""

    async def submit(self, job_type: str, payload: Mapping[str, Any]) -> str:
        return job_type

    async def get_status(self, job_id: str) -> JobStatus:
        return JobStatus.PENDING

    async def get_result(self, job_id: str) -> JobResult[Any]:
        raise KeyError(job_id)


takes_queue(ThreeMethods())


class Lasting(AsyncioJobQueue):
    capabilities = Capabilities(durable=True)


takes_backend(Lasting())


class Factory(Protocol):
    """What an entry point loads."""

    def __call__(
        self, handlers: JobHandlers, settings: JobQueueSettings, observers: list[JobObserver], /
    ) -> JobBackend: ...


factories: list[Factory] = [AsyncioJobQueue, InMemoryJobQueue]


# Submitting: the handler's own parameters, and the handler's own result.


async def submits(queue: JobBackend) -> None:
    ref = await scan.submit(queue, "here", recursive=False)
    assert_type(ref, JobRef[Report])
    assert_type(ref.job_id, str)
    assert_type(await ref.value(), Report)
    assert_type(await ref.value(timeout=3), Report)
    assert_type((await ref.wait()).result, Report | None)
    assert_type((await ref.get_result()).result, Report | None)
    assert_type(await ref.wait(1.5), JobResult[Report])
    assert_type(await ref.get_status(), JobStatus)
    assert_type(await ref.cancel(), bool)
    assert_type(ref.watch(), AsyncIterator[JobResult[Report]])
    async for record in ref.watch():
        assert_type(record.result, Report | None)


async def submits_others(queue: JobBackend) -> None:
    assert_type(await (await fetch.submit(queue, "url")).value(), bytes)
    many = await fetch.options(delay=timedelta(hours=1)).submit_many(queue, [{"url": "a"}])
    assert_type(many, list[JobRef[bytes]])
    kept = fetch.options(key="k", unique="kept", delay=2)
    assert_type(await (await kept.submit(queue, "url")).value(), bytes)
    assert_type((await (await fetch.submit(queue, url="u")).wait()).result, bytes | None)
    assert_type(await (await timed.submit(queue, n=1)).value(), list[int])
    assert_type(await (await named.submit(queue, a="b", c="d")).value(), dict[str, str])
    assert_type(await (await nothing.submit(queue)).value(), None)
    assert_type(await (await bound.submit(queue, n=1)).value(), str)
    assert_type(await (await async_bound.submit(queue, 1)).value(), str)
    assert_type(await (await dynamic.submit(queue, anything=1)).value(), Any)


async def submits_with_options(queue: JobBackend) -> None:
    urgent = scan.options(timeout=20, key="/srv", metadata={"user": "me"}, connection=object())
    assert_type(await (await urgent.submit(queue, root="here")).value(), Report)


# Queues by hand.


async def by_hand(queue: JobBackend, short: AsyncJobQueue) -> None:
    async with queue as entered:
        job_id = await entered.submit("scan", {"root": "."}, timeout=3, key="k", connection=None)
    assert_type(job_id, str)
    assert_type(await short.submit("scan", {"root": "."}), str)
    assert_type(await queue.list_jobs(status=JobStatus.FAILED, limit=3), JobPage[Any])
    assert_type((await queue.stats()).by_status, dict[JobStatus, int])
    page = await queue.list_jobs(status=["failed", JobStatus.TIMEOUT], job_type={"a", "b"})
    assert_type(page.cursor, str | None)
    assert_type(page[0], JobResult[Any])
    assert_type(page[:2], tuple[JobResult[Any], ...])
    assert_type(await queue.list_jobs(metadata={"user": "ada", "n": 1, "x": True}), JobPage[Any])
    assert_type(await queue.cancel_all(status="pending", metadata={"user": "ada"}), int)
    assert_type(await queue.delete(job_id), bool)
    assert_type(await queue.resubmit(job_id), str)
    assert_type((await queue.stats()).by_type["a"].wait_p95_s, float | None)
    assert_type(await queue.cancel(job_id), bool)
    assert_type(queue.settings.concurrency, int)
    assert_type(queue.capabilities.durable, bool)
    assert_type(current_job_id.get(), str | None)
    assert_type(current_job(), JobContext | None)
    typed: JobRef[Report] = JobRef(queue, job_id)
    assert_type(await typed.value(), Report)


async def in_memory(queue: InMemoryJobQueue) -> None:
    queue.set_outcome("scan", status=JobStatus.FAILED, error="no such directory")
    assert_type(await queue.run_next(), JobResult[Any] | None)
    async with queue as entered:
        assert_type(entered, InMemoryJobQueue)


# In a handler, and around an app.


def handler_of_its_own(ctx: JobContext) -> str:
    submitted = ctx.from_thread(scan.submit, ctx.queue, "here")
    assert_type(submitted, JobRef[Report])
    assert_type(ctx.cancelled, bool)
    assert_type(ctx.queue, JobBackend)
    assert_type((ctx.progress, ctx.message), tuple[float | None, str | None])
    return submitted.job_id


class Counter(JobObserver):
    def finished(self, event: FinishedEvent) -> None:
        assert_type(event.record.status, JobStatus)
        assert_type((event.job_id, event.job_type), tuple[str, str])


async def around_an_app() -> None:
    async with lifespan(handlers=handlers, observers=[Counter()]) as state:
        assert_type(state["job_queue"], AsyncJobQueue)
    as_frameworks_take_it = partial(lifespan, handlers=handlers, settings=JobQueueSettings())
    async with as_frameworks_take_it(object()):
        pass


async def several_queues(app: FastAPI, request: Request) -> None:
    async with lifespan(app, handlers=handlers, name="io") as state:
        assert_type(state, dict[str, AsyncJobQueue])
        assert_type(get_queue(request, "io"), JobBackend)
    FastAPI(lifespan=partial(lifespan, handlers=handlers))
    Starlette(lifespan=partial(lifespan, handlers=handlers, name="io"))


def run_again(ctx: JobContext, root: str) -> int:
    return len(root)


notebook = JobHandlers()
again = notebook.register("run_again", run_again, replace=True)
assert_type(again(JobContext(), "here"), int)
assert_type(notebook.job(replace=True)(run_again)(JobContext(), root="here"), int)


def record_is_typed(record: JobResult[int], plain: JobResult) -> None:
    assert_type(record.result, int | None)
    assert_type(plain.result, Any | None)
    assert_type(record.metadata, dict[str, Any])
    assert_type(record.status.is_terminal, bool)


# Over HTTP.


async def owners(access: AccessRequest) -> bool:
    assert_type(access.record, JobResult[Any] | None)
    assert_type(access.request, Request)
    return access.record is not None and access.operation == Operation.READ


async def owner(request: Request) -> dict[str, str]:
    return {"owner": "ada"}


async def own_jobs(access: AccessRequest) -> bool | dict[str, str]:
    return {"owner": "ada"}


class Doorkeeper:
    async def __call__(self, access: AccessRequest) -> bool:
        return True


asked: Authorize = owners
for guard in (asked, allow_all, own_jobs, Doorkeeper()):
    Starlette().mount("/jobs", jobs_app(authorize=guard, metadata=owner, submittable=["scan"]))
add_problem_handlers(FastAPI())
add_problem_handlers(Starlette())
FastAPI().mount("/jobs", jobs_app(queue=AsyncioJobQueue(), limits=HttpLimits(heartbeat=5)))
FastAPI().include_router(jobs_router(handlers=handlers), prefix="/jobs")
FastAPI().mount("/io", jobs_app(queue_name="io"))
IoQueue = Annotated[JobBackend, Depends(queue_named("io"))]


async def endpoint_of_io(request: Request, queue: IoQueue) -> Response:
    return accepted(request, await scan.submit(queue, "here"), jobs="io")


async def endpoint(request: Request, queue: JobQueueDep) -> Response:
    assert_type(await queue.get_status("id"), JobStatus)
    return accepted(request, await scan.submit(queue, "here"))
