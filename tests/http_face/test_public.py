"""The public surface of stoat_jobs.http, and what it costs to import."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

import stoat_jobs.http
from stoat_jobs import JobBackend
from stoat_jobs.http import HttpLimits, JobQueueDep, jobs_app, jobs_router
from stoat_jobs.http._problems import ProblemKind
from stoat_jobs.http._routes import PLACES

from ..support.programs import run_python

PUBLIC = [
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


def test_the_names_are_these() -> None:
    """The public names are these; to add or take one is a decision."""
    assert stoat_jobs.http.__all__ == sorted(PUBLIC)
    assert all(hasattr(stoat_jobs.http, name) for name in PUBLIC)
    with pytest.raises(AttributeError, match="'jobs_rooter'"):
        _ = stoat_jobs.http.jobs_rooter


def test_what_is_public_is_documented() -> None:
    """Every public class and function has a docstring of its own."""
    aliases = {"Authorize", "JobQueueDep"}
    ours = [getattr(stoat_jobs.http, name) for name in PUBLIC if name not in aliases]
    assert all(value.__doc__ and value.__module__.startswith("stoat_jobs.") for value in ours)


def test_both_faces_take_the_same() -> None:
    """What the app takes, the router takes too, with the same defaults; it has two more."""
    app, router = (_parameters(face) for face in (jobs_app, jobs_router))
    assert router == {**app, "handlers": None, "name": "jobs"}


def _parameters(function: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    assert {each.kind for each in parameters} == {inspect.Parameter.KEYWORD_ONLY}
    return {each.name: each.default for each in parameters}


def test_the_dependency_is_a_backend_to_type_checkers() -> None:
    """An endpoint's parameter of this annotation is a JobBackend."""
    assert get_args(JobQueueDep)[0] is JobBackend


PAGE = (Path(__file__).parents[2] / "docs/reference/http.md").read_text(encoding="utf-8")


def test_every_public_name_is_in_the_reference() -> None:
    """Whoever looks a public name up finds it."""
    assert set(re.findall(r"^\.\. (?:auto\w+|data):: (\w+)", PAGE, re.MULTILINE)) == set(PUBLIC)


def test_every_route_is_in_the_reference() -> None:
    """The table has each route, and says rightly whether it is open."""
    rows = re.findall(r"^\| `(\w+) ([^`?]+)[^`]*` \| (open|closed)", PAGE, re.MULTILINE)
    places = {(each.method, each.path, "open" if each.is_open else "closed") for each in PLACES}
    assert set(rows) == places


def test_every_problem_is_in_the_reference() -> None:
    """The table has each kind of problem with its status, and no other."""
    named = {
        (int(row[1]), name)
        for row in re.finditer(r"^\| (\d{3}) \| ([^|]+) \|", PAGE, re.MULTILINE)
        for name in re.findall(r"`([\w-]+)`", row[2])
    }
    assert named == {(kind.status, kind.type.rpartition(":")[2]) for kind in ProblemKind}


def test_every_kind_of_problem_is_raised() -> None:
    """No kind is left over, and the title of each reads as its type does."""
    folder = Path(stoat_jobs.http.__path__[0])
    source = "\n".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    raised = re.findall(r"ProblemError\(\s*ProblemKind\.(\w+),", source)
    assert set(raised) == {kind.name for kind in ProblemKind}
    for kind in ProblemKind:
        assert kind.title.lower().replace(" ", "-") == kind.type.rpartition(":")[2]


def python(code: str) -> str:
    return run_python("-c", code).stdout.strip()


def test_fastapi_is_imported_by_those_who_use_it() -> None:
    """The app needs Starlette alone: no FastAPI and no httpx is imported for it."""
    code = "import sys; from stoat_jobs.http import jobs_app; jobs_app(); "
    found = "print(*{'fastapi', 'httpx', 'uvicorn', 'stoat_jobs.testing'} & set(sys.modules))"
    assert python(code + found) == ""


def test_the_router_without_fastapi() -> None:
    """Where FastAPI is missing, the error says so, and what does without it."""
    code = """
import sys
sys.modules["fastapi"] = None
try:
    from stoat_jobs.http import jobs_router
except ImportError as error:
    print(error)
"""
    assert "pip install fastapi" in python(code)
    assert "jobs_app()" in python(code)


def test_the_package_without_starlette() -> None:
    """Where Starlette is missing, the error names the extra that brings it."""
    code = """
import sys
sys.modules["starlette"] = None
try:
    import stoat_jobs.http
except ImportError as error:
    print(error)
"""
    assert 'pip install "stoat-jobs[http]"' in python(code)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_body_bytes", 0),
        ("max_listed", 0),
        ("max_listed", 1_001),
        ("max_open", 0),
        ("max_open_per_client", -1),
        ("wait_timeout", -1),
        ("max_wait_timeout", float("inf")),
        ("heartbeat", 0),
        ("max_stream_age", float("nan")),
        ("misspelt", 1),
    ],
)
def test_a_limit_that_is_none(field: str, value: float) -> None:
    """A limit that limits nothing, or is none of ours, is refused by its name."""
    with pytest.raises(ValidationError, match=field):
        HttpLimits.model_validate({field: value})


def test_the_queue_is_a_backend() -> None:
    """A queue that cannot be waited for or listed is refused when the app is made."""

    class Three:
        async def submit(self) -> None: ...

        async def get_status(self) -> None: ...

        async def get_result(self) -> None: ...

    for queue in (Three(), object(), "asyncio"):
        with pytest.raises(TypeError, match=f"JobBackend, not {type(queue).__name__}"):
            jobs_app(queue=queue)  # type: ignore[arg-type]
