"""Refuses changes that a page of another site makes through a user's browser (CSRF).

If a page of any site makes a browser send a POST request, the browser includes the user's cookies.
It also sends the page's site: in ``Sec-Fetch-Site`` over HTTPS, in ``Origin`` otherwise. No page
can forge these headers. Other clients send neither header, and only cookies that they mean to send.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.requests import Request

from ._problems import ProblemError, ProblemKind


class Origins:
    """The sites whose pages may make changes through a browser."""

    def __init__(self, trusted: Iterable[str]) -> None:
        if isinstance(trusted, str):
            raise TypeError(f"trusted_origins must be a list: [{trusted!r}], not {trusted!r}")
        self._trusted = frozenset(map(_checked, trusted))

    def check(self, request: Request) -> None:
        """Refuse *request* if it comes from a page of another site."""
        origin = request.headers.get("origin")
        if origin not in self._trusted and not _is_own(request, origin):
            raise ProblemError(
                ProblemKind.CROSS_SITE_REQUEST,
                "pages of other sites may not change anything here; the application can allow them"
                " with trusted_origins=, and a proxy must pass on the browser's Host header",
            )


def _is_own(request: Request, origin: str | None) -> bool:
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    return origin is None or origin.partition("://")[2] == request.headers.get("host")


def _checked(origin: str) -> str:
    parts = urlsplit(origin)
    if f"{parts.scheme}://{parts.netloc}" != origin or not (parts.scheme and parts.netloc):
        raise ValueError(f"{origin!r} is not an origin, like 'https://app.example.com'")
    return origin
