"""The public surface: complete, documented, and cheap to import."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Iterator
from contextvars import ContextVar
from operator import attrgetter
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

import stoat_jobs
import stoat_jobs.backends
import stoat_jobs.http
import stoat_jobs.sqlite
import stoat_jobs.testing

from ..support.programs import run_python, unmeasured

PUBLIC = [
    "AsyncJobQueue",
    "AsyncioJobQueue",
    "BackendClashError",
    "BackendError",
    "BackendImportError",
    "BackendNotFoundError",
    "BackendStartError",
    "Backoff",
    "FinishedEvent",
    "HandlerMismatchError",
    "InMemoryJobQueue",
    "InvalidPayloadError",
    "InvalidTransitionError",
    "JobBackend",
    "JobContext",
    "JobFailedError",
    "JobHandlers",
    "JobNotFoundError",
    "JobNotKeptError",
    "JobObserver",
    "JobPage",
    "JobQueueSettings",
    "JobRef",
    "JobResult",
    "JobStatus",
    "JobType",
    "JobsError",
    "KeyConflictError",
    "NoTransactionsError",
    "PayloadNotKeptError",
    "ProgressEvent",
    "QueueClosedError",
    "QueueFullError",
    "QueueNotStartedError",
    "QueueStartedError",
    "QueueStats",
    "RemovedEvent",
    "ResultTooLargeError",
    "StartedEvent",
    "SubmittedEvent",
    "SubmittingEvent",
    "TypeStats",
    "UnknownJobTypeError",
    "available_backends",
    "create_queue",
    "current_job",
    "current_job_id",
    "get_queue",
    "lifespan",
    "with_jobs",
]

# What an app pays for only where it uses it.
HEAVY = [
    *(
        "uvicorn",
        "starlette",
        "fastapi",
        "rich",
        "httpx",
        "httpx_sse",
        "pytest",
        "hypothesis",
        "anyio",
    ),
    *("concurrent.futures.thread", "multiprocessing", "sqlite3", "stoat_jobs.testing"),
    *("stoat_jobs._demo", "stoat_jobs._cli.main", "stoat_jobs.http"),
]

FACES = [stoat_jobs, stoat_jobs.backends, stoat_jobs.sqlite]
NAME_OF = attrgetter("__name__")
BY_FACE = pytest.mark.parametrize("face", FACES, ids=NAME_OF)
ALL_FACES = [*FACES, stoat_jobs.http, stoat_jobs.testing]
BY_EACH_FACE = pytest.mark.parametrize("face", ALL_FACES, ids=NAME_OF)


def test_the_names_are_these() -> None:
    """The public names are those of the design; to add or take one is a decision."""
    assert stoat_jobs.__all__ == sorted(PUBLIC)


@BY_FACE
def test_all_is_complete(face: Any) -> None:
    """Each name in `__all__` exists, once, and nothing else is public."""
    assert len(set(face.__all__)) == len(face.__all__)
    modules = {name for name, value in vars(face).items() if inspect.ismodule(value)}
    # pydantic puts parametrised models, as JobResult[Report], beside their origin.
    names = {name for name in vars(face) if name.isidentifier() and not name.startswith("_")}
    given = names - modules
    assert given - {"annotations"} == set(face.__all__)


@BY_EACH_FACE
def test_what_is_public_says_where_it_is_imported_from(face: Any) -> None:
    """Pickles and error trackers see the module that users import from, never a private one."""
    values = {name: getattr(face, name) for name in face.__all__}
    named = {name: each for name, each in values.items() if _is_named(each)}
    assert len(named) >= len(values) - 2
    said = {name: (each.__module__, each.__qualname__) for name, each in named.items()}
    assert said == {name: (_home(face, name), name) for name in named}
    assert all(pickle.loads(pickle.dumps(each)) is each for each in named.values())


def _is_named(value: Any) -> bool:
    return inspect.isclass(value) or inspect.isfunction(value)


def _home(face: Any, name: str) -> str:
    """The first of the public modules that has this name."""
    return "stoat_jobs" if name in stoat_jobs.__all__ else face.__name__


@BY_EACH_FACE
def test_no_constructor_wants_a_private_type(face: Any) -> None:
    """Whoever makes a public object can import the type of each of its arguments."""
    public = {name for each in ALL_FACES for name in each.__all__}
    classes = [value for name in face.__all__ if inspect.isclass(value := getattr(face, name))]
    wanted = {
        f"{each.__name__}({name}: {kind.__name__})"
        for each in classes
        for name, hint in get_type_hints(each.__init__, localns=vars(stoat_jobs)).items()
        for kind in our_classes(hint)
        if kind.__name__.partition("[")[0] not in public
    }
    assert wanted == set()


def our_classes(hint: Any) -> Iterator[type]:
    """The classes of the package in a type."""
    if inspect.isclass(hint) and hint.__module__.startswith("stoat_jobs"):
        yield hint
    for part in get_args(hint):
        yield from our_classes(part)


@BY_FACE
def test_what_is_public_is_documented(face: Any) -> None:
    """Every public class and function has a docstring, and so has each of its public members."""
    missing = [
        name
        for name in face.__all__
        if not isinstance(value := getattr(face, name), (dict, ContextVar))
        and (not value.__doc__ or value.__doc__.startswith(f"{name}("))
    ]
    missing += [
        f"{name}.{member}"
        for name in face.__all__
        if inspect.isclass(value := getattr(face, name)) and not documents_elsewhere(value)
        for member, function in vars(value).items()
        if not member.startswith("_") and inspect.isroutine(function)
        if not inspect.getdoc(getattr(value, member))
    ]
    assert missing == []


def documents_elsewhere(value: type) -> bool:
    """A class whose methods are those of a protocol, which documents them, or of a tuple."""
    return issubclass(value, (stoat_jobs.AsyncioJobQueue, stoat_jobs.InMemoryJobQueue, tuple)) or (
        value.__name__ in ("JobRun", "RunHost")
    )


def test_protocols_have_the_promised_methods() -> None:
    """An endpoint's queue has three async methods; a backend has these more, and both classes serve."""
    short = members(stoat_jobs.AsyncJobQueue)
    assert short == {"submit", "get_status", "get_result"}
    methods = {"submit_many", "cancel", "watch", "wait", "list_jobs", "cancel_all", "delete"}
    methods |= {"resubmit", "stats", "__aenter__", "__aexit__"}
    attributes = {"app", "capabilities", "handlers", "settings", "started"}
    assert members(stoat_jobs.JobBackend) == short | methods | attributes
    for backend in (stoat_jobs.AsyncioJobQueue(), stoat_jobs.InMemoryJobQueue()):
        assert isinstance(backend, stoat_jobs.AsyncJobQueue)
        assert isinstance(backend, stoat_jobs.JobBackend)


def members(protocol: Any) -> set[str]:
    names: set[str] = set()
    for base in protocol.__mro__:
        if getattr(base, "_is_protocol", False) and base.__name__ != "Protocol":
            names |= {*vars(base), *vars(base).get("__annotations__", {})}
    own = {"__aenter__", "__aexit__"}
    return {name for name in names if not name.startswith("_")} | (own & names)


def test_a_stub_of_three_methods_is_a_queue() -> None:
    """A test may inject any object with the three methods; one that lacks one is none."""

    class Two:
        async def submit(self) -> None: ...

        async def get_status(self) -> None: ...

    class Three(Two):
        async def get_result(self) -> None: ...

    assert isinstance(Three(), stoat_jobs.AsyncJobQueue)
    assert not isinstance(Two(), stoat_jobs.AsyncJobQueue)
    assert not isinstance(Three(), stoat_jobs.JobBackend)


def test_the_backends_have_the_constructor_of_an_entry_point() -> None:
    """The shipped classes are called with handlers, settings and observers, and say so."""
    for backend in (stoat_jobs.AsyncioJobQueue, stoat_jobs.InMemoryJobQueue):
        parameters = inspect.signature(backend).parameters
        assert {name: parameter.default for name, parameter in parameters.items()} == {
            "handlers": None,
            "settings": None,
            "observers": (),
        }


def imported_by(statement: str) -> set[str]:
    """The modules that a fresh interpreter has after *statement*."""
    code = f"import sys; {statement}; print(*sys.modules)"
    folder = str(Path(stoat_jobs.__file__).parents[1])
    code = f"import sys; sys.path.insert(0, {folder!r}); {code}"
    # -S would hide site-packages, in which pydantic is; -I keeps the environment out.
    return set(run_python("-I", "-c", code, env=unmeasured()).stdout.split())


def test_importing_costs_no_more_than_it_must() -> None:
    """Importing stoat_jobs imports no web framework, no test tool and no thread pool."""
    modules = imported_by("import stoat_jobs")
    assert "stoat_jobs" in modules
    assert sorted(modules & set(HEAVY)) == []


@pytest.mark.parametrize(
    ("statement", "is_imported"),
    [
        ("import stoat_jobs", False),
        ("import stoat_jobs; stoat_jobs.AsyncioJobQueue()", False),
        ("import stoat_jobs._cli.main", False),
        ("import stoat_jobs; stoat_jobs.available_backends()", True),
        ("import stoat_jobs; stoat_jobs.create_queue()", True),
    ],
)
def test_entry_points_are_read_only_when_they_are_needed(statement: str, is_imported: bool) -> None:
    """What reads installed distributions is imported by looking a backend up, by nothing else."""
    assert ("importlib_metadata" in imported_by(statement)) is is_imported


def test_one_library_reads_what_is_installed() -> None:
    """The core uses ``importlib_metadata`` only: the standard library's is of each Python another."""
    modules = Path(stoat_jobs.__file__).parent.rglob("*.py")
    assert [str(path) for path in modules if "importlib.metadata" in path.read_text()] == []


def test_the_package_is_typed() -> None:
    """Type checkers are told that the package has types."""
    assert Path(stoat_jobs.__file__).with_name("py.typed").exists()
