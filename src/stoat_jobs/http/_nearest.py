"""Which of several places is nearest to an endpoint, where apps are mounted in apps.

Starlette's ``url_for`` begins at the outermost router and takes the first route that has the
name: with two versions of an app side by side, that of the other one (starlette#649). Here
the endpoint's own app comes first, and then the outermost; of several places in an app, the
one that has most of its path in common with the request.

What an app is mounted at is not in the scope, which has only the path to the innermost mount:
``root_path``. The app is at the longest part of it from which its routes lead to the endpoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import takewhile
from typing import Any, NamedTuple
from urllib.parse import quote

from starlette.routing import BaseRoute, Host, Match, Mount, NoMatchFound, replace_params

# What a path may have in it as it is (RFC 3986), an escape that was made before included.
_IN_PATHS = "/%:@!$&'()*+,;=~"


class _Level(NamedTuple):
    """Routes, and the path at which they begin."""

    routes: list[BaseRoute]
    root: str


def place_by_name(scope: Mapping[str, Any], name: str, job_id: str) -> str | None:
    """The path of the nearest route of this *name*; None without one."""
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
    """Its routes, as far as they are Starlette's."""
    routes = getattr(app, "routes", None)
    listed = routes if isinstance(routes, list) else []
    return [route for route in listed if isinstance(route, BaseRoute)]


def _root_of(routes: list[BaseRoute], scope: Mapping[str, Any], outermost: str) -> str:
    """Where the endpoint's app is, whose *routes* these are."""
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
    """Whether *routes*, which begin at *root*, have something at *path*."""
    for route in routes:
        request = {"type": "http", "method": method, "path": path, "root_path": root}
        match, _ = route.matches({**request, "headers": scope.get("headers", [])})
        if match is not Match.NONE:
            return True
    return False


def _paths(routes: Iterable[Any], name: str, known: Mapping[str, Any]) -> Iterator[str]:
    """The path of each route of this *name*, with what is *known* of its parameters."""
    for route in routes:
        # FastAPI (seen in 0.165) keeps an included router as one route of a kind of its own,
        # whose ``url_path_for`` gives the first that it has; older ones copy its routes.
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
    """The route of Starlette that a part of such a router is, if it is one."""
    return getattr(part, "starlette_route", None) or part


def _paths_in(mount: Mount | Host, name: str, known: Mapping[str, Any]) -> Iterator[str]:
    wanted = mount.param_convertors.keys() - {"path"}
    own, _, rest = name.partition(":") if mount.name else (mount.name, "", name)
    if own != mount.name or not wanted <= known.keys():
        return  # also what is below something that the request does not say
    prefix = ""
    if isinstance(mount, Mount):
        given = {"path": "", **{each: known[each] for each in wanted}}
        prefix, _ = replace_params(mount.path_format, mount.param_convertors, given)
    for path in _paths(mount.routes, rest, known):
        yield prefix.rstrip("/") + path


def _closest(paths: list[str], here: str) -> str:
    """Of *paths* the one that goes with *here* the longest; of equal ones the shortest."""
    at = here.split("/")

    def nearness(path: str) -> tuple[int, int]:
        parts = path.split("/")
        shared = takewhile(lambda pair: pair[0] == pair[1], zip(parts, at))
        return len([*shared]), -len(parts)

    return max(paths, key=nearness)


def _below(root: str, path: str) -> str:
    """*path* without *root*, which some servers leave out of it."""
    return path.removeprefix(root) if path.startswith(f"{root}/") else path


def _encoded(root: str, path: str) -> str:
    return quote(root, _IN_PATHS.replace("%", "")) + quote(path, _IN_PATHS)
