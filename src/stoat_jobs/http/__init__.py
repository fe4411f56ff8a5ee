"""Jobs over HTTP: 202, an id, and a URL to ask later, in any ASGI framework.

Needs the extra: ``pip install "stoat-jobs[http]"``.
"""

from ._access import Authorize, Operation, allow_all
from ._app import jobs_app
from ._limits import HttpLimits
from ._problems import ProblemDocument
from ._records import JobRecord

__all__ = [
    "Authorize",
    "HttpLimits",
    "JobRecord",
    "Operation",
    "ProblemDocument",
    "allow_all",
    "jobs_app",
]
