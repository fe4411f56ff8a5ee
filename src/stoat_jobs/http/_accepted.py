"""The answer of the user's own endpoint that has started a job."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import NoMatchFound

from stoat_jobs import JobRef

from ._problems import SAFE, SOON


def accepted(request: Any, ref: JobRef[Any] | str, *, jobs: str = "jobs") -> Response:
    """202 for a job that was just submitted: its id, and where to ask how it goes.

    The body is ``{"job_id": ..., "location": ...}``; ``Location`` says the same, and
    ``Retry-After`` when to ask.

    Args:
        request: the request to answer.
        ref: the job, or its id.
        jobs: the name under which the jobs are mounted, as in
            ``app.mount("/jobs", jobs_app(), name="jobs")``, or that was given to
            ``jobs_router``. In a framework whose routes Starlette does not know, their path in
            the app, as in ``"/jobs"``.

    Raises:
        RuntimeError: no mount and no router has this name; says what to do.
    """
    job_id = ref if isinstance(ref, str) else ref.job_id
    location = _location(request, jobs, job_id)
    return JSONResponse(
        {"job_id": job_id, "location": location}, 202, {"location": location, **SOON, **SAFE}
    )


def _location(request: Any, jobs: str, job_id: str) -> str:
    if jobs.startswith("/"):
        scope = request.scope
        root = scope.get("app_root_path", scope.get("root_path", ""))
        return f"{root}{jobs.rstrip('/')}/{job_id}"
    try:
        return str(Request(request.scope).url_for(f"{jobs}:read", job_id=job_id).path)
    except (KeyError, NoMatchFound) as error:
        raise RuntimeError(
            f"no jobs are mounted under the name {jobs!r}: name them, as in"
            f' app.mount("/jobs", jobs_app(), name={jobs!r}), or give their path, as in'
            ' accepted(request, ref, jobs="/jobs")'
        ) from error
