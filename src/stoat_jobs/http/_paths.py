"""The path of a request: for Starlette's router, and as the client wrote it.

- ``root_path`` is the path at which clients reach the app, and ``path`` should start with it. But
  behind a proxy that strips a prefix, some servers have the prefix only in ``root_path``
  (hypercorn, granian). Frameworks still find their own routes, and mounts add their path to
  ``root_path``.
- Litestar removes the path of a mount from ``path``, but not from ``raw_path``.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.types import Scope

# Characters that a path may contain unescaped (RFC 3986), and the % of existing escapes.
IN_PATHS = "/%:@!$&'()*+,;=~"


def routable(scope: Scope) -> MutableMapping[str, Any]:
    """A copy of *scope* that works with Starlette's router, whichever framework it comes from.

    Some mounts leave out the slash that the router needs, and Litestar's add one at the end.
    """
    path, root = scope["path"].rstrip("/"), scope.get("root_path", "").rstrip("/")
    raw = scope.get("raw_path")
    if not _is_below(path, root) and (prefix := _left_out(scope, path, root)):
        path = f"{prefix}{path}"
        raw = raw and quote(prefix).encode() + raw
    # If the scope has no app, the router answers 404 itself instead of raising.
    whole = f"{path}/" if path in ("", root) else path
    return {"app": None, **scope, "path": whole, "raw_path": raw}


def _left_out(scope: Scope, path: str, root: str) -> str:
    """The proxy's prefix if it is missing in *path*, otherwise empty."""
    for prefix in _prefixes(scope, root):
        if root != prefix and _is_below(path, root[len(prefix) :]):
            return prefix
    return ""


def _prefixes(scope: Scope, root: str) -> Iterator[str]:
    """The parts of *root* that may be the proxy's prefix; Starlette's mounts say which it is."""
    if "app_root_path" in scope:
        yield scope["app_root_path"]  # unchanged, because mounts keep a slash at its end
    elif _raw(scope).rstrip("/") == quote(scope["path"]).rstrip("/"):
        yield from (root[:end] for end, char in enumerate(root) if char == "/" and end)


def path_of(request: Request) -> str:
    """The path of *request* as the client wrote it, encoded."""
    scope = request.scope
    path = _raw(scope)
    root = quote(scope.get("app_root_path", scope.get("root_path", "")))
    return path if _is_below(path, root) else f"{root}{path}"


def _raw(scope: Scope) -> str:
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    return raw.partition(b"?")[0].decode("latin-1")


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(f"{root}/")
