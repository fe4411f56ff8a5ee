"""Paths of requests: as a router wants them, and as their client wrote them.

- ``root_path`` is where the app is for its clients, and ``path`` begins with it. Behind a proxy
  that strips a prefix, some servers have the prefix in ``root_path`` alone (hypercorn, granian);
  the frameworks find their own routes all the same, and mounts add their path to ``root_path``.
- Litestar leaves the path of its mounts out of ``path``, and not out of ``raw_path``.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.types import Scope


def routable(scope: Scope) -> MutableMapping[str, Any]:
    """*scope* as Starlette's router wants it, whichever framework it comes from.

    Some mounts leave no slash where the router has one, and Litestar's add one at the end.
    """
    path, root = scope["path"].rstrip("/"), scope.get("root_path", "").rstrip("/")
    raw = scope.get("raw_path")
    if not _is_below(path, root) and (prefix := _left_out(scope, path, root)):
        path = f"{prefix}{path}"
        raw = raw and quote(prefix).encode() + raw
    # Without an app in it, the router answers by itself what it raises otherwise.
    whole = f"{path}/" if path in ("", root) else path
    return {"app": None, **scope, "path": whole, "raw_path": raw}


def _left_out(scope: Scope, path: str, root: str) -> str:
    """The proxy's prefix, which *path* lacks; empty where it is not one that is left out."""
    for prefix in _prefixes(scope, root):
        if root != prefix and _is_below(path, root[len(prefix) :]):
            return prefix
    return ""


def _prefixes(scope: Scope, root: str) -> Iterator[str]:
    """What may be the proxy's of *root*: Starlette's mounts say so, others leave it to be found."""
    if "app_root_path" in scope:
        yield scope["app_root_path"]  # with its slash at the end, which mounts keep
    elif _raw(scope).rstrip("/") == quote(scope["path"]).rstrip("/"):
        yield from (root[:end] for end, char in enumerate(root) if char == "/" and end)


def path_of(request: Request) -> str:
    """The path of *request* as its client wrote it, encoded."""
    scope = request.scope
    path = _raw(scope)
    root = quote(scope.get("app_root_path", scope.get("root_path", "")))
    return path if _is_below(path, root) else f"{root}{path}"


def _raw(scope: Scope) -> str:
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    return raw.partition(b"?")[0].decode("latin-1")


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(f"{root}/")
