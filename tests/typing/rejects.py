"""What type checkers must refuse: every line marked with an ignored error, and no other.

test_typing.py takes the marks away and looks for an error in each of these lines.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol, Self

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request

from stoat_jobs import (
    AsyncioJobQueue,
    AsyncJobQueue,
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
    QueueStats,
    SubmittedEvent,
    create_queue,
    lifespan,
)
from stoat_jobs.backends import Capabilities
from stoat_jobs.http import AccessRequest, HttpLimits, Operation, add_problem_handlers, jobs_app

handlers = JobHandlers()


@handlers.job
def scan(ctx: JobContext, root: str, recursive: bool = True) -> int:
    return 0


@handlers.job(timeout=3)
async def fetch(ctx: JobContext, *, url: str) -> bytes:
    return b""


def late(ctx: JobContext, root: str) -> str:
    return root


bound = handlers.register("bound", late)


# Submissions that do not fit the handler.


async def submits(queue: JobBackend, short: AsyncJobQueue) -> None:
    await scan.submit(queue)  # type: ignore[call-arg]
    await scan.submit(queue, roott="here")  # type: ignore[call-arg]
    await scan.submit(queue, 3)  # type: ignore[arg-type]
    await scan.submit(queue, root=None)  # type: ignore[arg-type]
    await scan.submit(queue, "here", "yes")  # type: ignore[arg-type]
    await scan.submit(queue, "here", True, 1)  # type: ignore[call-arg]
    await scan.submit("here")  # type: ignore[arg-type, call-arg]
    await scan.submit(short, "here")  # type: ignore[arg-type]
    await fetch.submit(queue, "url")  # type: ignore[call-arg]
    await fetch.submit(queue, url=b"url")  # type: ignore[arg-type]
    await bound.submit(queue, roott="here")  # type: ignore[call-arg]
    await scan.options(timeout=3).submit(queue, roott="here")  # type: ignore[call-arg]
    scan.options(timeout="3")  # type: ignore[arg-type]
    scan.options(retries=3)  # type: ignore[call-arg]
    scan.options(metadata=["a"])  # type: ignore[arg-type]
    scan.options(delay="3")  # type: ignore[arg-type]
    scan.options(unique="once")  # type: ignore[arg-type]
    await scan.submit_many(queue, {"root": "here"})  # type: ignore[dict-item]
    await queue.submit_many("scan", [{}], key="k")  # type: ignore[call-arg]
    await queue.submit("scan", {}, unique="once")  # type: ignore[arg-type]
    await queue.submit("scan", {}, delay="3")  # type: ignore[arg-type]
    await queue.submit("scan", ["here"])  # type: ignore[arg-type]
    await queue.submit("scan", {}, 3)  # type: ignore[call-arg]
    await short.submit("scan", {}, timeout=3)  # type: ignore[call-arg]
    await short.submit("scan")  # type: ignore[call-arg]


# Results of another type.


async def results(queue: JobBackend) -> None:
    text: str = await (await scan.submit(queue, "here")).value()  # type: ignore[assignment]
    more: str = await (await fetch.submit(queue, url="u")).value()  # type: ignore[assignment]
    number: int = (await (await scan.submit(queue, "here")).wait()).result  # type: ignore[assignment]
    other: JobRef[str] = await scan.submit(queue, "here")  # type: ignore[assignment]
    print(text, more, number, other)


# Calls in a unit test.


async def calls() -> None:
    scan(JobContext())  # type: ignore[call-arg]
    scan("here")  # type: ignore[arg-type, call-arg]
    scan(JobContext(), roott="here")  # type: ignore[call-arg]
    scan(JobContext(), root=3)  # type: ignore[arg-type]
    await scan(JobContext(), "here")  # type: ignore[misc]
    text: str = scan(JobContext(), "here")  # type: ignore[assignment]
    raw: bytes = fetch(JobContext(), url="u")  # type: ignore[assignment]
    JobContext().set_progress("half")  # type: ignore[arg-type]
    JobContext().update_metadata({"a": 1})  # type: ignore[call-arg]
    JobContext().metadata["a"] = 1  # type: ignore[index]
    JobContext().from_thread(late)  # type: ignore[arg-type]
    print(text, raw)


# Functions that are no handlers.


def no_parameters() -> None: ...


def no_context(root: str) -> None: ...


handlers.job(no_parameters)  # type: ignore[arg-type]
handlers.job(no_context)  # type: ignore[arg-type]
handlers.register("no-context", no_context)  # type: ignore[arg-type]
handlers.register(scan.function)  # type: ignore[call-overload]
handlers.job(timeout="3")  # type: ignore[call-overload]
handlers.job(name=3)  # type: ignore[call-overload]
handlers.job(name=late)  # type: ignore[call-overload]
handlers.job("late", name="later")  # type: ignore[call-overload]
handlers.job(timeouts=3)  # type: ignore[call-overload]
handlers.job(retries=1, retry_on="ValueError")  # type: ignore[call-overload]
handlers.job(retries=1, backoff=3)  # type: ignore[call-overload]


# Records are frozen.


def assigns(record: JobResult[int], stats: QueueStats, event: SubmittedEvent) -> None:
    record.status = JobStatus.FAILED  # type: ignore[misc]
    record.result = 3  # type: ignore[misc]
    stats.abandoned = 0  # type: ignore[misc]
    event.job_id = "mine"  # type: ignore[misc]
    JobQueueSettings().timeout = 3.0  # type: ignore[misc]
    text: str = record.result  # type: ignore[assignment]
    print(text, record.arguments)  # type: ignore[attr-defined]


async def reads_pages(queue: JobBackend, page: JobPage[int]) -> None:
    page.cursor = None  # type: ignore[misc]
    page[0] = page[1]  # type: ignore[index]
    page.append(page[0])  # type: ignore[attr-defined]
    await queue.list_jobs(status=3)  # type: ignore[arg-type]
    await queue.list_jobs(job_type=print)  # type: ignore[arg-type]
    await queue.list_jobs(metadata={"files": ["a"]})  # type: ignore[dict-item]
    await queue.list_jobs(before=3)  # type: ignore[arg-type]
    await queue.cancel_all(limit=3)  # type: ignore[call-arg]


# Queues that lack something.


class NoGetResult:
    async def submit(self, job_type: str, payload: Mapping[str, Any]) -> str:
        return job_type

    async def get_status(self, job_id: str) -> JobStatus:
        return JobStatus.PENDING


class ThreeMethods(NoGetResult):
    async def get_result(self, job_id: str) -> JobResult[Any]:
        raise KeyError(job_id)


class NotAsync(ThreeMethods):
    def get_status(self, job_id: str) -> JobStatus:  # type: ignore[override]
        return JobStatus.PENDING


class NoCancel(AsyncJobQueue, Protocol):
    handlers: JobHandlers
    app: Any

    @property
    def settings(self) -> JobQueueSettings: ...

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def started(self) -> bool: ...

    async def submit(
        self, job_type: str, payload: Mapping[str, Any] = ..., **options: Any
    ) -> str: ...

    def watch(self, job_id: str) -> AsyncIterator[JobResult[Any]]: ...

    async def wait(self, job_id: str, timeout: float | None = None) -> JobResult[Any]: ...

    async def list_jobs(self, **filters: Any) -> JobPage[Any]: ...

    async def submit_many(self, *args: Any, **options: Any) -> list[str]: ...

    async def cancel_all(self, **filters: Any) -> int: ...

    async def delete(self, job_id: str) -> bool: ...

    async def resubmit(self, job_id: str) -> str: ...

    async def stats(self) -> QueueStats: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc_info: object) -> None: ...


class WithCancel(NoCancel, Protocol):
    async def cancel(self, job_id: str) -> bool: ...


def takes_queue(queue: AsyncJobQueue) -> None: ...


def takes_backend(queue: JobBackend) -> None: ...


takes_queue(NoGetResult())  # type: ignore[arg-type]
takes_queue(NotAsync())  # type: ignore[arg-type]
takes_backend(ThreeMethods())  # type: ignore[arg-type]
takes_backend(AsyncioJobQueue)  # type: ignore[arg-type]


def passes_on(lacking: NoCancel, whole: WithCancel) -> None:
    takes_backend(lacking)  # type: ignore[arg-type]
    takes_backend(whole)


# Over HTTP.


def not_async(access: AccessRequest) -> bool:
    return True


async def no_bool(access: AccessRequest) -> str:
    return "yes"


async def no_items(access: AccessRequest) -> dict[str, list[str]]:
    return {"owner": ["ada"]}


async def of_three(request: Request, operation: Operation, record: object) -> bool:
    return True


jobs_app(authorize=of_three)  # type: ignore[arg-type]
jobs_app(authorize=not_async)  # type: ignore[arg-type]
jobs_app(authorize=no_bool)  # type: ignore[arg-type]
jobs_app(authorize=no_items)  # type: ignore[arg-type]
add_problem_handlers(object())  # type: ignore[arg-type]
jobs_app(AsyncioJobQueue())  # type: ignore[call-arg]
jobs_app(queue=ThreeMethods())  # type: ignore[arg-type]
HttpLimits(max_opne=3)  # type: ignore[call-arg]


jobs_app(queue="io")  # type: ignore[arg-type]

# What a framework is to call with the app.

FastAPI(lifespan=lifespan(handlers=handlers))  # type: ignore[arg-type]
Starlette(lifespan=lifespan(handlers=handlers))  # type: ignore[arg-type]
lifespan(handlers=handlers)(FastAPI())  # type: ignore[operator]

# Queues built wrongly.

AsyncioJobQueue(handlers, {"backend": "asyncio"})  # type: ignore[arg-type]
InMemoryJobQueue(observers=JobObserver())  # type: ignore[arg-type]
InMemoryJobQueue(handlers, concurrency=3)  # type: ignore[call-arg]
create_queue(settings="asyncio")  # type: ignore[arg-type]
create_queue().run_next()  # type: ignore[attr-defined]
JobQueueSettings(backend=3)  # type: ignore[arg-type]
JobQueueSettings(concurency=3)  # type: ignore[call-arg]
Capabilities(durabel=True)  # type: ignore[call-arg]
AsyncioJobQueue().capabilities.durabel  # type: ignore[attr-defined]
JobRef("id")  # type: ignore[call-arg, arg-type]
