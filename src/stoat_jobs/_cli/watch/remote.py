"""Reads a server's jobs over HTTP; checks all answers, which may be wrong or hostile."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Annotated, Any

import httpx
from httpx_sse import SSEError, aconnect_sse
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    Field,
    TypeAdapter,
    ValidationError,
)

from stoat_jobs import JobResult

from ..._display import safe_text

# A stream that is silent for longer has lost its server: by default a heartbeat comes every 15 s.
_TIMEOUT = httpx.Timeout(10.0, read=60.0)
_LONGEST_WAIT_S = 60.0
_NO_SKEW = timedelta(seconds=2)  # the Date header has whole seconds, and takes time to arrive
_MOST_SKEW = timedelta(days=366)  # no clock is that wrong, and datetime arithmetic can overflow
_MOST_ATTEMPTS = _MOST_JOBS = 1_000_000_000
_PORTS = {"http": 80, "https": 443}
_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


Text = Annotated[str, AfterValidator(safe_text)]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class WatchedJob(JobResult[Any], frozen=True):
    """A record from the server, or a row of a list, which has no result.

    All text except the result is made safe to show. Numbers and times that no record can have are
    refused.
    """

    job_id: Text
    job_type: Text
    error: Text | None = None
    error_type: Text | None = None
    progress: Fraction | None = None
    message: Text | None = None
    attempt: Annotated[int, Field(ge=0, le=_MOST_ATTEMPTS)] = 0
    submitted_at: AwareDatetime
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    result_error: Text | None = None


Jobs = Sequence[WatchedJob]


class Listing(list[WatchedJob]):
    """The newest jobs of a mount.

    Attributes:
        total: how many jobs there are in all; None if there are more than these, and the server
            does not say how many.
    """

    def __init__(self, jobs: Iterable[WatchedJob], total: int | None) -> None:
        super().__init__(jobs)
        self.total = total


class _Stats(BaseModel):
    """What is read of the counts of a mount."""

    by_status: dict[str, Annotated[int, Field(ge=0, le=_MOST_JOBS)]]


class _Problem(BaseModel):
    """The fields that are read from a problem document (RFC 9457)."""

    title: str = ""
    detail: str = ""


_ANSWER: TypeAdapter[WatchedJob | list[WatchedJob]] = TypeAdapter(WatchedJob | list[WatchedJob])


_SOMETHING_ELSE = (
    "this URL is neither a job nor the mount of jobs_app: give the URL of one job (.../jobs/ID) or"
    " of the mount (.../jobs/)"
)


class RemoteError(Exception):
    """There is nothing to show, and trying again would not help; *reason* says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(safe_text(reason))


class UnreachableError(RemoteError):
    """The server does not answer now; try again, after *retry_after* seconds if it said so."""

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Remote:
    """The job at *url*, or all jobs if jobs_app is mounted there.

    The *headers* may be secrets: they are sent only to the origin of *url*.

    Attributes:
        url: the URL; after the first request, the one that redirects led to.
        retry_after: the seconds that the server asks clients to wait between two streams.
    """

    def __init__(self, url: httpx.URL, headers: Sequence[tuple[str, str]], every: float) -> None:
        self.url = url
        self.retry_after = 0.0
        self._every = every
        self._ahead = timedelta()
        self._home = url
        # Host is not a secret: the HTTP client sets it for each origin.
        self._private = {name.lower() for name, _ in headers} - {"host"}
        self._http = httpx.AsyncClient(
            headers=list(headers),
            timeout=_TIMEOUT,
            follow_redirects=True,
            event_hooks={"request": [self._drop_headers_elsewhere]},
        )

    def now(self) -> datetime:
        """The time by the server's clock, which its records use."""
        return datetime.now(UTC) + self._ahead

    async def look(self) -> WatchedJob | Listing:
        """The job's record, or a list with the records of the newest jobs.

        Raises:
            RemoteError: the URL is neither, or access to it is denied.
        """
        with _as_remote_errors():
            response = await self._get({})
            self.url = response.url
            self._ahead = _ahead(response)
            found = _parsed(response.content)
            return await self._listing(response, found) if isinstance(found, list) else found

    async def changes(self) -> AsyncGenerator[Jobs, None]:
        """A list of only this job at each change; ends when the server ends the stream."""
        events = self.url.copy_with(path=f"{self.url.path.rstrip('/')}/events")
        with _as_remote_errors():
            async with aconnect_sse(self._http, "GET", str(events)) as source:
                await _check(source.response)
                source.response.encoding = "utf-8"  # event streams are always UTF-8
                async for event in source.aiter_sse():
                    if event.retry is not None:
                        self.retry_after = _seconds(event.retry)
                    if event.data:
                        yield listed(_parsed(event.data))

    async def listings(self) -> AsyncGenerator[Jobs, None]:
        """The newest jobs, newest first, again and again; never ends by itself."""
        jobs: Jobs = []
        etag = ""
        with _as_remote_errors():
            while True:
                response = await self._get({"if-none-match": etag} if etag else {})
                if response.status_code != HTTPStatus.NOT_MODIFIED:
                    etag = response.headers.get("etag", "")
                    jobs = listed(_parsed(response.content))
                yield await self._listing(response, jobs)
                await asyncio.sleep(self._every)

    async def _listing(self, page: httpx.Response, jobs: Jobs) -> Listing:
        """The *jobs* on this *page*, and how many there are in all."""
        return Listing(jobs, await self._total() if "next" in page.links else len(jobs))

    async def _total(self) -> int | None:
        """How many jobs the mount has; None if that is not said, as where a query filters them."""
        if set(self.url.params) - {"limit"}:
            return None
        path = f"{self.url.path.rstrip('/')}/stats"
        response = await self._http.get(self.url.copy_with(path=path, query=None))
        if not response.is_success:
            return None
        try:
            return sum(_Stats.model_validate_json(response.content).by_status.values())
        except ValidationError:
            return None

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def _drop_headers_elsewhere(self, request: httpx.Request) -> None:
        """Remove the user's headers from redirects to other origins.

        The HTTP client itself removes only ``Authorization``.
        """
        if not _same_origin(self._home, request.url):
            for name in self._private & set(request.headers):
                del request.headers[name]

    async def _get(self, headers: dict[str, str]) -> httpx.Response:
        response = await self._http.get(self.url, headers=headers)
        await _check(response)
        return response


def listed(answer: WatchedJob | list[WatchedJob]) -> Jobs:
    """One job as a list of one."""
    return answer if isinstance(answer, list) else [answer]


def _same_origin(home: httpx.URL, url: httpx.URL) -> bool:
    """Whether *url* has the same origin as *home*, or is the upgrade of *home* to HTTPS."""
    before, after = ((each.scheme, each.port or _PORTS.get(each.scheme)) for each in (home, url))
    upgraded = (before, after) == (("http", 80), ("https", 443))
    return home.host == url.host and (before == after or upgraded)


def _seconds(milliseconds: int) -> float:
    """Seconds within bounds; bounded before the division, which huge integers would overflow."""
    return min(max(milliseconds, 0), int(_LONGEST_WAIT_S * 1000)) / 1000


def _parsed(content: bytes | str) -> WatchedJob | list[WatchedJob]:
    try:
        return _ANSWER.validate_json(content)
    except ValidationError:
        raise RemoteError(_SOMETHING_ELSE) from None


@contextmanager
def _as_remote_errors() -> Iterator[None]:
    try:
        yield
    except SSEError as error:
        raise RemoteError(_SOMETHING_ELSE) from error
    except httpx.TimeoutException as error:
        raise UnreachableError("it does not answer in time") from error
    except httpx.RemoteProtocolError as error:
        raise UnreachableError("the connection was lost") from error
    except httpx.HTTPError as error:
        raise UnreachableError(_reason(error)) from error


def _reason(error: BaseException) -> str:
    """The operating system's message, if there is one: those of libraries say less."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return _os_message(cause)
        first_of_group = next(iter(getattr(cause, "exceptions", ())), None)
        cause = first_of_group or cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__


def _os_message(error: OSError) -> str:
    # asyncio replaces the message of a failed connection with its own, which has the address.
    # Errors of TLS and of name resolution have numbers that strerror() does not know.
    has_errno = type(error) is OSError or isinstance(error, ConnectionError)
    return os.strerror(error.errno) if has_errno and error.errno else str(error.strerror)


async def _check(response: httpx.Response) -> None:
    """Raise unless the request was successful."""
    status = response.status_code
    if response.is_success or status == HTTPStatus.NOT_MODIFIED:
        return
    await response.aread()
    text = f"{status} {response.reason_phrase}{_detail(response)}"
    if status in _PASSING or response.is_server_error:
        raise UnreachableError(text, _retry_after(response))
    raise RemoteError(text)


def _detail(response: httpx.Response) -> str:
    try:
        problem = _Problem.model_validate_json(response.content)
    except ValidationError:
        return ""
    said = problem.detail or problem.title
    return f": {said}" if said else ""


def _retry_after(response: httpx.Response) -> float:
    seconds = response.headers.get("retry-after", "")
    return min(float(seconds), _LONGEST_WAIT_S) if seconds.isdecimal() else 0.0


def _ahead(response: httpx.Response) -> timedelta:
    """How far the server's clock is ahead of ours."""
    try:
        there = parsedate_to_datetime(response.headers.get("date", ""))
        ahead = there - datetime.now(UTC)
    except (TypeError, ValueError, OverflowError):  # no date, or one without a time zone
        return timedelta()
    return ahead if _NO_SKEW < abs(ahead) < _MOST_SKEW else timedelta()
