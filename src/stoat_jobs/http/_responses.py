"""Responses of JSON, and their headers."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from ._problems import SOON
from ._records import ShownRecord, tag_of


def json_response(body: bytes, status: int = 200) -> Response:
    """JSON that changes all the time."""
    headers = {"cache-control": "no-store"}
    return Response(body, status, headers, media_type="application/json")


def list_response(request: Request, body: bytes, link: str | None) -> Response:
    """A page of a list with the *link* to the next one; 304 if the client has both."""
    tag = tag_of(body + (link or "").encode())
    headers = _tagged(tag) if link is None else {**_tagged(tag), "link": link}
    if _has_seen(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


def read_response(request: Request, shown: ShownRecord) -> Response:
    """A record; 304 if the client has it."""
    if _has_seen(request, shown.tag):
        return Response(status_code=304, headers=_headers(shown))
    return record_response(shown, 200)


def record_response(
    shown: ShownRecord, status: int, headers: Mapping[str, str] | None = None
) -> Response:
    """A record."""
    return Response(shown.body, status, {**_headers(shown), **(headers or {})}, "application/json")


def _headers(shown: ShownRecord) -> dict[str, str]:
    later = {} if shown.is_terminal else SOON
    return {**_tagged(shown.tag), **later}


def _tagged(tag: str) -> dict[str, str]:
    return {"etag": f'"{tag}"', "cache-control": "private, no-cache"}


def _has_seen(request: Request, tag: str) -> bool:
    tags = request.headers.get("if-none-match", "").split(",")
    return any(each.strip().removeprefix("W/") in ("*", f'"{tag}"') for each in tags)
