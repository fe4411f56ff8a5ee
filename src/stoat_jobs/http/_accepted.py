"""The response for the user's own endpoints that submit a job."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from stoat_jobs import JobRef

from ._nearest_mount import place_by_name, place_by_path
from ._problems import SAFE, SOON


def accepted(request: Any, ref: JobRef[Any] | str, *, jobs: str = "jobs") -> Response:
    """A 202 response for a job that was just submitted, with its id and its URL.

    The body is ``{"job_id": ..., "location": ...}``. The header ``Location`` has the same URL,
    and ``Retry-After`` says when to ask.

    Args:
        request: the request to answer.
        ref: the job, or its id.
        jobs: the name of the mount, as in ``app.mount("/jobs", jobs_app(), name="jobs")``, or
            the name that was passed to ``jobs_router``. If the framework's routes are not
            Starlette's: the path of the mount in the app, as in ``"/jobs"``. If several places
            have this name, as in sub-apps, the nearest one is used: first in the endpoint's own
            app, then in the outermost app.

    Raises:
        RuntimeError: no mount and no router has this name; the message says what to do.
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
        f"no jobs are mounted under the name {jobs!r}: name the mount, as in"
        f' app.mount("/jobs", jobs_app(), name={jobs!r}), or pass its path, as in'
        ' accepted(request, ref, jobs="/jobs")'
    )
