"""Jobs over HTTP, in any ASGI framework: answer 202 with an id and a URL, and serve the status.

Needs the extra ``http``; ``jobs_router``, ``JobQueueDep`` and ``queue_named`` also need FastAPI.
"""

from typing import TYPE_CHECKING, Any

try:
    import starlette as _starlette  # noqa: F401 - so that the error says what to install
except ModuleNotFoundError as _error:
    raise ImportError('stoat_jobs.http needs Starlette: pip install "stoat-jobs[http]"') from _error

from .._exports import export as _export
from ._accepted import accepted
from ._access import AccessRequest, Authorize, Operation, allow_all
from ._app import jobs_app
from ._limits import HttpLimits
from ._problem_handlers import add_problem_handlers
from ._problems import ProblemDocument
from ._records import JobRecord

if TYPE_CHECKING:
    from ._router import JobQueueDep, jobs_router, queue_named

__all__ = [
    "AccessRequest",
    "Authorize",
    "HttpLimits",
    "JobQueueDep",
    "JobRecord",
    "Operation",
    "ProblemDocument",
    "accepted",
    "add_problem_handlers",
    "allow_all",
    "jobs_app",
    "jobs_router",
    "queue_named",
]

_LAZY = ("JobQueueDep", "jobs_router", "queue_named")
_export(__name__, *(globals()[name] for name in __all__ if name not in _LAZY))


def __getattr__(name: str) -> Any:
    """Import FastAPI only when one of its names is used."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from . import _router
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{name} is for FastAPI, which is not installed: pip install fastapi, or mount"
            " jobs_app(), which only needs Starlette"
        ) from error
    value = getattr(_router, name)
    _export(__name__, value)
    return value
