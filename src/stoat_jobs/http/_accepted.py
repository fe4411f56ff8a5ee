"""The answer of the user's own endpoint that has started a job."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from stoat_jobs import JobRef

from ._nearest import place_by_name, place_by_path
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
            the app, as in ``"/jobs"``. Where several have it, as in sub-apps, those that are
            nearest to the endpoint are meant: in its own app, then in the outermost.

    Raises:
        RuntimeError: no mount and no router has this name; says what to do.
    """
    job_id = ref if isinstance(ref, str) else ref.job_id
    location = _location(request.scope, jobs, job_id)
    return JSONResponse(
        {"job_id": job_id, "location": location}, 202, {"location": location, **SOON, **SAFE}
    )


def _location(scope: Any, jobs: str, job_id: str) -> str:
    if jobs.startswith("/"):
        return place_by_path(scope, f"{jobs.rstrip('/')}/{job_id}")
    place = place_by_name(scope, f"{jobs}:read", job_id)
    if place is not None:
        return place
    raise RuntimeError(
        f"no jobs are mounted under the name {jobs!r}: name them, as in"
        f' app.mount("/jobs", jobs_app(), name={jobs!r}), or give their path, as in'
        ' accepted(request, ref, jobs="/jobs")'
    )
