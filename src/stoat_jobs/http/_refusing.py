"""What the router answers where it has no such path or method: problem documents, as the app does.

A route of ours that does not fit is a partial match to Starlette's routers, which take it only
where no other route fits. So what the application adds below the same path later is found.
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
    """The routes of a path that has these *methods* in all."""

    class JobRoute(APIRoute):
        async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["method"] in (self.methods or ()):
                await super().handle(scope, receive, send)
            else:
                error = HTTPException(405, headers={"allow": ", ".join(methods)})
                await of_http_exception(error)(scope, receive, send)

    return JobRoute


class Nowhere(APIRoute):
    """Every path below those of the router; none where the router has no path of its own."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """A partial match; none of a path with a slash at the end, which is redirected."""
        match, child = super().matches(scope)
        rest = child.get("path_params", {}).get("path", "")
        root = scope.get("root_path", "")
        at_root = scope["path"].removeprefix(root).lstrip("/") == rest
        if match is Match.NONE or at_root or rest.endswith("/"):
            return Match.NONE, {}
        return Match.PARTIAL, child

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say that there is nothing."""
        await of_http_exception(HTTPException(404))(scope, receive, send)


async def nowhere() -> Any:
    """Never called: a partial match is answered by its route."""
    return Response(status_code=404)
