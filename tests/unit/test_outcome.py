"""What the end of a handler means, in one table: reason to stop x how it ended."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from stoat_jobs import JobStatus
from stoat_jobs.backends import CallResult, Outcome, StopReason, classify, never_started


class OwnBaseError(BaseException):
    pass


def returned(value: Any = "value") -> CallResult:
    return CallResult(value, None, 5.0)


def raised(error: BaseException) -> CallResult:
    return CallResult(None, error, 5.0)


STOPPED = {
    StopReason.DEADLINE: (JobStatus.TIMEOUT, "Timeout", "ran longer than its limit of 3 s"),
    StopReason.CANCEL: (JobStatus.CANCELLED, "Cancelled", "cancelled on request"),
    StopReason.SHUTDOWN: (JobStatus.CANCELLED, "Shutdown", "stopped by the queue's shutdown"),
}
REASONS = pytest.mark.parametrize("reason", StopReason)

OWN_ENDS = [
    ValueError("wrong"),
    TimeoutError("the handler's own"),
    TimeoutError(),
    StopIteration(3),
    StopAsyncIteration(),
    SystemExit(2),
    GeneratorExit(),
    KeyboardInterrupt(),
    OwnBaseError("own"),
]


def test_a_value_completes() -> None:
    """A handler that was not told to stop and returns has completed its job."""
    assert classify(None, returned(), 3) == Outcome(JobStatus.COMPLETED, "value")
    assert classify(None, returned(None), 3) == Outcome(JobStatus.COMPLETED, None)


@pytest.mark.parametrize("error", OWN_ENDS, ids=map(str, range(len(OWN_ENDS))))
def test_an_error_of_its_own_fails(error: BaseException) -> None:
    """Whatever a handler raises by itself fails its job, its own TimeoutError too."""
    outcome = classify(None, raised(error), 3)
    assert outcome.status is JobStatus.FAILED
    assert outcome.error_type == type(error).__name__
    assert outcome.error
    assert outcome.exception is error
    assert outcome.result is None


@pytest.mark.parametrize(
    "error",
    [
        asyncio.CancelledError(),
        asyncio.CancelledError("a child was cancelled"),
        BaseExceptionGroup("group", [asyncio.CancelledError()]),
    ],
    ids=["plain", "text", "group"],
)
def test_a_cancel_that_nobody_asked_for_fails(error: BaseException) -> None:
    """A CancelledError without a request is a failure, and its text says whose it was not."""
    outcome = classify(None, raised(error), 3)
    assert outcome.status is JobStatus.FAILED
    assert outcome.error_type == type(error).__name__
    assert "cancel" in str(outcome.error)
    assert outcome.exception is error


@REASONS
def test_obeying_a_stop(reason: StopReason) -> None:
    """A handler that lets the cancel pass ends as it was told, and leaves no error to log."""
    status, error_type, text = STOPPED[reason]
    outcome = classify(reason, raised(asyncio.CancelledError()), 3)
    assert outcome == Outcome(status, None, text, error_type)


@REASONS
def test_obeying_a_stop_with_a_group(reason: StopReason) -> None:
    """A task group that was cancelled raises a group of cancels, which is obeying too."""
    cancel = asyncio.CancelledError()
    group = BaseExceptionGroup("g", [cancel, BaseExceptionGroup("h", [cancel])])
    assert classify(reason, raised(group), 3).exception is None


@REASONS
@pytest.mark.parametrize("error", OWN_ENDS[:3], ids=["ValueError", "TimeoutError", "asyncio"])
def test_an_error_after_a_stop_changes_nothing(reason: StopReason, error: BaseException) -> None:
    """What goes wrong while stopping is for the log: the job ends as it was told to."""
    status, error_type, text = STOPPED[reason]
    assert classify(reason, raised(error), 3) == Outcome(status, None, text, error_type, error)


def test_a_value_after_a_stop() -> None:
    """After a cancel or the shutdown a value is partial work; after the deadline it is dropped."""
    kept = {reason: classify(reason, returned(), 3).result for reason in StopReason}
    assert kept == {
        StopReason.DEADLINE: None,
        StopReason.CANCEL: "value",
        StopReason.SHUTDOWN: "value",
    }


@REASONS
def test_a_handler_left_behind(reason: StopReason) -> None:
    """A job settled without its handler says so, and ends as it was told to."""
    outcome = classify(reason, returned(None), 3, abandoned=True)
    assert outcome.abandoned
    assert outcome.status is STOPPED[reason][0]


@REASONS
@pytest.mark.parametrize(
    "result",
    [returned(), returned(None), raised(ValueError("wrong")), raised(asyncio.CancelledError())],
    ids=["value", "nothing", "error", "cancelled"],
)
@pytest.mark.parametrize("abandoned", [False, True])
def test_an_outcome_that_is_overruled(
    reason: StopReason, result: CallResult, abandoned: bool
) -> None:
    """It is what it would have been, had the job been told to stop before its handler ended."""
    outcome = replace(classify(None, result, 3), abandoned=abandoned)
    assert outcome.overruled(reason, 3) == classify(reason, result, 3, abandoned=abandoned)


def test_a_refused_result_is_no_error_of_an_overruled_outcome() -> None:
    """Its handler did return: there is no partial work to keep, and nothing for the log."""
    refused = Outcome(JobStatus.FAILED, None, "no JSON", "TypeError", TypeError(), refused=True)
    assert refused.overruled(StopReason.CANCEL, 3) == classify(StopReason.CANCEL, returned(None), 3)


def test_partial_work_survives_a_second_reason() -> None:
    """A cancel that overrules the shutdown keeps what the shutdown kept."""
    outcome = classify(StopReason.SHUTDOWN, returned(), 3).overruled(StopReason.CANCEL, 3)
    assert outcome == classify(StopReason.CANCEL, returned(), 3)


def test_only_a_failure_by_itself_would_be_retried() -> None:
    """The outcome has it from the last call, and a job that was told to stop never."""
    result = CallResult(None, ValueError(), 5.0, would_retry=True)
    assert classify(None, result, 3).would_retry
    assert not classify(None, raised(ValueError()), 3).would_retry
    assert not any(classify(reason, result, 3).would_retry for reason in StopReason)
    assert not classify(None, result, 3).overruled(StopReason.CANCEL, 3).would_retry


@pytest.mark.parametrize(
    ("refused", "reported", "shown"),
    [(True, 1.0, None), (True, 0.9, 0.9), (True, None, None), (False, 1.0, 1.0)],
)
def test_a_refused_result_is_not_done(
    refused: bool, reported: float | None, shown: float | None
) -> None:
    """The record of a job whose result was refused does not say that all of it is done."""
    assert Outcome(JobStatus.FAILED, refused=refused).last_progress(reported) == shown


@REASONS
def test_never_started(reason: StopReason) -> None:
    """A job that waited when it was told to stop says that it never started."""
    status, error_type, text = STOPPED[reason]
    outcome = never_started(reason)
    assert (outcome.status, outcome.error_type, outcome.result) == (status, error_type, None)
    assert str(outcome.error).endswith("before it started")


@pytest.mark.parametrize(
    ("limit", "text"), [(300.0, "300 s"), (0.5, "0.5 s"), (1800, "1800 s"), (1e6, "1e+06 s")]
)
def test_the_limit_is_readable(limit: float, text: str) -> None:
    """A timeout says the limit that the job had, as one would write it."""
    assert str(classify(StopReason.DEADLINE, returned(), limit).error).endswith(text)


def test_what_a_cancellation_is() -> None:
    """Only a CancelledError, or a group of nothing else, is a cancellation."""
    cancel = asyncio.CancelledError()
    mixed = BaseExceptionGroup("mixed", [cancel, ValueError()])
    assert raised(cancel).cancelled
    assert raised(BaseExceptionGroup("all", [cancel, cancel])).cancelled
    assert not raised(mixed).cancelled
    assert not raised(ValueError()).cancelled
    assert not returned().cancelled
