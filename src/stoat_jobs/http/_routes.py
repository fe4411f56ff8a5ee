"""The table of routes, from which the routes for every framework are made."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple


class Place(NamedTuple):
    """One operation of :class:`Operations`: its method and path, and its answers."""

    operation: str
    method: str
    path: str
    answers: Mapping[int, str]
    problems: tuple[HTTPStatus, ...] = ()
    is_open: bool = False
    """Whether it works without ``authorize``."""
    is_page: bool = False
    """Whether it is part of the dashboard, which is not in the OpenAPI document."""

    @property
    def has_id(self) -> bool:
        """Whether it is about one job."""
        return "{job_id}" in self.path


_REFUSED = (HTTPStatus.FORBIDDEN,)
_ONE_JOB = (*_REFUSED, HTTPStatus.NOT_FOUND)
_HELD = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_UNFIT = (HTTPStatus.UNPROCESSABLE_ENTITY,)

# Fixed paths come before those with an id, which match anything.
PLACES = (
    Place(
        *("list", "GET", "/"),
        {
            200: "The jobs, newest first, without their results.",
            304: "The list has not changed since `If-None-Match`.",
        },
        (*_REFUSED, *_UNFIT),
    ),
    Place(
        *("submit", "POST", "/"),
        {202: "The job was accepted; `Location` is its URL."},
        (
            *_REFUSED,
            HTTPStatus.CONFLICT,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            *_UNFIT,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
    ),
    Place(
        *("cancel_many", "POST", "/cancel"),
        {202: "How many jobs will end `cancelled`."},
        (*_REFUSED, *_UNFIT, HTTPStatus.SERVICE_UNAVAILABLE),
    ),
    Place("stats", "GET", "/stats", {200: "The queue's counts."}, _REFUSED),
    Place(
        *("health", "GET", "/health"),
        {200: "The queue accepts jobs.", 503: "The queue does not accept jobs."},
        is_open=True,
    ),
    Place(
        *("watch_all", "GET", "/events"),
        {200: "All jobs, then their changes."},
        (*_REFUSED, *_HELD),
    ),
    Place(*("dashboard", "GET", "/dashboard"), {200: "A page."}, _REFUSED, is_page=True),
    Place(
        *("dashboard_file", "GET", "/dashboard/{name}"),
        {200: "A file of the page."},
        is_open=True,
        is_page=True,
    ),
    Place(
        *("read", "GET", "/{job_id}"),
        {200: "The current record.", 304: "The record has not changed since `If-None-Match`."},
        _ONE_JOB,
        is_open=True,
    ),
    Place(
        *("wait", "GET", "/{job_id}/wait"),
        {200: "The job has finished.", 202: "The time is up, and the job has not finished."},
        (*_ONE_JOB, *_UNFIT, *_HELD),
        is_open=True,
    ),
    Place(
        *("events", "GET", "/{job_id}/events"),
        {200: "The records as they change.", 204: "`Last-Event-ID` was the last event."},
        (*_ONE_JOB, *_HELD),
        is_open=True,
    ),
    Place(
        *("cancel", "POST", "/{job_id}/cancel"),
        {202: "The job will end `cancelled`."},
        (*_ONE_JOB, HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE),
    ),
    Place(
        *("resubmit", "POST", "/{job_id}/resubmit"),
        {202: "A new job was accepted; `Location` is its URL."},
        (*_ONE_JOB, HTTPStatus.CONFLICT, *_UNFIT, HTTPStatus.SERVICE_UNAVAILABLE),
    ),
    Place(
        *("delete", "DELETE", "/{job_id}"),
        {204: "The record is gone."},
        (*_ONE_JOB, HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE),
    ),
)


def methods_of(path: str) -> list[str]:
    """All methods of *path*."""
    methods = {place.method for place in PLACES if place.path == path}
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)
