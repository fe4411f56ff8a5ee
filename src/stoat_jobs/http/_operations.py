"""The operations on jobs over HTTP, for the routes of any framework."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Concatenate

from pydantic import BaseModel, Field
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import ParamSpec

from stoat_jobs import JobBackend, JobNotFoundError, JobPage, JobResult, get_queue
from stoat_jobs.backends import JobFilter

from ._access import Access, Authorize, Operation
from ._dashboard import page, part
from ._feed import Feeds
from ._held_requests import HeldRequests
from ._limits import HttpLimits
from ._origins import Origins
from ._paths import path_of
from ._problems import SAFE, ProblemError, ProblemKind, response_to
from ._queries import ListQuery, Queries, link_to_next, narrowed, no_such_cursor
from ._records import ShownRecord, list_json
from ._requests import Forms
from ._responses import json_response, list_response, read_response, record_response
from ._routes import PLACES
from ._sse import EventStream, job_events
from ._submissions import Metadata, Submissions

P = ParamSpec("P")


def _answering(
    operate: Callable[Concatenate[Operations, Request, P], Awaitable[Response]],
) -> Callable[Concatenate[Operations, Request, P], Awaitable[Response]]:
    """*operate*, but errors that are for clients become problem documents."""

    @functools.wraps(operate)
    async def answer(
        self: Operations, request: Request, /, *args: P.args, **kwargs: P.kwargs
    ) -> Response:
        try:
            response = await operate(self, request, *args, **kwargs)
        except Exception as error:
            problem = response_to(error)
            if problem is None:
                raise
            return problem
        response.headers.update(SAFE)
        return response

    return answer


class CancelledJobs(BaseModel, frozen=True):
    """How many jobs were cancelled."""

    cancelled: int = Field(description="How many jobs will end `cancelled`.")


class Operations:
    """The operations; each answers one request."""

    def __init__(
        self,
        *,
        queue: JobBackend | None,
        queue_name: str | None,
        authorize: Authorize | None,
        submittable: Iterable[str],
        metadata: Metadata | None,
        expose_errors: bool,
        expose_payload: bool,
        limits: HttpLimits,
        trusted_origins: Iterable[str],
    ) -> None:
        self.queries = Queries(limits)
        self._queue = _checked_queue(queue, queue_name)
        self._queue_name = queue_name
        self._access = Access(authorize)
        self._submissions = Submissions(submittable, Forms(limits), self._access, metadata)
        self._exposed = {"expose_errors": expose_errors, "expose_payload": expose_payload}
        self._show = partial(
            ShownRecord, expose_errors=expose_errors, expose_payload=expose_payload
        )
        self._held = HeldRequests(limits)
        self._feeds = Feeds(limits, **self._exposed)
        self._origins = Origins(trusted_origins)

    @property
    def submittable(self) -> frozenset[str]:
        """The job types that clients may submit."""
        return self._submissions.names

    @property
    def offered(self) -> set[str]:
        """The operations that belong in the OpenAPI document: no pages, and no closed ones."""
        places = [place for place in PLACES if not place.is_page]
        if self._access.is_default:
            return {place.operation for place in places if place.is_open}
        everything = {place.operation for place in places}
        return everything if self.submittable else everything - {"submit"}

    @_answering
    async def list(self, request: Request) -> Response:
        """List jobs by pages, the newest first."""
        own = await self._access.check(request, Operation.LIST)
        page = await self._page(request, self.queries.listing(request), own)
        body = await list_json(page, **self._exposed)
        return list_response(request, body, link_to_next(request, page.cursor))

    async def _page(self, request: Request, query: ListQuery, own: JobFilter) -> JobPage[Any]:
        filters = narrowed(query.filters(), own)
        if filters is None:
            return JobPage([])
        find = partial(self._find(request).list_jobs, **filters, limit=query.limit)
        if query.before is None:
            return await find()
        try:
            return await find(before=query.before)
        except ValueError as error:  # only the backend knows its cursors
            raise no_such_cursor() from error

    @_answering
    async def stats(self, request: Request) -> Response:
        """The queue's counts, in all and by job type."""
        own = await self._access.check(request, Operation.STATS)
        if not own.is_open:
            detail = "the counts are of everybody's jobs, and you may see only your own jobs"
            raise ProblemError(ProblemKind.NOT_ALLOWED, detail)
        return json_response(to_json(await self._find(request).stats()))

    @_answering
    async def health(self, request: Request) -> Response:
        """Whether the queue accepts jobs; needs no authorization and shows nothing else."""
        status = 200 if self._find(request).started else 503
        return Response(status_code=status, headers={"cache-control": "no-store"})

    @_answering
    async def read(self, request: Request, job_id: str) -> Response:
        """The record as it is now."""
        record = await self._record(request, Operation.READ, job_id)
        return read_response(request, self._show(record))

    @_answering
    async def wait(self, request: Request, job_id: str) -> Response:
        """The terminal record, or the current one when the time is up."""
        timeout = self.queries.waiting(request).timeout
        record = await self._record(request, Operation.WAIT, job_id)
        if not record.status.is_terminal:
            record = await self._later(request, job_id, timeout)
        return record_response(self._show(record), 200 if record.status.is_terminal else 202)

    async def _later(self, request: Request, job_id: str, timeout: float) -> JobResult[Any]:
        queue = self._find(request)
        async with self._held.hold(request, request.receive) as held:
            finished = await held.unless_over(queue.wait(job_id), timeout)
        return await queue.get_result(job_id) if finished is None else finished

    @_answering
    async def events(self, request: Request, job_id: str) -> Response:
        """The records as they change."""
        shown = self._show(await self._record(request, Operation.EVENTS, job_id))
        if shown.is_terminal and request.headers.get("last-event-id") == shown.tag:
            return Response(status_code=204)  # after this an EventSource does not reconnect
        chunks = job_events(
            self._find(request).watch(job_id),
            show=self._show,
            check=partial(self._access.check_job, request, Operation.EVENTS),
            seen=request.headers.get("last-event-id"),
        )
        return EventStream(request, chunks, self._held)

    @_answering
    async def watch_all(self, request: Request) -> Response:
        """All jobs as they change, on one stream."""
        await self._access.check(request, Operation.WATCH_ALL)
        check = partial(self._access.check, request, Operation.WATCH_ALL)
        return EventStream(request, self._feeds.follow(self._find(request), check), self._held)

    @_answering
    async def dashboard(self, request: Request) -> Response:
        """The dashboard page."""
        await self._access.check(request, Operation.DASHBOARD)
        if path_of(request).endswith("/"):  # the page's relative links need the path without it
            return Response(status_code=308, headers={"location": "../dashboard"})
        return page(request)

    @_answering
    async def dashboard_file(self, request: Request, name: str) -> Response:
        """A file of the page; it is the same for everyone, so it needs no authorization."""
        return part(request, name)

    @_answering
    async def cancel(self, request: Request, job_id: str) -> Response:
        """Cancel a job."""
        self._origins.check(request)
        await self._record(request, Operation.CANCEL, job_id)
        queue = self._find(request)
        will_be_cancelled = await queue.cancel(job_id)
        record = await queue.get_result(job_id)
        if not will_be_cancelled:
            raise _too_late(record)
        return record_response(self._show(record), 202)

    @_answering
    async def cancel_many(self, request: Request) -> Response:
        """Cancel all jobs that match."""
        self._origins.check(request)
        own = await self._access.check(request, Operation.CANCEL_MANY)
        filters = narrowed(self.queries.cancelling(request).filters(), own)
        number = 0 if filters is None else await self._find(request).cancel_all(**filters)
        return json_response(to_json(CancelledJobs(cancelled=number)), 202)

    @_answering
    async def delete(self, request: Request, job_id: str) -> Response:
        """Drop the record of a finished job."""
        self._origins.check(request)
        await self._record(request, Operation.DELETE, job_id)
        if not await self._find(request).delete(job_id):
            raise _too_early("deleted")
        return Response(status_code=204, headers={"cache-control": "no-store"})

    @_answering
    async def resubmit(self, request: Request, job_id: str) -> Response:
        """Submit a finished job once more."""
        self._origins.check(request)
        record = await self._record(request, Operation.RESUBMIT, job_id)
        if not record.status.is_terminal:
            raise _too_early("submitted again")
        queue = self._find(request)
        new_id = await queue.resubmit(job_id)
        if record.key is None:
            new = await queue.get_result(new_id)
        else:
            new = await self._submissions.checked_holder(request, queue, new_id)
        return self._created(path_of(request).rstrip("/").rsplit("/", 2)[0], new)

    @_answering
    async def submit(self, request: Request) -> Response:
        """Submit a job."""
        self._origins.check(request)
        own = await self._access.check(request, Operation.SUBMIT)
        record = await self._submissions.accepted(request, self._find(request), own)
        return self._created(path_of(request).rstrip("/"), record)

    def _created(self, mount: str, record: JobResult[Any]) -> Response:
        location = f"{mount}/{record.job_id}"
        return record_response(self._show(record), 202, {"location": location})

    def _find(self, request: Request) -> JobBackend:
        return get_queue(request, self._queue_name) if self._queue is None else self._queue

    async def _record(self, request: Request, operation: Operation, job_id: str) -> JobResult[Any]:
        try:
            record = await self._find(request).get_result(job_id)
        except JobNotFoundError:
            return await self._access.check_job(request, operation, None)
        return await self._access.check_job(request, operation, record)


def _checked_queue(queue: JobBackend | None, name: str | None) -> JobBackend | None:
    if not (name is None or (isinstance(name, str) and name)):
        raise TypeError(f"queue_name must be a non-empty string, not {name!r}")
    if not (queue is None or isinstance(queue, JobBackend)):
        raise TypeError(
            f"the queue must be a JobBackend, not {type(queue).__name__}; to choose a queue of the"
            ' app, pass its name: queue_name="io"'
        )
    if queue is not None and name is not None:
        raise TypeError("pass either queue or queue_name, not both")
    return queue


def _too_late(record: JobResult[Any]) -> ProblemError:
    if record.status.is_terminal:
        return ProblemError(
            ProblemKind.JOB_FINISHED, f"the job has finished; it is {record.status}"
        )
    return ProblemError(
        ProblemKind.JOB_STOPPING, "the job is already being stopped, for another reason"
    )


def _too_early(done: str) -> ProblemError:
    return ProblemError(
        ProblemKind.JOB_NOT_FINISHED,
        f"the job has not finished, and only a finished one can be {done}; cancel it first",
    )
