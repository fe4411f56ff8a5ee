"""Whether a page of another site has a browser change something here.

A browser sends its cookies along with what any site's page has it post. It also says which site
that is: in ``Sec-Fetch-Site`` over HTTPS, in ``Origin`` otherwise, and no page can forge them.
What is no browser sends neither, and has no cookies that were not meant for the request.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.requests import Request

from ._problems import ProblemError


class Origins:
    """The sites whose pages may have a browser change something."""

    def __init__(self, trusted: Iterable[str]) -> None:
        if isinstance(trusted, str):
            raise TypeError(f"trusted_origins takes several: ({trusted!r},), not {trusted!r}")
        self._trusted = frozenset(map(_checked, trusted))

    def check(self, request: Request) -> None:
        """Raise where the page is of another site."""
        origin = request.headers.get("origin")
        if origin not in self._trusted and not _is_own(request, origin):
            raise ProblemError(
                403,
                "Cross-site request",
                "a page of another site may change nothing here; the application lets it with"
                " trusted_origins=, and a proxy has to pass on the Host that the browser asked",
            )


def _is_own(request: Request, origin: str | None) -> bool:
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    return origin is None or origin.partition("://")[2] == request.headers.get("host")


def _checked(origin: str) -> str:
    parts = urlsplit(origin)
    if f"{parts.scheme}://{parts.netloc}" != origin or not (parts.scheme and parts.netloc):
        raise ValueError(f"{origin!r} is no origin: write it as in 'https://app.example.com'")
    return origin
