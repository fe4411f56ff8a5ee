"""Promises about observers and logging: they get every event, and cannot hurt a job."""

from __future__ import annotations

import contextvars
import logging
from typing import Any

import pytest

from stoat_jobs import JobContext, JobObserver, JobStatus, current_job_id

from ._contract_stopping import log_of
from ._promises import Promises, needs

TRACE: contextvars.ContextVar[str] = contextvars.ContextVar("TRACE", default="none")

HOOKS = ["submitting", "submitted", "started", "progress", "finished"]


class Recorder(JobObserver):
    """Keeps every event, with the context in which it came."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self.traces: list[tuple[str, str, str | None]] = []

    def _note(self, hook: str, event: Any) -> None:
        self.events.append((hook, event))
        self.traces.append((hook, TRACE.get(), current_job_id.get()))

    def submitting(self, event: Any) -> dict[str, str]:
        self._note("submitting", event)
        return {"trace": TRACE.get(), "user": "overruled"}

    def submitted(self, event: Any) -> None:
        self._note("submitted", event)

    def started(self, event: Any) -> None:
        self._note("started", event)

    def progress(self, event: Any) -> None:
        self._note("progress", event)

    def finished(self, event: Any) -> None:
        self._note("finished", event)

    @property
    def hooks(self) -> list[str]:
        return [hook for hook, _ in self.events]

    def last(self, hook: str) -> Any:
        return [event for name, event in self.events if name == hook][-1]


class Broken(JobObserver):
    """Raises in one hook."""

    def __init__(self, hook: str) -> None:
        self.calls = 0
        setattr(self, hook, self._raise)

    def _raise(self, event: Any) -> None:
        self.calls += 1
        raise SystemExit("an observer's own fault")


class BrokenLogHandler(logging.Handler):
    """Raises with every record."""

    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError("the disk is full")


class Hiccup(logging.Handler):
    """Raises with the first record of an event."""

    def __init__(self, event: str) -> None:
        super().__init__()
        self.event: str | None = event

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() == self.event:
            self.event = None
            raise RuntimeError("the collector is away")


class ObserverPromises(Promises):
    """Observers and the log get each event of a job once and in order, and hurt no job."""

    async def test_each_step_is_told_once_and_in_order(self) -> None:
        """An observer gets an event for a job's submission, start, progress and finish."""
        recorder = Recorder()
        async with self.bench([recorder]) as bench:
            call = await bench.begin("hold", {"n": 1}, metadata={"user": "ada"})
            call.ctx.set_progress(0.5, "half")
            record = await bench.finish(call)
        assert recorder.hooks == HOOKS
        submitting = recorder.last("submitting")
        assert (submitting.job_type, submitting.payload) == ("hold", {"n": 1})
        assert recorder.last("submitted").job_id == call.job_id
        assert recorder.last("started").attempt == 0
        assert (recorder.last("progress").progress, recorder.last("progress").message) == (
            0.5,
            "half",
        )
        assert recorder.last("finished").record == record
        for hook in ("submitted", "started", "progress", "finished"):
            event = recorder.last(hook)
            assert (event.job_id, event.job_type) == (call.job_id, "hold")
        for hook in ("submitted", "started"):
            assert recorder.last(hook).metadata == record.metadata
        assert recorder.last("progress").attempt == 0
        assert recorder.last("finished").duration_s >= 0

    @needs("own_clock")
    async def test_a_duration_is_the_time_that_the_job_ran(self) -> None:
        """``finished`` is told how many seconds of the loop's clock have passed since the start."""
        recorder = Recorder()
        async with self.bench([recorder]) as bench:
            call = await bench.begin()
            await bench.clock.advance(3)
            await bench.finish(call)
        assert round(recorder.last("finished").duration_s, 3) == 3

    async def test_progress_is_told_before_the_report_returns(self) -> None:
        """Observers have got an async handler's progress when ``set_progress`` returns."""
        recorder = Recorder()
        async with self.bench([recorder]) as bench:

            @bench.handlers.job
            async def report(ctx: JobContext) -> bool:
                ctx.set_progress(0.5)
                return "progress" in recorder.hooks

            assert (await bench.run("report")).result is True

    async def test_an_observer_adds_metadata_and_the_submitter_has_the_last_word(self) -> None:
        """``submitting`` can add metadata, but the submitter's own entries win."""
        async with self.bench([Recorder()]) as bench:
            call = await bench.begin(metadata={"user": "ada"})
            assert dict(call.ctx.metadata) == {"trace": "none", "user": "ada"}

    async def test_hooks_run_in_the_submitters_and_the_jobs_own_context(self) -> None:
        """Observers are called in the submitter's context at submission, then in the job's."""
        job_id, traces, ids = await self._traced()
        assert (traces["submitting"], traces["submitted"]) == ("request 1", "request 1")
        assert ids == {
            "submitting": None,
            "submitted": None,
            "started": job_id,
            "finished": job_id,
        }

    @needs("submitter_context")
    async def test_hooks_of_a_job_see_the_submitters_context_variables(self) -> None:
        """A tracer finds the request's context variables at the job's start and finish."""
        _, traces, _ = await self._traced()
        assert (traces["started"], traces["finished"]) == ("request 1", "request 1")

    async def _traced(self) -> tuple[str, dict[str, str], dict[str, str | None]]:
        """The job's id, and for each hook the trace and the current job that it saw."""
        recorder = Recorder()
        async with self.bench([recorder]) as bench:
            token = TRACE.set("request 1")
            call = await bench.begin()
            TRACE.reset(token)
            await bench.finish(call)
        traces = {hook: trace for hook, trace, _ in recorder.traces}
        return call.job_id, traces, {hook: job_id for hook, _, job_id in recorder.traces}

    async def test_started_is_told_for_each_attempt_with_what_went_before(self) -> None:
        """``started`` is called for a retry too, with the error of the attempt before."""
        recorder = Recorder()
        error = ValueError("try again")
        async with self.bench([recorder]) as bench:
            call = await bench.begin("retrying")
            call.fail(error)
            await bench.clock.advance(1)
            await bench.finish(await bench.call(call.job_id))
        starts = [event for hook, event in recorder.events if hook == "started"]
        assert [(start.attempt, start.previous) for start in starts] == [(0, None), (1, error)]
        assert recorder.hooks.count("finished") == 1

    async def test_a_job_that_never_started_is_told_as_finished_only(self) -> None:
        """For a job cancelled while pending, ``finished`` is called but not ``started``."""
        recorder = Recorder()
        async with self.bench([recorder]) as bench:
            await bench.begin()
            job_id = await bench.put()
            await bench.queue.cancel(job_id)
            finished = recorder.last("finished")
            assert (recorder.hooks[-1], recorder.traces[-1][-1]) == ("finished", job_id)
            assert (finished.record.job_id, finished.duration_s) == (job_id, None)
            started = [event.job_id for hook, event in recorder.events if hook == "started"]
            assert job_id not in started

    async def test_the_exception_is_told_with_its_traceback(self) -> None:
        """``finished`` gets the exception that failed the job, with its traceback."""
        recorder = Recorder()
        error = ValueError("no")
        async with self.bench([recorder]) as bench:
            call = await bench.begin()
            call.fail(error)
            await bench.queue.wait(call.job_id)
        assert recorder.last("finished").exception is error
        assert error.__traceback__ is not None

    async def test_a_refused_submission_is_told_to_nobody(self) -> None:
        """For a refused submission neither ``submitted`` nor ``finished`` is called."""
        recorder = Recorder()
        async with self.bench([recorder]) as bench:
            with pytest.raises(LookupError):
                await bench.queue.submit("nobody", {})
            assert recorder.events == []

    @pytest.mark.parametrize("hook", HOOKS)
    async def test_an_observer_that_raises_is_logged_once_and_dropped(
        self, hook: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """An observer that raises is logged once and affects no job and no other observer."""
        broken, recorder = Broken(hook), Recorder()
        async with self.bench([broken, recorder]) as bench:
            for _ in range(2):
                call = await bench.begin()
                call.ctx.set_progress(0.5)
                record = await bench.finish(call)
                assert record.status is JobStatus.COMPLETED
                await bench.clock.settle()  # a server may tell others first
        assert broken.calls == 1
        assert len(log_of(caplog, "observer_dropped")) == 1
        assert recorder.hooks == HOOKS * 2

    async def test_a_log_handler_that_raises_hurts_nothing(self) -> None:
        """A log handler that always raises loses log lines, but affects no job."""
        logger, handler = logging.getLogger("stoat_jobs"), BrokenLogHandler()
        logger.addHandler(handler)
        try:
            async with self.bench() as bench:
                call = await bench.begin()
                call.fail(ValueError())
                assert (await bench.queue.wait(call.job_id)).status is JobStatus.FAILED
                assert (await bench.finish(await bench.begin(), 1)).result == 1
        finally:
            logger.removeHandler(handler)

    @pytest.mark.parametrize("event", ["job_submitted", "job_started", "job_completed"])
    async def test_the_log_goes_on_after_what_raised_in_it__fault_66(
        self, event: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A log handler that raises once loses that line, and no other."""
        caplog.set_level(logging.INFO, "stoat_jobs")
        logger, handler = logging.getLogger("stoat_jobs"), Hiccup(event)
        logger.addHandler(handler)
        try:
            async with self.bench() as bench:
                for _ in range(2):
                    await bench.finish(await bench.begin())
        finally:
            logger.removeHandler(handler)
        lives = ["job_submitted", "job_started", "job_completed"] * 2
        lives.remove(event)
        assert [name for name in caplog.messages if name in (*lives, "observer_dropped")] == lives

    async def test_a_line_of_the_log_names_its_job__fault_66(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A log line has the job's id and type, whichever formatter prints it."""
        caplog.set_level(logging.INFO, "stoat_jobs")
        async with self.bench() as bench:
            record = await bench.finish(await bench.begin())
        told = [each for each in caplog.records if each.getMessage().startswith("job_")]
        lines = [logging.Formatter().format(each) for each in told]
        about = f"job_id={record.job_id} job_type=hold"
        assert len(lines) == 3
        assert [line for line in lines if about not in line] == []

    async def test_what_an_error_says_forges_no_line_of_the_log__fault_71(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """An error's text is escaped in the log line and in the lines of the traceback."""
        async with self.bench() as bench:
            call = await bench.begin()
            call.fail(ValueError("no\nFORGED \x1b[2J\u202e"))
            await bench.queue.wait(call.job_id)
        (failed,) = log_of(caplog, "job_failed")
        assert failed.exc_info is not None
        first, second, *_, last = logging.Formatter().format(failed).split("\n")
        assert first.startswith("job_failed ")
        assert second == "Traceback (most recent call last):"
        assert last == "ValueError: no\\nFORGED \\x1b[2J\\u202e"
        assert first.isprintable()

    async def test_state_comes_before_notice__fault_39(self) -> None:
        """When ``finished`` is called, the record it gets is terminal."""
        recorder = Recorder()
        async with self.bench([recorder]) as bench:
            ends = ["finish", "fail", "cancel"]
            for end in ends:
                call = await bench.begin()
                if end == "cancel":
                    await bench.queue.cancel(call.job_id)
                else:
                    call.fail(ValueError()) if end == "fail" else call.finish()
                await bench.queue.wait(call.job_id)
        told = [event.record.status for hook, event in recorder.events if hook == "finished"]
        assert told == [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED]

    async def test_the_log_tells_the_life_of_a_job(self, caplog: pytest.LogCaptureFixture) -> None:
        """Each terminal status has its log event and level, with the job's data as extras."""
        caplog.set_level(logging.INFO, "stoat_jobs")
        async with self.bench() as bench:
            await bench.finish(await bench.begin())
            (failed := await bench.begin()).fail(ValueError("no"))
            await bench.queue.wait(failed.job_id)
            await bench.begin("deaf", timeout=5)
            await bench.clock.advance(10)
            cancelled = await bench.begin()
            await bench.queue.cancel(cancelled.job_id)
            await bench.clock.settle()

            @bench.handlers.job("forged\nname")
            async def forged(ctx: JobContext) -> None:
                raise ValueError("forged\nerror")

            await bench.run("forged\nname")
        logged = [
            (record.getMessage(), record.levelname)
            for record in caplog.records
            if record.getMessage().startswith("job_") and record.name == "stoat_jobs"
        ]
        ends = [each for each in logged if each[0] not in ("job_submitted", "job_started")]
        assert ends == [
            ("job_completed", "INFO"),
            ("job_failed", "ERROR"),
            ("job_timeout", "WARNING"),
            ("job_abandoned", "WARNING"),
            ("job_cancelled", "INFO"),
            ("job_failed", "ERROR"),
        ]
        assert logged.count(("job_submitted", "INFO")) == 5
        assert logged.count(("job_started", "INFO")) == 5
        first, last = log_of(caplog, "job_failed")
        assert first.exc_info is not None
        assert first.error_type == "ValueError"  # type: ignore[attr-defined]
        assert first.job_id == failed.job_id  # type: ignore[attr-defined]
        assert first.attempt == 0  # type: ignore[attr-defined]
        assert first.duration_s >= 0  # type: ignore[attr-defined]
        assert last.job_type == "forged\\nname"  # type: ignore[attr-defined]
        assert last.error == "forged\\nerror"  # type: ignore[attr-defined]
