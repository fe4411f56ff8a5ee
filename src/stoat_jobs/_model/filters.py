"""Which jobs are meant: by status, job type and metadata."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

from .._text import describe, shown
from .status import JobStatus, checked_status

_SCALARS = (str, bool, int, float)


class HasFacts(Protocol):
    """What a filter asks of a job; a record has it too."""

    @property
    def status(self) -> JobStatus: ...

    @property
    def job_type(self) -> str: ...

    @property
    def metadata(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class JobFilter:
    """Which jobs are meant; None means any. Make one with :meth:`checked`.

    >>> JobFilter.checked(status="failed", metadata={"user": "ada"}).statuses
    (<JobStatus.FAILED: 'failed'>,)
    """

    statuses: tuple[JobStatus, ...] | None = None
    job_types: frozenset[str] | None = None
    metadata: tuple[tuple[str, str | bool | int | float], ...] | None = None

    @classmethod
    def checked(
        cls,
        *,
        status: JobStatus | str | Iterable[JobStatus | str] | None = None,
        job_type: str | Iterable[str] | None = None,
        metadata: Mapping[str, str | bool | int | float] | None = None,
    ) -> Self:
        """A filter of what a caller gave: one or several statuses and job types.

        Raises:
            TypeError: a job type or a key of *metadata* is not text, or a value of *metadata* is
                not text, a number or a bool.
            ValueError: there is no such status, or a number is not finite.
        """
        return cls(
            None if status is None else _statuses(status),
            None if job_type is None else _job_types(job_type),
            None if metadata is None else tuple(map(_item, _items(metadata))),
        )

    @property
    def is_open(self) -> bool:
        """Whether every job is meant."""
        return self.statuses is None and self.job_types is None and not self.metadata

    def matches(self, job: HasFacts) -> bool:
        """Whether *job* is meant."""
        return (
            (self.statuses is None or job.status in self.statuses)
            and (self.job_types is None or job.job_type in self.job_types)
            and (not self.metadata or self._matches_metadata(job.metadata))
        )

    def _matches_metadata(self, metadata: Mapping[str, Any]) -> bool:
        for name, value in self.metadata or ():  # all() of a generator takes twice as long
            if name not in metadata or not _is_same(metadata[name], value):
                return False
        return True


def _is_same(found: Any, wanted: Any) -> bool:
    """Whether both are the same in JSON, where 1 is 1.0 and not true."""
    return (type(found) is bool) is (type(wanted) is bool) and bool(found == wanted)


def _several(given: Any, what: str) -> list[Any]:
    """One or several as a list."""
    if isinstance(given, str):
        return [given]
    try:
        return list(given)
    except Exception as error:  # not iterable, or the caller's own iterable
        kind = type(given).__name__
        raise TypeError(f"{what} must be text or several texts, not {kind}") from error


def _statuses(given: Any) -> tuple[JobStatus, ...]:
    known = (checked_status(status) for status in _several(given, "status"))
    return tuple(status for status in known if status is not None)


def _job_types(given: Any) -> frozenset[str]:
    return frozenset(map(_job_type, _several(given, "job_type")))


def _job_type(given: Any) -> str:
    if isinstance(given, str):
        return str.__str__(given)
    raise TypeError(f"job_type must be a name or several, not {type(given).__name__}")


def _items(metadata: Any) -> list[tuple[Any, Any]]:
    if not isinstance(metadata, Mapping):
        kind = type(metadata).__name__
        raise TypeError(f"a filter on metadata must map names to values, not be {kind}")
    try:
        return list(dict(metadata).items())
    except Exception as error:  # the caller's own mapping
        raise TypeError(f"a filter on metadata cannot be read: {describe(error)}") from error


def _item(pair: tuple[Any, Any]) -> tuple[str, Any]:
    name, value = pair
    if not isinstance(name, str):
        raise TypeError(f"a filter on metadata needs names that are text, not {shown(name)}")
    if not isinstance(value, _SCALARS):
        kind = type(value).__name__
        raise TypeError(
            f"a filter on metadata compares text, numbers and bools; {shown(name)} is {kind}"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"a filter on metadata needs finite numbers; {shown(name)} is not")
    return str.__str__(name), str.__str__(value) if isinstance(value, str) else value
