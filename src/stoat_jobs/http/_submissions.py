"""Submits jobs for clients."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from starlette.requests import Request

from stoat_jobs import JobBackend, JobResult, KeyConflictError
from stoat_jobs.backends import JobFilter

from ._access import Access
from ._idempotency import both_given, idempotency_key
from ._problems import ProblemError, ProblemKind
from ._requests import Forms, Submission

Metadata = Callable[[Request], Awaitable[Mapping[str, Any]]]


class Submissions:
    """Accepts the submissions of clients, only of the job types with these *names*."""

    def __init__(
        self, names: Iterable[str], forms: Forms, access: Access, metadata: Metadata | None
    ) -> None:
        self.names = _checked_names(names)
        self._forms = forms
        self._access = access
        self._metadata = metadata

    async def accepted(self, request: Request, queue: JobBackend, own: JobFilter) -> JobResult[Any]:
        """The record of the job that *request* submits; it becomes one of *own*."""
        submission = await self._forms.submission(request)
        if submission.job_type not in self.names:
            raise self._not_submittable()
        options = {
            **_key(request, submission, own),
            "metadata": await self._metadata_of(request, own),
        }
        try:
            job_id = await queue.submit(submission.job_type, submission.payload, **options)
        except KeyConflictError as error:
            await self.checked_holder(request, queue, error.job_id)
            raise
        if options["key"] is None:
            return await queue.get_result(job_id)
        return await self.checked_holder(request, queue, job_id)

    async def checked_holder(
        self, request: Request, queue: JobBackend, job_id: str
    ) -> JobResult[Any]:
        """The record of the job that holds a key: it may be another user's."""
        record = await queue.get_result(job_id)
        if not await self._access.may_read(request, record):
            detail = "a job that you may not read has this key; use another key"
            raise ProblemError(ProblemKind.KEY_IN_USE, detail)
        return record

    async def _metadata_of(self, request: Request, own: JobFilter) -> dict[str, Any] | None:
        """What the application adds; who submits a job owns it, so *own* wins."""
        added = {} if self._metadata is None else await self._metadata(request)
        return {**added, **dict(own.metadata or ())} or None

    def _not_submittable(self) -> ProblemError:
        names = ", ".join(sorted(self.names)) or "none; the application lists them"
        detail = f"jobs of this type cannot be submitted over HTTP; submittable: {names}"
        return ProblemError(ProblemKind.JOB_TYPE_NOT_SUBMITTABLE, detail)


def _key(request: Request, submission: Submission, own: JobFilter) -> dict[str, Any]:
    """The key, and how long it holds; of one in the header a repeated request is told its job."""
    from_header = idempotency_key(request, own)
    if from_header is None:
        return {"key": submission.key}
    if submission.key is not None:
        raise both_given()
    return {"key": from_header, "unique": "kept"}


def _checked_names(names: Iterable[str]) -> frozenset[str]:
    if isinstance(names, str):
        raise TypeError(f"submittable must be a list of names: [{names!r}], not {names!r}")
    listed = frozenset(names)
    if all(isinstance(name, str) for name in listed):
        return listed
    raise TypeError("submittable must contain names, as in submittable=[scan.name]")
