"""Observers are told, and cannot hurt."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest

from stoat_jobs import (
    AsyncioJobQueue,
    FinishedEvent,
    InMemoryJobQueue,
    JobContext,
    JobHandlers,
    JobObserver,
    JobQueueSettings,
    JobStatus,
    ProgressEvent,
    RemovedEvent,
    StartedEvent,
    SubmittedEvent,
    SubmittingEvent,
    current_job_id,
)
from stoat_jobs._events.log import LoggingObserver
from stoat_jobs._events.observers import HOOKS
from stoat_jobs.backends import Observers

handlers = JobHandlers()


@handlers.job
async def work(ctx: JobContext, n: int = 0) -> dict[str, str]:
    ctx.set_progress(0.5, "half")
    return dict(ctx.metadata)


class Recorder(JobObserver):
    """Notes everything it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def submitting(self, event: SubmittingEvent) -> Mapping[str, str] | None:
        self.told.append(("submitting", event))
        return None

    def submitted(self, event: SubmittedEvent) -> None:
        self.told.append(("submitted", event))

    def started(self, event: StartedEvent) -> None:
        self.told.append(("started", event))

    def progress(self, event: ProgressEvent) -> None:
        self.told.append(("progress", event))

    def finished(self, event: FinishedEvent) -> None:
        self.told.append(("finished", event))

    def removed(self, event: RemovedEvent) -> None:
        self.told.append(("removed", event))

    @property
    def hooks(self) -> list[str]:
        return [hook for hook, _ in self.told]


class Broken(Recorder):
    """Raises in one hook, after noting that it was told."""

    def __init__(self, hook: str, error: BaseException) -> None:
        super().__init__()
        original = getattr(self, hook)

        def raising(event: Any) -> None:
            original(event)
            raise error

        setattr(self, hook, raising)


def dropped(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.message == "observer_dropped"]


async def test_an_observer_is_told_each_step_once() -> None:
    """Every hook is called in order, with one event that says which job it is."""
    seen = Recorder()
    queue = InMemoryJobQueue(handlers, observers=[seen])
    job_id = await queue.submit("work", {"n": 1}, metadata={"user": "me"})
    record = await queue.get_result(job_id)
    await queue.delete(job_id)
    assert seen.hooks == list(HOOKS)
    submitting, submitted, started, progress, finished, removed = (event for _, event in seen.told)
    assert (submitting.job_type, dict(submitting.payload)) == ("work", {"n": 1})
    assert submitted == SubmittedEvent(job_id, "work", {"user": "me"})
    assert started == StartedEvent(job_id, "work", 0, {"user": "me"})
    assert progress == ProgressEvent(job_id, "work", 0, 0.5, "half")
    assert finished.record == record
    assert finished.duration_s >= 0
    assert (finished.exception, finished.abandoned) == (None, False)
    assert removed == RemovedEvent(record, "deleted")
    assert (removed.job_id, removed.job_type) == (job_id, "work")


RAISED = [RuntimeError("broken"), SystemExit(3), GeneratorExit(), StopIteration()]


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("hook", HOOKS)
async def test_an_observer_that_raises_is_dropped(
    hook: str, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once and told nothing more; the job and the other observers go on."""
    broken, after = Broken(hook, error), Recorder()
    queue = InMemoryJobQueue(handlers, observers=[broken, after])
    for _ in range(2):
        job_id = await queue.submit("work")
        assert await queue.get_status(job_id) is JobStatus.COMPLETED
        assert await queue.delete(job_id) is True
    assert broken.hooks == list(HOOKS[: HOOKS.index(hook) + 1])
    assert after.hooks == [*HOOKS, *HOOKS]
    [record] = dropped(caplog)
    assert (record.levelno, vars(record)["observer"], vars(record)["hook"]) == (
        logging.ERROR,
        "Broken",
        hook,
    )
    assert record.exc_info is not None
    assert record.exc_info[1] is error


async def test_an_observer_whose_enabled_raises_is_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Being asked counts as being told: one that raises there is dropped like any other."""

    class Broken(Recorder):
        def enabled(self, hook: str) -> bool:
            raise RuntimeError("broken")

    # The logger is off, so that nobody else wants the events and this one is asked.
    caplog.set_level(logging.CRITICAL, logger="stoat_jobs")
    broken = Broken()
    queue = InMemoryJobQueue(handlers, observers=[broken])
    assert await queue.get_status(await queue.submit("work")) is JobStatus.COMPLETED
    assert broken.told == []


async def test_the_users_interrupt_passes() -> None:
    """Ctrl-C while an observer works is the user's, and is not swallowed."""
    observers = Observers([Broken("submitted", KeyboardInterrupt())])
    with pytest.raises(KeyboardInterrupt):
        observers.tell("submitted", SubmittedEvent("id", "work", {}))


def test_events_that_nobody_wants_are_not_built(caplog: pytest.LogCaptureFixture) -> None:
    """Whether anybody listens can be asked before an event is built, and changes with time."""
    caplog.set_level(logging.WARNING, logger="stoat_jobs")

    class Sometimes(Recorder):
        on = False

        def enabled(self, hook: str) -> bool:
            return self.on

    observer = Sometimes()
    observers = Observers([observer])
    assert not observers.wants["started"]()
    observer.on = True
    assert observers.wants["started"]()
    assert not Observers([]).wants["started"]()
    caplog.set_level(logging.INFO, logger="stoat_jobs")
    assert Observers([]).wants["started"]()


@pytest.mark.parametrize("error", [OSError, SystemExit])
def test_a_log_that_cannot_say_whether_it_is_on_is_asked_again__fault_66(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An app's own class of loggers may raise in there, and neither hurts a job nor ends the log."""
    answers = [error, True]

    def answer() -> bool:
        if (given := answers.pop(0)) is True:
            return True
        raise given  # type: ignore[misc]

    monkeypatch.setattr(LoggingObserver, "is_on", staticmethod(answer))
    observers = Observers()
    assert not observers.wants["started"]()
    assert observers.wants["started"]()


def test_the_users_interrupt_passes_where_the_log_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the log says whether it is on is the user's."""

    def interrupted() -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(LoggingObserver, "is_on", staticmethod(interrupted))
    with pytest.raises(KeyboardInterrupt):
        Observers().wants["started"]()


async def test_observers_are_told_of_each_job_that_the_stop_cancels__fault_66() -> None:
    """Only the log has one line for all: an observer hears of every end."""
    seen = Recorder()
    async with AsyncioJobQueue(handlers, observers=[seen]) as queue:
        ids = {await queue.submit("work") for _ in range(500)}
    ends = [event for hook, event in seen.told if hook == "finished"]
    assert {(event.job_id, event.job_type) for event in ends} == {(each, "work") for each in ids}


def test_hooks_that_are_not_overridden_are_not_wanted(caplog: pytest.LogCaptureFixture) -> None:
    """An observer that overrides one hook costs nothing in the others."""
    caplog.set_level(logging.WARNING, logger="stoat_jobs")

    class OnlyProgress(JobObserver):
        def progress(self, event: ProgressEvent) -> None: ...

    observers = Observers([OnlyProgress()])
    assert [hook for hook in HOOKS if observers.wants[hook]()] == ["progress"]
    assert not any(Observers([JobObserver()]).wants[hook]() for hook in HOOKS)


async def test_any_object_with_some_hooks_serves() -> None:
    """An observer needs no base class and no more than the hooks it has use for."""

    class Duck:
        def __init__(self) -> None:
            self.finishes: list[FinishedEvent] = []

        def finished(self, event: FinishedEvent) -> None:
            self.finishes.append(event)

    duck = Duck()
    await InMemoryJobQueue(handlers, observers=[duck]).submit("work")
    assert [event.record.status for event in duck.finishes] == [JobStatus.COMPLETED]


def test_the_base_class_does_nothing() -> None:
    """Every hook of the base can be called, and adds no metadata."""
    base = JobObserver()
    assert all(base.enabled(hook) for hook in HOOKS)
    assert [getattr(base, hook)(None) for hook in HOOKS] == [None] * len(HOOKS)


class Adds(JobObserver):
    def __init__(self, pairs: Any) -> None:
        self.pairs = pairs

    def submitting(self, event: SubmittingEvent) -> Any:
        return self.pairs


async def test_metadata_of_observers_joins_the_submitters() -> None:
    """What observers add is on the record and seen by the handler; the submitter's wins."""
    first = Adds({"trace": "1", "user": "observer"})
    second = Adds({"trace": "2", "span": "3"})
    queue = InMemoryJobQueue(handlers, observers=[first, second, Adds(None)])
    job_id = await queue.submit("work", {}, metadata={"user": "me"})
    record = await queue.get_result(job_id)
    assert record.metadata == record.result
    assert record.metadata == {"user": "me", "trace": "1", "span": "3"}


WRONG_PAIRS = [{"a": b""}, {1: "a"}, {"a": "x" * 65_536}, {"a": "\ud800"}, "text", 3]


@pytest.mark.parametrize("pairs", WRONG_PAIRS, ids=map(str, range(len(WRONG_PAIRS))))
async def test_wrong_metadata_drops_the_observer(
    pairs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """An observer whose pairs are none, or too many, is dropped; the job keeps the others'."""
    queue = InMemoryJobQueue(handlers, observers=[Adds(pairs), Adds({"span": "3"})])
    job_id = await queue.submit("work", {}, metadata={"user": "me"})
    assert (await queue.get_result(job_id)).metadata == {"user": "me", "span": "3"}
    assert len(dropped(caplog)) == 1


async def test_an_observer_may_add_any_json() -> None:
    """Not only text is added, and the submitter's items still win as a whole."""
    adds = Adds({"trace": {"id": 7, "tags": ["a"]}, "user": {"id": 1}})
    queue = InMemoryJobQueue(handlers, observers=[adds])
    job_id = await queue.submit("work", {}, metadata={"user": {"name": "ada"}})
    expected = {"trace": {"id": 7, "tags": ["a"]}, "user": {"name": "ada"}}
    adds.pairs["trace"]["tags"].append("b")
    assert (await queue.get_result(job_id)).metadata == expected


async def test_what_finds_no_room_beside_the_submitters_is_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Metadata of an observer for which there is no room is left out, and the log names it."""
    settings = JobQueueSettings(max_metadata_bytes=40)
    queue = InMemoryJobQueue(handlers, settings, [Adds({"trace": [1] * 10}), Adds({"a": 1})])
    job_id = await queue.submit("work", {}, metadata={"user": "a" * 15})
    assert (await queue.get_result(job_id)).metadata == {"user": "a" * 15, "a": 1}
    (line,) = [each for each in caplog.records if each.getMessage() == "metadata_left_out"]
    assert line.names == "trace"  # type: ignore[attr-defined]
    assert dropped(caplog) == []


async def test_an_observer_cannot_change_the_payload() -> None:
    """What an observer is shown of a payload is no way to change it."""

    class Meddler(JobObserver):
        def submitting(self, event: SubmittingEvent) -> None:
            event.payload["n"] = 7  # type: ignore[index]

    local = JobHandlers()

    @local.job
    async def echo(ctx: JobContext, n: int) -> int:
        return n

    queue = InMemoryJobQueue(local, observers=[Meddler()])
    assert await (await echo.submit(queue, n=1)).value() == 1


async def test_started_and_finished_run_in_the_jobs_context() -> None:
    """An observer's own log lines carry the job's id, as the handler's do."""

    class Looks(JobObserver):
        def __init__(self) -> None:
            self.ids: list[str | None] = []

        def started(self, event: StartedEvent) -> None:
            self.ids.append(current_job_id.get())

        def finished(self, event: FinishedEvent) -> None:
            self.ids.append(current_job_id.get())

    looks = Looks()
    job_id = await InMemoryJobQueue(handlers, observers=[looks]).submit("work")
    assert looks.ids == [job_id, job_id]


@pytest.mark.parametrize("observers", [5, JobObserver(), [JobObserver], JobObserver])
def test_what_are_no_observers_is_refused(observers: Any) -> None:
    """One observer in the place of several, or a class in the place of an object, is an error."""
    with pytest.raises(TypeError, match="observers must be"):
        Observers(observers)
