"""The registry of job types."""

from __future__ import annotations

import functools
import math
from typing import Any

import pytest

from stoat_jobs import Backoff, JobContext, JobHandlers, UnknownJobTypeError
from stoat_jobs._jobs.handlers import LentHandlers


def scan(ctx: JobContext, root: str) -> str:
    """Walk a tree."""
    return root


async def fetch(ctx: JobContext, url: str) -> str:
    return url


def names(handlers: JobHandlers) -> list[str]:
    return [job_type.name for job_type in handlers]


def test_bare_decorator_takes_the_functions_name() -> None:
    """`@handlers.job` registers a function under its own name, with the defaults."""
    handlers = JobHandlers()
    job_type = handlers.job(scan)
    assert (job_type.name, job_type.timeout, job_type.retries, job_type.cooperative) == (
        "scan",
        None,
        0,
        False,
    )
    assert handlers.get("scan") is job_type


def test_decorator_with_options() -> None:
    """`@handlers.job(...)` takes a name and options; a job type knows whether it is async."""
    handlers = JobHandlers()
    timed = handlers.job(timeout=5, retries=2)(scan)
    named = handlers.job("get", timeout=math.inf, cooperative=True)(fetch)
    assert (timed.name, timed.timeout, timed.retries, timed.is_async) == ("scan", 5.0, 2, False)
    assert (named.name, named.timeout, named.cooperative, named.is_async) == (
        "get",
        math.inf,
        True,
        True,
    )
    assert names(handlers) == ["scan", "get"]


def test_the_name_may_be_given_by_keyword() -> None:
    """`name=` is the same as a name in the first place, alone or with other options."""
    handlers = JobHandlers()
    alone = handlers.job(name="alone")(scan)
    timed = handlers.job(name="timed", timeout=5)(scan)
    assert (alone.name, timed.name, timed.timeout) == ("alone", "timed", 5.0)
    assert names(handlers) == ["alone", "timed"]


@pytest.mark.parametrize("late", [False, True], ids=["job", "register"])
def test_a_name_contains_no_u0000(late: bool) -> None:
    """Not every engine could keep a job of such a type: it is refused at its registration."""
    handlers = JobHandlers()
    with pytest.raises(ValueError, match=r"job type 'a\\x00b' contains U\+0000"):
        handlers.register("a\0b", scan) if late else handlers.job("a\0b")(scan)
    assert names(handlers) == []


def test_register_late() -> None:
    """`register` takes any callable under any name, and one function under two."""
    handlers = JobHandlers()
    handlers.register("scan/1", scan, timeout=1)
    handlers.register("scan/2", functools.partial(scan, root="here"), retries=1)
    assert (handlers.get("scan/1").timeout, handlers.get("scan/2").retries) == (1.0, 1)


def test_a_job_type_can_be_registered_again() -> None:
    """A job type is callable, so it may be registered again under another name."""
    handlers = JobHandlers()
    first = handlers.job(fetch)
    second = handlers.register("second", first)
    assert second.is_async
    assert (second.name, first.name) == ("second", "fetch")
    assert second.form.positional == ["url"]


def test_a_job_type_looks_like_its_function() -> None:
    """Name, module and docstring are the function's, for documentation tools."""
    job_type: Any = JobHandlers().job("other")(scan)
    assert (job_type.__name__, job_type.__module__, job_type.__doc__) == (
        "scan",
        __name__,
        "Walk a tree.",
    )
    assert repr(job_type) == "<JobType 'other'>"


@pytest.mark.parametrize("late", [False, True], ids=["job", "register"])
def test_a_name_is_taken_once__fault_36(late: bool) -> None:
    """Two handlers of one name are refused, saying which name, and the first stays."""
    handlers = JobHandlers()
    first = handlers.job(scan)
    with pytest.raises(ValueError, match="job type 'scan' is registered already"):
        handlers.register("scan", fetch) if late else handlers.job("scan")(fetch)
    assert handlers.get("scan") is first
    assert len(handlers) == 1


@pytest.mark.parametrize("late", [False, True], ids=["job", "register"])
def test_a_name_is_given_to_another_function_on_request(late: bool) -> None:
    """With `replace=True` the last function has the name, in its place, and what ran it before not."""
    handlers = JobHandlers()
    first = handlers.job(scan)
    handlers.job(fetch)
    if late:
        second: Any = handlers.register("scan", fetch, timeout=3, replace=True)
    else:
        second = handlers.job("scan", timeout=3, replace=True)(fetch)
    assert handlers.get("scan") is second is not first
    assert (second.timeout, names(handlers)) == (3.0, ["scan", "fetch"])


def test_a_cell_of_a_notebook_runs_again() -> None:
    """`replace=True` serves the first time too, and the refusal without it names it."""
    handlers = JobHandlers()
    for answer in ("first", "second"):

        @handlers.job(replace=True)
        def cell(ctx: JobContext, answer: str = answer) -> str:
            return answer

    assert handlers.get("cell")(JobContext()) == "second"
    with pytest.raises(
        ValueError, match="or replace=True, as when a cell of a notebook runs again"
    ):
        handlers.register("cell", scan)
    others = JobHandlers()
    others.register("cell", scan)
    with pytest.raises(ValueError, match="give this handler another name$"):
        handlers.include(others)  # which has no such option


def test_what_cannot_serve_replaces_nothing() -> None:
    """A handler that is refused leaves the one that it was to replace."""
    handlers = JobHandlers()
    first = handlers.job(scan)
    with pytest.raises(TypeError):
        handlers.register("scan", lambda: None, replace=True)  # type: ignore[misc, arg-type]
    assert handlers.get("scan") is first


def test_a_lent_name_is_replaced_in_the_queues_own() -> None:
    """What is registered on a queue's view is the queue's own, with `replace=True` too."""
    own, lent = JobHandlers(), JobHandlers()
    lent.job(scan)
    view = LentHandlers(own)
    view.lend(lent)
    second = view.register("scan", fetch, replace=True)
    assert (view.get("scan"), own.get("scan")) == (second, second)
    assert lent.get("scan").function is scan


def test_the_decorator_refuses_what_has_no_name() -> None:
    """A partial has no name of its own, which the refusal says with the remedy."""
    with pytest.raises(TypeError, match="register"):
        JobHandlers().job(functools.partial(scan, root="here"))
    with pytest.raises(TypeError, match="text that is not empty"):
        JobHandlers().job(3)(scan)  # type: ignore[call-overload]


@pytest.mark.parametrize("timeout", [0, -1, -0.0, math.nan, -math.inf])
def test_timeouts_that_are_none_are_refused(timeout: float) -> None:
    """A timeout of 0, less, or NaN is refused by name, and inf is the way to have none."""
    handlers = JobHandlers()
    with pytest.raises(ValueError, match="timeout must be more than 0 seconds.*math.inf"):
        handlers.job(timeout=timeout)(scan)
    assert len(handlers) == 0


async def answers_later(error: Exception) -> bool:
    return True


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"timeout": "5"}, TypeError, "timeout must be a number of seconds, not str"),
        ({"timeout": True}, TypeError, "timeout must be a number of seconds, not bool"),
        ({"retries": -1}, ValueError, "'it': retries must not be negative: -1"),
        ({"retries": 1.5}, TypeError, "'it': retries must be an int, not 1.5"),
        ({"retries": True}, TypeError, "'it': retries must be an int, not True"),
        ({"retires": 1}, TypeError, "no option retires; it has retries"),
        ({"retry_on": int, "retries": 1}, TypeError, "'it': retry_on must be an exception type"),
        ({"retry_on": (), "retries": 1}, TypeError, "'it': retry_on must be"),
        ({"retry_on": BaseException, "retries": 1}, TypeError, "'it': retry_on must be"),
        ({"retry_on": [ValueError], "retries": 1}, TypeError, "'it': retry_on must be"),
        ({"retry_on": "ValueError", "retries": 1}, TypeError, "'it': retry_on must be"),
        ({"retry_on": answers_later, "retries": 1}, TypeError, "'it': retry_on must be.*not async"),
        ({"retry_on": ValueError}, ValueError, "'it': retry_on has no effect without retries"),
        ({"backoff": Backoff()}, ValueError, "'it': backoff has no effect without retries"),
        ({"backoff": 3, "retries": 1}, TypeError, "'it': backoff must be a Backoff"),
        ({"cancel_grace": -1}, ValueError, "cancel_grace must be a finite number"),
        ({"timeout_grace": math.inf}, ValueError, "timeout_grace must be a finite number"),
        ({"cancel_grace": "5"}, TypeError, "cancel_grace must be a number of seconds"),
    ],
    ids=range(18),
)
def test_other_options_are_checked(options: Any, error: type[Exception], text: str) -> None:
    """An option of a wrong type, out of its range or of unknown name is refused by name."""
    handlers = JobHandlers()
    with pytest.raises(error, match=text):
        handlers.register("it", scan, **options)
    assert "it" not in handlers


def test_an_unknown_option_is_refused_before_there_is_a_function() -> None:
    """A slip in ``@handlers.job(...)`` is an error of that line, and registers nothing."""
    handlers = JobHandlers()
    with pytest.raises(TypeError, match="no option timeot; it has timeout"):
        handlers.job(timeot=3)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="no option timeot, retires; it has timeout"):
        handlers.job(scan, timeot=3, retires=1)  # type: ignore[call-overload]
    assert len(handlers) == 0


def test_a_function_and_options_may_be_given_together() -> None:
    """``handlers.job(function, timeout=3)`` registers it, as the decorator with options does."""
    handlers = JobHandlers()
    job_type = handlers.job(scan, timeout=3, retries=1)
    assert handlers.get("scan") is job_type
    assert (job_type.timeout, job_type.retries) == (3.0, 1)
    assert handlers.job(scan, replace=True).timeout is None


def test_get_refuses_unknown_names_with_the_nearest() -> None:
    """An unknown job type is refused with the known ones, the nearest first."""
    handlers = JobHandlers()
    for name in ("archive", "scan", "scans"):
        handlers.register(name, scan)
    with pytest.raises(UnknownJobTypeError) as caught:
        handlers.get("scna")
    assert caught.value.known == ("scan", "scans", "archive")
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("name", [None, 3, ["scan"], {}], ids=repr)
def test_get_refuses_what_is_no_name(name: Any) -> None:
    """What is no text, hashable or not, is an unknown job type and no raw error."""
    handlers = JobHandlers()
    handlers.job(scan)
    with pytest.raises(UnknownJobTypeError):
        handlers.get(name)
    assert handlers.get("scan").name == "scan"


def test_include_takes_everything() -> None:
    """`include` registers all that the other registry has now, and keeps its order."""
    handlers, other = JobHandlers(), JobHandlers()
    handlers.job(scan)
    fetched = other.job(fetch)
    handlers.include(other)
    other.register("later", scan)
    assert names(handlers) == ["scan", "fetch"]
    assert handlers.get("fetch") is fetched


def test_include_with_a_clash_registers_nothing() -> None:
    """When one name of the other registry is taken, none of its names is registered."""
    handlers, other = JobHandlers(), JobHandlers()
    mine = handlers.job(scan)
    other.job(fetch)
    other.register("scan", fetch)
    with pytest.raises(ValueError, match="'scan' is registered already"):
        handlers.include(other)
    assert names(handlers) == ["scan"]
    assert handlers.get("scan") is mine


def test_lent_handlers_are_a_live_view() -> None:
    """A view shows what a queue's own registry and the lent ones have, now and later."""
    own, other = JobHandlers(), JobHandlers()
    mine = own.job(scan)
    other.register("scan", fetch)
    view = LentHandlers(own)
    view.lend(other)
    assert view.get("scan") is mine
    assert "fetch" not in view
    other.job(fetch)
    own.register("late", scan)
    assert set(names(view)) == {"scan", "fetch", "late"}
    assert len(view) == 3
    assert view.get("fetch").name == "fetch"


def test_what_is_registered_on_a_view_is_the_queues_own() -> None:
    """Registering on a view leaves the lent registry as it was."""
    own, other = JobHandlers(), JobHandlers()
    view = LentHandlers(own)
    view.lend(other)
    view.job(scan)
    assert (names(own), names(other)) == (["scan"], [])
    with pytest.raises(ValueError, match="'scan' is registered already"):
        view.register("scan", fetch)


def test_handlers_are_taken_back_in_any_order() -> None:
    """What one app lent goes when it takes it back, and what the others lent stays."""
    own, first, second = JobHandlers(), JobHandlers(), JobHandlers()
    first.job(scan)
    second.job(fetch)
    view = LentHandlers(own)
    view.lend(first)
    view.lend(second)
    assert not view.take_back(first)
    assert names(view) == ["fetch"]
    assert view.take_back(second)
    assert names(view) == []


def test_handlers_lent_twice_are_taken_back_twice() -> None:
    """Two apps may lend one registry; it is served until both have taken it back."""
    view, other = LentHandlers(JobHandlers()), JobHandlers()
    other.job(scan)
    view.lend(other)
    view.lend(other)
    assert not view.take_back(other)
    assert names(view) == ["scan"]
    assert view.take_back(other)


def test_an_unknown_name_on_a_view_lists_all() -> None:
    """The refusal of a view lists the names of all its registries."""
    own, other = JobHandlers(), JobHandlers()
    own.job(scan)
    other.job(fetch)
    view = LentHandlers(own)
    view.lend(other)
    with pytest.raises(UnknownJobTypeError) as caught:
        view.get("x")
    assert caught.value.known == ("fetch", "scan")


def test_container_protocol() -> None:
    """A registry can be asked, counted, walked and printed."""
    handlers = JobHandlers()
    assert (len(handlers), list(handlers), repr(handlers)) == (0, [], "<JobHandlers: empty>")
    job_type = handlers.job(scan)
    assert (len(handlers), list(handlers)) == (1, [job_type])
    assert "scan" in handlers
    assert "fetch" not in handlers
    assert repr(handlers) == "<JobHandlers: scan>"
