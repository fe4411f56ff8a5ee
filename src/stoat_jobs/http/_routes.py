"""Where each operation is; every framework's routes are made of this table."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple


class Place(NamedTuple):
    """One operation of :class:`Operations`: how it is reached, and what it answers."""

    operation: str
    method: str
    path: str
    answers: Mapping[int, str]
    problems: tuple[HTTPStatus, ...] = ()
    is_open: bool = False
    """It answers also where there is no ``authorize``."""
    is_page: bool = False
    """It is for people, and in no OpenAPI document."""

    @property
    def has_id(self) -> bool:
        """It is about one job."""
        return "{job_id}" in self.path


_REFUSED = (HTTPStatus.FORBIDDEN,)
_ONE_JOB = (*_REFUSED, HTTPStatus.NOT_FOUND)
_HELD = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_UNFIT = (HTTPStatus.UNPROCESSABLE_ENTITY,)

# What has a place of its own stands before what takes any id.
PLACES = (
    Place(
        *("list", "GET", "/"),
        {
            200: "The newest jobs first, without their results.",
            304: "They are as `If-None-Match` has them.",
        },
        (*_REFUSED, *_UNFIT),
    ),
    Place(
        *("submit", "POST", "/"),
        {202: "The job was accepted; `Location` says where it is."},
        (
            *_REFUSED,
            HTTPStatus.CONFLICT,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            *_UNFIT,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
    ),
    Place("stats", "GET", "/stats", {200: "The queue's counts."}, _REFUSED),
    Place(
        *("health", "GET", "/health"),
        {200: "Jobs are taken.", 503: "No jobs are taken."},
        is_open=True,
    ),
    Place(
        *("watch_all", "GET", "/events"),
        {200: "The jobs, then those that change."},
        (*_REFUSED, *_HELD),
    ),
    Place(*("dashboard", "GET", "/dashboard"), {200: "A page."}, _REFUSED, is_page=True),
    Place(
        *("dashboard_file", "GET", "/dashboard/{name}"),
        {200: "A part of the page."},
        is_open=True,
        is_page=True,
    ),
    Place(
        *("read", "GET", "/{job_id}"),
        {200: "The record as it is now.", 304: "It is as `If-None-Match` has it."},
        _ONE_JOB,
        is_open=True,
    ),
    Place(
        *("wait", "GET", "/{job_id}/wait"),
        {200: "The job has ended.", 202: "The time is up, and the job goes on."},
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
)


def methods_of(path: str) -> list[str]:
    """All methods that *path* has."""
    methods = {place.method for place in PLACES if place.path == path}
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)
