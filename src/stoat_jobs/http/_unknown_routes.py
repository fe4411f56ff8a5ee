"""Makes the router answer unknown paths and methods with problem documents, as the app does.

For such a request our routes are only a partial match. Starlette's routers use a partial match
only if no other route matches, so routes that the application adds below the same path still work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from ._problems import of_http_exception


def route_class(methods: Sequence[str]) -> type[APIRoute]:
    """A route class for a path that has exactly these *methods*."""

    class JobRoute(APIRoute):
        async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["method"] in (self.methods or ()):
                await super().handle(scope, receive, send)
            else:
                error = HTTPException(405, headers={"allow": ", ".join(methods)})
                await of_http_exception(error)(scope, receive, send)

    return JobRoute


class UnknownPath(APIRoute):
    """Any unknown path below the router's prefix; nothing if the router has no prefix."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """A partial match, but not for a path with a trailing slash, which is redirected."""
        match, child = super().matches(scope)
        rest = child.get("path_params", {}).get("path", "")
        root = scope.get("root_path", "")
        at_root = scope["path"].removeprefix(root).lstrip("/") == rest
        if match is Match.NONE or at_root or rest.endswith("/"):
            return Match.NONE, {}
        return Match.PARTIAL, child

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 404."""
        await of_http_exception(HTTPException(404))(scope, receive, send)


async def unknown_path() -> Any:
    """Never called, because the route itself answers."""
    return Response(status_code=404)
