"""Finds backends by name: installed entry points, and the backends of this package."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from .._jobs.handlers import JobHandlers
from .._jobs.protocols import JobBackend
from .._model.errors import BackendClashError, BackendImportError, BackendNotFoundError
from .._model.settings import JobQueueSettings, required

if TYPE_CHECKING:
    from importlib_metadata import EntryPoint

GROUP = "stoat_jobs.backends"

# For when the package has no metadata: vendored, frozen, in a zip file.
_OURS = {
    "asyncio": ":AsyncioJobQueue",
    "memory": ":InMemoryJobQueue",
    "postgres": ".postgres:PostgresJobQueue",
    "sqlite": ".sqlite:SqliteJobQueue",
}


def available_backends() -> tuple[EntryPoint, ...]:
    """The installed backends, sorted by name; none of them is imported.

    ``.name`` is the name for settings, ``.dist`` is the distribution, and ``.load()`` imports
    the backend. A name that two distributions claim is listed twice. The shipped backends are
    listed even if the package has no metadata.

    >>> [backend.name for backend in available_backends()]
    ['asyncio', 'memory', 'postgres', 'sqlite']
    """
    from importlib_metadata import EntryPoint, entry_points

    # A distribution that is on sys.path twice has its entry points listed twice.
    found = {(ep.name, ep.value, _distribution(ep)): ep for ep in entry_points(group=GROUP)}
    values = {value for _, value, _ in found}
    for name, value in _ours():
        if value not in values:
            ours = EntryPoint(name, value, GROUP)
            found[name, value, _distribution(ours)] = ours
    return tuple(found[key] for key in sorted(found))


def _ours() -> list[tuple[str, str]]:
    """The backends of this package, which are available even without metadata."""
    package = __name__.removesuffix("._app.entry_points")
    return [(name, f"{package}{value}") for name, value in _OURS.items()]


def create_queue(
    handlers: JobHandlers | None = None,
    settings: JobQueueSettings | None = None,
    observers: Iterable[Any] = (),
) -> JobBackend:
    """Create a queue of the backend that *settings* name, without starting it.

    Raises:
        BackendNotFoundError: no installed backend has this name; lists those that exist.
        BackendImportError: the backend cannot be imported.
        BackendClashError: several distributions claim its name.
        ValueError: the backend refuses its ``options``.
    """
    settings = required(JobQueueSettings, settings, "settings")
    factory = _load(_find(settings.backend))
    return cast(JobBackend, factory(handlers, settings, observers))


def _find(name: str) -> EntryPoint:
    installed = available_backends()
    claims = [ep for ep in installed if ep.name == name]
    if not claims:
        names = list(dict.fromkeys(ep.name for ep in installed))
        raise BackendNotFoundError(name, names, _extra(name))
    if len(claims) > 1:
        raise BackendClashError(name, [f"{_distribution(ep)} ({ep.value})" for ep in claims])
    return claims[0]


def _load(entry_point: EntryPoint) -> Any:
    try:
        return entry_point.load()
    except Exception as error:
        distribution, extras = _distribution(entry_point), entry_point.extras
        if not extras and (extra := _extra_of(entry_point)):
            extras = [extra]
        raise BackendImportError(entry_point.name, distribution, str(error), extras) from error


def _distribution(entry_point: EntryPoint) -> str:
    if entry_point.dist is not None:
        return entry_point.dist.name
    is_ours = (entry_point.name, entry_point.value) in _ours()
    return "stoat-jobs" if is_ours else "an unnamed distribution"


def _extra_of(entry_point: EntryPoint) -> str | None:
    """The extra of stoat-jobs without which this backend of its own cannot be imported."""
    is_ours = (entry_point.name, entry_point.value) in _ours()
    return _extra(entry_point.name) if is_ours else None


def _extra(name: str) -> str | None:
    """The extra of stoat-jobs that provides a backend of this name, if there is one."""
    from importlib_metadata import PackageNotFoundError, metadata

    try:
        extras = metadata("stoat-jobs").get_all("Provides-Extra") or []
    except PackageNotFoundError:
        return None
    return name if name in extras else None
