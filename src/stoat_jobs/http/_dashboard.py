"""The dashboard: static files, which get their data from the other routes.

Everything on the page comes from jobs, and so from everyone who may submit jobs. The page inserts
it as text. Its content security policy allows only its own scripts and requests to its own site.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

from starlette.requests import Request
from starlette.responses import Response

from ._problems import ProblemError, ProblemKind
from ._records import tag_of

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_PAGE_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}

_STATIC = resources.files(__package__).joinpath("static")
_PAGE = "dashboard.html"
_TYPES = {"css": "text/css", "js": "text/javascript"}


def page(request: Request) -> Response:
    """The HTML page."""
    return Response(_text(_PAGE), headers=_PAGE_HEADERS, media_type="text/html")


def part(request: Request, name: str) -> Response:
    """A file that the page loads; 304 if the browser has it already.

    Raises:
        ProblemError: there is no such file.
    """
    if name not in _parts():
        raise ProblemError(ProblemKind.NOT_FOUND, "the dashboard has no such part")
    text = _text(name)
    tag = f'"{tag_of(text)}"'
    headers = {"etag": tag, "cache-control": "no-cache", "x-content-type-options": "nosniff"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(text, headers=headers, media_type=_TYPES[name.rpartition(".")[2]])


@cache
def _parts() -> frozenset[str]:
    return frozenset(each.name for each in _STATIC.iterdir()) - {_PAGE}


@cache
def _text(name: str) -> bytes:
    return _STATIC.joinpath(name).read_bytes()
