"""The operations on jobs over HTTP, for the routes of any framework."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, Concatenate

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import ParamSpec

from stoat_jobs import JobBackend, JobNotFoundError, JobResult, get_queue

from ._access import Access, Authorize, Operation
from ._dashboard import page, part
from ._feed import Feeds
from ._held_requests import HeldRequests
from ._limits import HttpLimits
from ._origins import Origins
from ._paths import path_of
from ._problems import SAFE, SOON, ProblemError, ProblemKind, response_to
from ._records import ShownRecord, list_json, tag_of
from ._requests import Forms, Submission
from ._routes import PLACES
from ._sse import EventStream, job_events

P = ParamSpec("P")

Metadata = Callable[[Request], Awaitable[Mapping[str, str]]]


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
        limits: HttpLimits,
        trusted_origins: Iterable[str],
    ) -> None:
        self.forms = Forms(limits)
        self._queue = _checked_queue(queue, queue_name)
        self._queue_name = queue_name
        self._access = Access(authorize)
        self.submittable = _checked_names(submittable)
        self._metadata = metadata
        self._show = partial(ShownRecord, expose_errors=expose_errors)
        self._expose_errors = expose_errors
        self._held = HeldRequests(limits)
        self._feeds = Feeds(limits, expose_errors=expose_errors)
        self._origins = Origins(trusted_origins)

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
        """List the newest jobs."""
        await self._access.check(request, Operation.LIST)
        query = self.forms.list_query(request)
        records = await self._find(request).list_jobs(**dict(query))
        body = await list_json(records, expose_errors=self._expose_errors)
        headers = _tagged(tag := tag_of(body))
        if _has_seen(request, tag):
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type="application/json")

    @_answering
    async def stats(self, request: Request) -> Response:
        """The queue's counts."""
        await self._access.check(request, Operation.STATS)
        return _json(to_json(await self._find(request).stats()))

    @_answering
    async def health(self, request: Request) -> Response:
        """Whether the queue accepts jobs; needs no authorization and shows nothing else."""
        status = 200 if self._find(request).started else 503
        return Response(status_code=status, headers={"cache-control": "no-store"})

    @_answering
    async def read(self, request: Request, job_id: str) -> Response:
        """The record as it is now."""
        shown = self._show(await self._record(request, Operation.READ, job_id))
        if _has_seen(request, shown.tag):
            return Response(status_code=304, headers=_headers(shown))
        return _record_response(shown, 200)

    @_answering
    async def wait(self, request: Request, job_id: str) -> Response:
        """The terminal record, or the current one when the time is up."""
        timeout = self.forms.wait_query(request).timeout
        record = await self._record(request, Operation.WAIT, job_id)
        if not record.status.is_terminal:
            record = await self._later(request, job_id, timeout)
        return _record_response(self._show(record), 200 if record.status.is_terminal else 202)

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
        return _record_response(self._show(record), 202)

    @_answering
    async def submit(self, request: Request) -> Response:
        """Submit a job."""
        self._origins.check(request)
        await self._access.check(request, Operation.SUBMIT)
        submission = await self.forms.submission(request)
        if submission.job_type not in self.submittable:
            raise self._not_submittable()
        record = await self._accepted(request, submission)
        location = f"{path_of(request).rstrip('/')}/{record.job_id}"
        return _record_response(self._show(record), 202, {"location": location})

    async def _accepted(self, request: Request, submission: Submission) -> JobResult[Any]:
        queue = self._find(request)
        metadata = None if self._metadata is None else await self._metadata(request)
        job_id = await queue.submit(
            submission.job_type, submission.payload, key=submission.key, metadata=metadata
        )
        record = await queue.get_result(job_id)
        # With a key it may be another user's job.
        if submission.key and not await self._access.may_read(request, record):
            detail = "a job that you may not read has this key; use another key"
            raise ProblemError(ProblemKind.KEY_IN_USE, detail)
        return record

    def _not_submittable(self) -> ProblemError:
        names = ", ".join(sorted(self.submittable)) or "none; the application lists them"
        detail = f"jobs of this type cannot be submitted over HTTP; submittable: {names}"
        return ProblemError(ProblemKind.JOB_TYPE_NOT_SUBMITTABLE, detail)

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


def _checked_names(names: Iterable[str]) -> frozenset[str]:
    if isinstance(names, str):
        raise TypeError(f"submittable must be a list of names: [{names!r}], not {names!r}")
    listed = frozenset(names)
    if all(isinstance(name, str) for name in listed):
        return listed
    raise TypeError("submittable must contain names, as in submittable=[scan.name]")


def _too_late(record: JobResult[Any]) -> ProblemError:
    if record.status.is_terminal:
        return ProblemError(
            ProblemKind.JOB_FINISHED, f"the job has finished; it is {record.status}"
        )
    return ProblemError(
        ProblemKind.JOB_STOPPING, "the job is already being stopped, for another reason"
    )


def _json(body: bytes) -> Response:
    return Response(body, headers={"cache-control": "no-store"}, media_type="application/json")


def _record_response(
    shown: ShownRecord, status: int, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(shown.body, status, {**_headers(shown), **(headers or {})}, "application/json")


def _headers(shown: ShownRecord) -> dict[str, str]:
    later = {} if shown.is_terminal else SOON
    return {**_tagged(shown.tag), **later}


def _tagged(tag: str) -> dict[str, str]:
    return {"etag": f'"{tag}"', "cache-control": "private, no-cache"}


def _has_seen(request: Request, tag: str) -> bool:
    tags = request.headers.get("if-none-match", "").split(",")
    return any(each.strip().removeprefix("W/") in ("*", f'"{tag}"') for each in tags)
