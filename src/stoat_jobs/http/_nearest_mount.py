"""Finds the mount of the jobs that is nearest to an endpoint, if apps are mounted in apps.

Starlette's ``url_for`` starts at the outermost router and returns the first route with the name.
If two versions of an app are mounted side by side, that may be the other version's route
(starlette#649). Here the endpoint's own app comes first, then the outermost. Of several places in
one app, the one that shares most of its path with the request is used.

The scope does not say where an app is mounted: its ``root_path`` is the path to the innermost
mount. The app is at the longest prefix of it from which its routes lead to the endpoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import takewhile
from typing import Any, NamedTuple
from urllib.parse import quote

from starlette.routing import BaseRoute, Host, Match, Mount, NoMatchFound, replace_params

from ._paths import IN_PATHS


class _Level(NamedTuple):
    """Routes, and the path at which they start."""

    routes: list[BaseRoute]
    root: str


def place_by_name(scope: Mapping[str, Any], name: str, job_id: str) -> str | None:
    """The path of the nearest route with this *name*; None if there is none."""
    for level in _levels(scope):
        known = {**scope.get("path_params", {}), "job_id": job_id}
        paths = list(_paths(level.routes, name, known))
        if paths:
            return _encoded(level.root, _closest(paths, _below(level.root, scope["path"])))
    return None


def place_by_path(scope: Mapping[str, Any], path: str) -> str:
    """*path* in the nearest app that has it, or else in the endpoint's own."""
    levels = list(_levels(scope))
    for level in levels:
        if _lead(level.routes, scope, "GET", level.root + path, level.root):
            return _encoded(level.root, path)
    return _encoded(levels[0].root, path)


def _levels(scope: Mapping[str, Any]) -> Iterator[_Level]:
    """The endpoint's own app, then the outermost."""
    root = scope.get("app_root_path", scope.get("root_path", ""))
    own, outermost = _routes_of(scope.get("app")), _routes_of(scope.get("router"))
    if [*map(id, own)] != [*map(id, outermost)]:
        yield _Level(own, _root_of(own, scope, root))
    yield _Level(outermost, root)


def _routes_of(app: Any) -> list[BaseRoute]:
    """The routes of *app* that are Starlette's."""
    routes = getattr(app, "routes", None)
    listed = routes if isinstance(routes, list) else []
    return [route for route in listed if isinstance(route, BaseRoute)]


def _root_of(routes: list[BaseRoute], scope: Mapping[str, Any], outermost: str) -> str:
    """The path at which the endpoint's app, with these *routes*, is mounted."""
    whole: str = scope.get("root_path", "")
    root = whole
    while not _lead(routes, scope, scope["method"], scope["path"], root):
        if len(root) <= len(outermost):
            return whole
        root = root.rpartition("/")[0]
    return root


def _lead(
    routes: list[BaseRoute], scope: Mapping[str, Any], method: str, path: str, root: str
) -> bool:
    """Whether one of *routes*, which start at *root*, matches *path*."""
    for route in routes:
        request = {"type": "http", "method": method, "path": path, "root_path": root}
        match, _ = route.matches({**request, "headers": scope.get("headers", [])})
        if match is not Match.NONE:
            return True
    return False


def _paths(routes: Iterable[Any], name: str, known: Mapping[str, Any]) -> Iterator[str]:
    """The path of each route with this *name*, filled with the *known* parameters."""
    for route in routes:
        # FastAPI (seen in 0.165) keeps an included router as one special route, whose
        # ``url_path_for`` returns the first match; older versions copy the router's routes.
        parts = getattr(route, "effective_route_contexts", None)
        if parts is not None:
            yield from _paths((_plain(part) for part in parts()), name, known)
        elif isinstance(route, (Mount, Host)) and route.routes:
            yield from _paths_in(route, name, known)
        else:
            given = {each: known[each] for each in known if each in route.param_convertors}
            with suppress(NoMatchFound):
                yield str(route.url_path_for(name, **given))


def _plain(part: Any) -> Any:
    """The Starlette route behind a part of such a router, if there is one."""
    return getattr(part, "starlette_route", None) or part


def _paths_in(mount: Mount | Host, name: str, known: Mapping[str, Any]) -> Iterator[str]:
    wanted = mount.param_convertors.keys() - {"path"}
    own, _, rest = name.partition(":") if mount.name else (mount.name, "", name)
    if own != mount.name or not wanted <= known.keys():
        return  # another name, or a parameter that the request does not have
    prefix = ""
    if isinstance(mount, Mount):
        given = {"path": "", **{each: known[each] for each in wanted}}
        prefix, _ = replace_params(mount.path_format, mount.param_convertors, given)
    for path in _paths(mount.routes, rest, known):
        yield prefix.rstrip("/") + path


def _closest(paths: list[str], here: str) -> str:
    """The one of *paths* that shares the longest start with *here*; of equal ones the shortest."""
    at = here.split("/")

    def nearness(path: str) -> tuple[int, int]:
        parts = path.split("/")
        shared = takewhile(lambda pair: pair[0] == pair[1], zip(parts, at))
        return len([*shared]), -len(parts)

    return max(paths, key=nearness)


def _below(root: str, path: str) -> str:
    """*path* without *root*; some servers have left it out already."""
    return path.removeprefix(root) if path.startswith(f"{root}/") else path


def _encoded(root: str, path: str) -> str:
    return quote(root, IN_PATHS.replace("%", "")) + quote(path, IN_PATHS)
