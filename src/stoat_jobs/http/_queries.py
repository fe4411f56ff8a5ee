"""Reads and validates the queries of requests, such as which jobs are meant.

A query names items of the metadata as ``metadata.NAME=VALUE``. A value that is a number, a bool or
text in quotes, as JSON has them, is that; any other value is text as it stands.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, Protocol, cast
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic_core import from_json
from starlette.requests import Request

from stoat_jobs import JobStatus
from stoat_jobs.backends import JobFilter

from ._limits import HttpLimits
from ._paths import IN_PATHS, path_of
from ._problems import ProblemError, invalid_request
from ._requests import checked

METADATA = "metadata."
_SEVERAL = ("status", "job_type")


class FilterQuery(BaseModel, frozen=True, extra="forbid"):
    """Which jobs are meant."""

    status: list[JobStatus] = Field(
        default=[], description="Only jobs with this status; repeat it for several."
    )
    job_type: list[str] = Field(
        default=[], description="Only jobs of this type; repeat it for several."
    )
    metadata: dict[str, str | bool | int | float] = Field(
        default={},
        description="Only jobs whose metadata has this item, as in `metadata.user=ada`. A value"
        " that is a number, a bool or text in quotes, as JSON has them, is that; any other value"
        " is text.",
    )

    def filters(self) -> dict[str, Any]:
        """Arguments of ``list_jobs`` and ``cancel_all``; None means any."""
        given = {"status": self.status, "job_type": self.job_type, "metadata": self.metadata}
        return {name: value or None for name, value in given.items()}


class CancelQuery(FilterQuery, frozen=True):
    """Which jobs to cancel."""

    all: bool = Field(default=False, description="`true` for every job, instead of a filter.")


class ListQuery(FilterQuery, frozen=True):
    """Which jobs to list, and which page."""

    before: str
    limit: int


class WaitQuery(Protocol):
    """The query of a long poll."""

    timeout: float


class Queries:
    """Validates queries, within the limits."""

    def __init__(self, limits: HttpLimits) -> None:
        self.ListQuery = _list_query_model(limits)
        self.WaitQuery = _wait_query_model(limits)

    def listing(self, request: Request) -> ListQuery:
        """Which jobs to list."""
        return checked(self.ListQuery, _filters(request), "query")

    def cancelling(self, request: Request) -> CancelQuery:
        """Which jobs to cancel; no filter is an error, because it may be a slip."""
        query = checked(CancelQuery, _filters(request), "query")
        has_filter = any(query.filters().values())
        if query.all is has_filter:
            msg = "name the jobs by status, job_type or metadata, or all of them with all=true"
            raise invalid_request([_error("no_filter", "all", msg)])
        return query

    def waiting(self, request: Request) -> WaitQuery:
        """How long to wait."""
        return cast(WaitQuery, checked(self.WaitQuery, _once(request), "query"))


def narrowed(filters: dict[str, Any], own: JobFilter) -> dict[str, Any] | None:
    """*filters*, but only for jobs that are in *own*; None if there can be none."""
    asked, items = filters["metadata"] or {}, dict(own.metadata or ())
    if any(not _is_same(asked[name], items[name]) for name in asked.keys() & items):
        return None
    return {**filters, "metadata": {**asked, **items} or None}


def _is_same(one: Any, other: Any) -> bool:
    """Whether both are the same in JSON, where 1 is 1.0 and not true."""
    return (type(one) is bool) is (type(other) is bool) and bool(one == other)


def no_such_cursor() -> ProblemError:
    """The ``before`` of a query is no cursor."""
    msg = "no such cursor; use the `Link` of the page before as it is"
    return invalid_request([_error("cursor", "before", msg)])


def link_to_next(request: Request, cursor: str | None) -> str | None:
    """The ``Link`` to the page after this one (RFC 8288), with the same filters."""
    if cursor is None:
        return None
    pairs = [pair for pair in request.query_params.multi_items() if pair[0] != "before"]
    query = urlencode([*pairs, ("before", cursor)])
    path = quote(path_of(request).encode("latin-1"), IN_PATHS)
    return f'<{path}?{query}>; rel="next"'


def _filters(request: Request) -> dict[str, Any]:
    """The query, with lists for what may be repeated, and the items of the metadata in one dict."""
    values: dict[str, Any] = _once(request, _SEVERAL)
    items = {
        name.removeprefix(METADATA): _item(values.pop(name))
        for name in list(values)
        if name.startswith(METADATA)
    }
    several = {name: request.query_params.getlist(name) for name in _SEVERAL if name in values}
    return {**({"metadata": items} if items else {}), **values, **several}


def _item(text: str) -> str | bool | int | float:
    """The value of an item of the metadata: a scalar as JSON has it, or else the text itself."""
    try:
        value = from_json(text, allow_inf_nan=False)
    except ValueError:
        return text
    is_infinite = isinstance(value, float) and not math.isfinite(value)
    return value if isinstance(value, str | int | float) and not is_infinite else text


def _once(request: Request, several: tuple[str, ...] = ()) -> dict[str, Any]:
    """The query; repeated names are refused, because one of the values would be ignored."""
    names = Counter(name for name, _ in request.query_params.multi_items())
    repeated = [name for name, times in names.items() if times > 1 and name not in several]
    if repeated:
        raise invalid_request(
            [_error("repeated", name, "given more than once") for name in repeated]
        )
    return dict(request.query_params)


def _error(kind: str, name: str, msg: str) -> dict[str, Any]:
    return {"type": kind, "loc": ("query", name), "msg": msg}


def _list_query_model(limits: HttpLimits) -> type[ListQuery]:
    return create_model(
        "ListQuery",
        __base__=ListQuery,
        before=(
            str,
            Field(None, description="Where the page begins, from the `Link` of the one before."),
        ),
        limit=(
            int,
            Field(
                min(100, limits.max_listed),
                ge=1,
                le=limits.max_listed,
                description="The most jobs in one page.",
            ),
        ),
    )


def _wait_query_model(limits: HttpLimits) -> type[BaseModel]:
    longest = limits.max_wait_timeout
    seconds = Field(
        min(limits.wait_timeout, longest),
        ge=0,
        le=longest,
        allow_inf_nan=False,
        description="Seconds to wait until the job has finished.",
    )
    return create_model(
        "WaitQuery", __config__=ConfigDict(extra="forbid"), timeout=(float, seconds)
    )
