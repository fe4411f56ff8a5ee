"""Everything that stoat-jobs raises on purpose."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from stoat_jobs import (
    BackendClashError,
    BackendError,
    BackendImportError,
    BackendNotFoundError,
    BackendStartError,
    HandlerMismatchError,
    InvalidPayloadError,
    InvalidTransitionError,
    JobFailedError,
    JobNotFoundError,
    JobNotKeptError,
    JobResult,
    JobsError,
    JobStatus,
    KeyConflictError,
    NoTransactionsError,
    PayloadNotKeptError,
    QueueClosedError,
    QueueFullError,
    QueueNotStartedError,
    QueueStartedError,
    ResultTooLargeError,
    UnknownJobTypeError,
)
from stoat_jobs._model import errors as errors_module

RECORD: JobResult[Any] = JobResult(
    job_id="the-id",
    job_type="scan",
    status=JobStatus.TIMEOUT,
    error="ran longer than its limit of 3 s",
    error_type="Timeout",
    submitted_at=datetime(2024, 1, 1, tzinfo=UTC),
)
DETAILS: list[dict[str, Any]] = [
    {"type": "missing", "loc": ("root",), "msg": "Field required"},
    {"type": "int_type", "loc": ("items", 0, "n"), "msg": "Input should be a valid integer"},
]

# Each error: how it is built, the built-in it is too, its attributes, and what its text must say.
ERRORS: dict[str, tuple[JobsError, type[BaseException], dict[str, Any], list[str]]] = {
    "JobNotFoundError": (
        JobNotFoundError("the-id"),
        KeyError,
        {"job_id": "the-id"},
        ["no job 'the-id'", "dropped", "result_ttl", "max_results", "--workers"],
    ),
    "UnknownJobTypeError": (
        UnknownJobTypeError("scna", ("archive", "scan", "scans")),
        LookupError,
        {"job_type": "scna", "known": ("scan", "scans", "archive")},
        ["unknown job type 'scna'", "nearest first: scan, scans, archive"],
    ),
    "UnknownJobTypeError, none known": (
        UnknownJobTypeError("scan"),
        LookupError,
        {"job_type": "scan", "known": ()},
        ["'scan'", "no handlers at all"],
    ),
    "HandlerMismatchError": (
        HandlerMismatchError("send", "mail.deliver (line 3)", "bills.charge (line 7)"),
        ValueError,
        {
            "job_type": "send",
            "wanted": "mail.deliver (line 3)",
            "served": "bills.charge (line 7)",
        },
        ["'send' is mail.deliver (line 3)", "bills.charge (line 7): submit it to", "another name"],
    ),
    "InvalidPayloadError": (
        InvalidPayloadError("scan", DETAILS),
        ValueError,
        {"job_type": "scan", "errors": DETAILS},
        ["'scan'", "root: Field required; ", "items.0.n: Input should be"],
    ),
    "InvalidPayloadError, no place": (
        InvalidPayloadError("scan", [{"type": "x", "loc": (), "msg": "not a mapping"}]),
        ValueError,
        {"job_type": "scan"},
        ["job type 'scan': not a mapping"],
    ),
    "KeyConflictError": (
        KeyConflictError("order-7", "the-id"),
        ValueError,
        {"key": "order-7", "job_id": "the-id"},
        ["key 'order-7'", "job 'the-id'", "another payload", "use another key"],
    ),
    "PayloadNotKeptError": (
        PayloadNotKeptError("the-id", "scan"),
        ValueError,
        {"job_id": "the-id", "job_type": "scan"},
        ["job 'the-id'", "register 'scan' with keep_payload=True"],
    ),
    "QueueFullError": (
        QueueFullError(3),
        JobsError,
        {"max_pending": 3},
        ["full", "3 jobs wait", "try again later", "max_pending", "concurrency"],
    ),
    "QueueClosedError": (QueueClosedError(), RuntimeError, {}, ["clos", "no more work"]),
    "InvalidTransitionError": (
        InvalidTransitionError("the-id", JobStatus.COMPLETED, JobStatus.RUNNING),
        RuntimeError,
        {"job_id": "the-id", "current": "completed", "wanted": "running"},
        ["the-id", "from completed to running"],
    ),
    "BackendNotFoundError": (
        BackendNotFoundError("postgres", ("asyncio", "memory"), "postgres"),
        LookupError,
        {"name": "postgres", "available": ("asyncio", "memory"), "extra": "postgres"},
        ["'postgres'", "asyncio, memory", 'pip install "stoat-jobs[postgres]"'],
    ),
    "BackendNotFoundError, nothing known": (
        BackendNotFoundError("nats"),
        LookupError,
        {"name": "nats", "available": (), "extra": None},
        ["'nats'", "none"],
    ),
    "ResultTooLargeError": (
        ResultTooLargeError(2_000, 1_000),
        ValueError,
        {"size": 2_000, "limit": 1_000},
        ["2000 bytes", "max_result_bytes (1000)", "return the path of a large result"],
    ),
    "BackendError": (
        BackendError("sqlite", "needs `url` in its settings"),
        RuntimeError,
        {"name": "sqlite", "reason": "needs `url` in its settings"},
        ["backend 'sqlite' needs `url` in its settings"],
    ),
    "BackendClashError": (
        BackendClashError("river", ["a-river", "b-river"]),
        BackendError,
        {"name": "river", "claimants": ("a-river", "b-river")},
        ["backend 'river' is claimed by a-river and b-river; uninstall one of them"],
    ),
    "BackendImportError": (
        BackendImportError("river", "river-jobs", "no driver", ["fast", "wide"]),
        BackendError,
        {
            "name": "river",
            "distribution": "river-jobs",
            "cause": "no driver",
            "extras": ("fast", "wide"),
        },
        [
            "backend 'river' of river-jobs cannot be imported: no driver",
            'try: pip install "river-jobs[fast,wide]"',
        ],
    ),
    "BackendImportError, no extras": (
        BackendImportError("river", "river-jobs", "no driver"),
        BackendError,
        {"extras": ()},
        ["backend 'river' of river-jobs cannot be imported: no driver"],
    ),
    "BackendStartError": (
        BackendStartError("postgres", "no answer"),
        BackendError,
        {"name": "postgres", "cause": "no answer"},
        ["backend 'postgres' cannot start: no answer"],
    ),
    "QueueStartedError": (
        QueueStartedError("asyncio"),
        BackendError,
        {"name": "asyncio"},
        ["backend 'asyncio' is started already", "once", "share it"],
    ),
    "QueueNotStartedError": (
        QueueNotStartedError("sqlite"),
        BackendError,
        {"name": "sqlite"},
        ["backend 'sqlite' accepts no jobs before its start", "lifespan", "`async with queue:`"],
    ),
    "JobNotKeptError": (
        JobNotKeptError("sqlite", "disk full"),
        BackendError,
        {"name": "sqlite", "cause": "disk full"},
        ["backend 'sqlite' cannot keep a job: disk full"],
    ),
    "NoTransactionsError": (
        NoTransactionsError("asyncio"),
        TypeError,
        {"name": "asyncio"},
        ["backend 'asyncio' has no transactions to join", "`connection`", "joins_transactions"],
    ),
    "JobFailedError": (
        JobFailedError(RECORD),
        JobsError,
        {"record": RECORD},
        ["the-id", "scan", "timeout", "ran longer than its limit of 3 s"],
    ),
}
CASES = pytest.mark.parametrize("case", ERRORS)


@CASES
def test_attributes(case: str) -> None:
    """Each error keeps what it was built from as attributes, for a caller to act on."""
    error, _, attributes, _ = ERRORS[case]
    assert {name: getattr(error, name) for name in attributes} == attributes


@CASES
def test_texts_say_what_helps(case: str) -> None:
    """Each text names what is concerned and what to do about it, on one line."""
    error, _, _, says = ERRORS[case]
    assert [part for part in says if part not in str(error)] == []
    assert "\n" not in str(error)


@CASES
def test_texts_are_not_quoted(case: str) -> None:
    """A text reads as it is: a KeyError of ours does not quote it, as a dict's does."""
    error = ERRORS[case][0]
    assert str(error)[0] not in "'\""
    assert f"{error}" == str(error)
    assert type(error).__name__ in repr(error)


@CASES
def test_bases(case: str) -> None:
    """Each is a JobsError, and also the built-in that a caller would guess."""
    error, base, _, _ = ERRORS[case]
    assert isinstance(error, JobsError)
    assert isinstance(error, base)


@CASES
@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
)
def test_errors_survive_copy_and_pickle(case: str, again: Any) -> None:
    """An error comes out of copy, and of another process, with its attributes and its text."""
    error, _, attributes, _ = ERRORS[case]
    got = again(error)
    assert type(got) is type(error)
    assert str(got) == str(error)
    assert {name: getattr(got, name) for name in attributes} == attributes


@pytest.mark.parametrize(
    "error",
    [
        JobNotFoundError("x" * 100_000),
        UnknownJobTypeError("echo" * 100_000, ("echo", *(f"job {n}" for n in range(10_000)))),
        InvalidPayloadError("scan", DETAILS * 10_000),
        HandlerMismatchError("x\n" * 100_000, "y\n" * 100_000, "z\n" * 100_000),
        BackendNotFoundError("x" * 100_000),
        BackendError("x", "because\n" * 100_000),
        BackendClashError("x", ["river"] * 100_000),
        BackendImportError("x", "river", "because\n" * 100_000, ["y"] * 100_000),
    ],
    ids=lambda error: type(error).__name__,
)
def test_texts_are_one_short_line__fault_53(error: JobsError) -> None:
    """However large what they speak of, errors can be logged, and forge no line of the log."""
    assert len(str(error)) <= 4000
    assert str(error).isprintable()


def test_texts_say_how_much_they_leave_out() -> None:
    """Of a long list the beginning is shown, the nearest first, and the number of the others."""
    text = str(UnknownJobTypeError("job 99", [f"job {n:03}" for n in range(100)]))
    assert "nearest first: job 099, " in text
    assert text.endswith(", and 80 more")
    assert str(InvalidPayloadError("scan", DETAILS * 15)).endswith("; and 10 more")


def test_the_errors_of_a_payload_are_its_own() -> None:
    """The list of errors is a copy, so that whoever changes it changes no other's."""
    details = [dict(DETAILS[0])]
    error = InvalidPayloadError("scan", details)
    details[0]["msg"] = "changed"
    assert error.errors == [DETAILS[0]]


def test_a_text_that_no_subclass_wrote() -> None:
    """An error of a backend author's own, without a text of its own, shows its arguments."""

    class OwnError(JobsError):
        pass

    assert str(OwnError("lost", 3)) == "lost, 3"


def test_every_error_is_tested_here() -> None:
    """No error class is left out of the table above."""
    tested = {type(error).__name__ for error, *_ in ERRORS.values()}
    assert tested | {"JobsError"} == set(error_classes())


def error_classes() -> dict[str, type[JobsError]]:
    return {
        name: value
        for name, value in vars(errors_module).items()
        if inspect.isclass(value) and issubclass(value, JobsError)
    }


def test_the_tree_drawn_is_the_tree() -> None:
    """The tree at the top of the module names every class, under its root, with its built-in."""
    drawn = re.findall(
        r"^ (\|   )?\+- (\w+)(?: +also an? (\w+))?$", errors_module.__doc__ or "", re.MULTILINE
    )
    classes = error_classes()
    assert (errors_module.__doc__ or "").count("\nJobsError\n") == 1
    assert [name for _, name, _ in drawn] == [name for name in classes if name != "JobsError"]
    above = ""
    for is_deeper, name, builtin in drawn:
        bases = [above if is_deeper else "JobsError", *filter(None, [builtin])]
        assert [base.__name__ for base in classes[name].__bases__] == bases
        above = above if is_deeper else name
