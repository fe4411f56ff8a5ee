"""Compares a queue with a model of it, in any order of steps that Hypothesis finds."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from stoat_jobs import (
    JobNotFoundError,
    JobQueueSettings,
    JobResult,
    JobStatus,
    QueueClosedError,
    QueueFullError,
)

from ._bench import Bench, Watching, all_records
from ._clock import FakeClockLoop, wind_down
from ._model import ModelJob, QueueModel
from ._under_test import QueueUnderTest

T = TypeVar("T")

KEYS = ["a", "b"]
TYPES = {"a": "hold", "b": "deaf"}
MIXED = ["hold", "deaf"]

# Steps of time are whole seconds, ages end on halves and time limits shortly after whole
# seconds: what falls on the same instant is of the same kind, and happens in the order of
# submission.
STEPS_OF_TIME = [1.0, 3.0, 11.0, 40.0]
# Delays pass a quarter before a whole second.
DELAYS = [None, None, 0.75, 2.75, 13.75]
LIMITS = {
    "max_pending": 4,
    "max_results": 5,
    "result_ttl": 30.5,
    "drain_timeout": 4.0,
    "cancel_grace": 2.0,
    "loop_block_limit": 0,
}


class JobQueueMachine(QueueUnderTest, RuleBasedStateMachine):
    """Runs a queue and a plain model of it side by side; after each step they must agree.

    A backend's own test file is a subclass with the factory of :class:`JobQueueContract`,
    and its ``TestCase``::

        class MyMachine(JobQueueMachine):
            async def make_queue(self, handlers, settings, observers):
                return MyQueue(handlers, settings, observers)

        TestMyQueue = MyMachine.TestCase
    """

    jobs: Bundle[Any] = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.loop: FakeClockLoop = self.loop_factory()
        self.submitted: int = 0
        self.waits: list[tuple[ModelJob, asyncio.Future[JobResult[Any]]]] = []
        self.watches: list[tuple[ModelJob, Watching]] = []
        self.bench: Bench
        self.model: QueueModel

    def do(self, step: Coroutine[Any, Any, T]) -> T:
        """Run *step* in the queue's event loop, and then everything that is ready."""
        return self.loop.run_until_complete(self._do(step))

    async def _do(self, step: Coroutine[Any, Any, T]) -> T:
        value = await step
        await self.loop.settle()
        return value

    # Steps.

    @initialize(concurrency=st.integers(1, 3))
    def start_queue(self, concurrency: int) -> None:
        settings = JobQueueSettings.model_validate({**LIMITS, "concurrency": concurrency})
        self.do(self._start_queue(settings))
        can = self.bench.capabilities
        slots = concurrency if can.concurrent else 1
        self.model = QueueModel(
            settings,
            slots,
            self.loop.time(),
            durable=can.durable,
            requeues=can.requeues_at_shutdown,
            waits=can.waits_for_delays,
        )

    async def _start_queue(self, settings: JobQueueSettings) -> None:
        self.bench = Bench()
        self.bench.handlers.register("limited", self.bench.hold, concurrency=1)
        await self._fill(self.bench, settings)
        await self.bench.open()

    @rule(
        target=jobs,
        key=st.sampled_from([None, *KEYS]),
        deaf=st.booleans(),
        kept=st.booleans(),
        delay=st.sampled_from(DELAYS),
    )
    def submit(self, key: str | None, deaf: bool, kept: bool, delay: float | None) -> Any:
        # A key is one job type's own; here each key has one type, so that the model is simple.
        job_type = TYPES[key] if key else "deaf" if deaf else "hold"
        options = {"key": key, "unique": "kept" if kept and key else "live", "delay": delay}
        holder = self.model.holder(key)
        if self.model.open and holder is None and not self.model.full:
            return self._accepted(job_type, **options)
        if self.model.open and holder is not None:
            assert self._submit(job_type, **options) == holder.job_id
            holder.kept = holder.kept or options["unique"] == "kept"
        else:
            with pytest.raises(QueueFullError if self.model.open else QueueClosedError):
                self._submit(job_type, **options)
        return multiple()

    @rule(target=jobs, delay=st.sampled_from(DELAYS))
    def submit_limited(self, delay: float | None) -> Any:
        if self.model.open and not self.model.full:
            return self._accepted("limited", delay=delay)
        return multiple()

    def _accepted(self, job_type: str, **options: Any) -> str:
        self.submitted += 1
        # Loops that count in milliseconds are early here, and yet between the same whole seconds.
        timeout = 10 + 0.01203 * (1 + self.submitted % 3)
        due = self.loop.time() + (options.get("delay") or 0.0)
        job_id = self._submit(job_type, timeout=timeout, **options)
        kept = options.get("unique") == "kept"
        deaf, limited, key = job_type == "deaf", job_type == "limited", options.get("key")
        self.model.submit(ModelJob(job_id, deaf, key, timeout, kept, limited, due))
        return job_id

    def _submit(self, job_type: str, **options: Any) -> str:
        return self.do(self.bench.put(job_type, **options))

    @rule(target=jobs, number=st.integers(2, 5))
    def submit_several(self, number: int) -> Any:
        room = self.model.settings.max_pending - len(self.model.in_status(JobStatus.PENDING))
        accepted = min(number, room) if self.model.open else 0
        return multiple(*[self._accepted(MIXED[each % 2]) for each in range(accepted)])

    @precondition(lambda self: self.model.in_status(JobStatus.RUNNING))
    @rule(which=st.integers(0, 2), fraction=st.sampled_from([0.0, 0.25, 1.0]))
    def report(self, which: int, fraction: float) -> None:
        job = self._running(which)
        self.do(self._report(job.job_id, fraction))
        job.progress = fraction

    @rule(job_id=jobs)
    def report_late(self, job_id: str) -> None:
        job = self.model.jobs.get(job_id)
        if self.bench.calls_of(job_id) and (job is None or job.status.is_terminal):
            self.do(self._report(job_id, 0.5))

    async def _report(self, job_id: str, fraction: float) -> None:
        self.bench.calls_of(job_id)[-1].ctx.set_progress(fraction)

    @precondition(lambda self: self.model.in_status(JobStatus.RUNNING))
    @rule(which=st.integers(0, 2), failing=st.booleans())
    def end(self, which: int, failing: bool) -> None:
        job = self._running(which)
        self.do(self._end(job.job_id, failing))
        status = JobStatus.FAILED if failing else JobStatus.COMPLETED
        self.model.end(job, status, "ValueError" if failing else None)

    def _running(self, which: int) -> ModelJob:
        running = self.model.in_status(JobStatus.RUNNING)
        return running[which % len(running)]

    async def _end(self, job_id: str, failing: bool) -> None:
        call = await self.bench.call(job_id)
        call.fail(ValueError()) if failing else call.finish(1)

    @rule(job_id=jobs)
    def cancel(self, job_id: str) -> None:
        job = self.model.jobs.get(job_id)
        out_of_reach = job is not None and job.status is JobStatus.PENDING and not self.model.open
        if job is None or out_of_reach:
            with pytest.raises(QueueClosedError if out_of_reach else JobNotFoundError):
                self.do(self.bench.queue.cancel(job_id))
        else:
            assert self.do(self.bench.queue.cancel(job_id)) == self.model.cancel(job)

    @rule(job_id=jobs)
    def watch(self, job_id: str) -> None:
        job = self.model.jobs.get(job_id)
        if job is not None and (self.model.open or job.status.is_terminal):
            self.do(self._watch(job))

    async def _watch(self, job: ModelJob) -> None:
        self.waits.append((job, asyncio.ensure_future(self.bench.queue.wait(job.job_id))))
        self.watches.append((job, self.bench.watching(job.job_id)))

    @rule(seconds=st.sampled_from(STEPS_OF_TIME))
    def pass_time(self, seconds: float) -> None:
        self.do(self.loop.advance(seconds))
        self.model.pass_time(self.loop.time())

    @precondition(lambda self: self.model.open)
    @rule()
    def close(self) -> None:
        limit = LIMITS["drain_timeout"] + 2 * LIMITS["cancel_grace"] + 1
        begun = self.loop.time()
        self.do(self.bench.close())
        assert self.loop.time() - begun <= limit
        self.model.close()
        self._check_waits_on_pending()
        self._to_a_whole_second()

    def _check_waits_on_pending(self) -> None:
        """Waits and watches of jobs that outlive a durable queue raise that it is closed."""
        for ended in (self.waits, [(job, watch.task) for job, watch in self.watches]):
            for job, task in ended:
                if not job.status.is_terminal:
                    assert isinstance(task.exception(), QueueClosedError)
        self.waits = [(job, wait) for job, wait in self.waits if job.status.is_terminal]
        self.watches = [(job, watch) for job, watch in self.watches if job.status.is_terminal]

    def _to_a_whole_second(self) -> None:
        self.pass_time(1.0 - self.loop.time() % 1.0)

    @precondition(lambda self: not self.model.open)
    @rule()
    def enter_again(self) -> None:
        self.do(self.bench.open())
        self.model.reopen()

    # What must agree.

    @invariant()
    def records_agree(self) -> None:
        try:
            records = self.do(all_records(self.bench.queue))
        except QueueClosedError:  # they are in the store
            assert self.model.durable and not self.model.open
            self._statuses_agree()
            return
        seen = {
            record.job_id: (
                record.status,
                record.error_type,
                record.progress,
                record.cancel_requested,
            )
            for record in records
        }
        assert seen == {job.job_id: job.seen() for job in self.model.jobs.values()}
        assert list(seen) == list(reversed(self.model.jobs))

    def _statuses_agree(self) -> None:
        for job_id, job in self.model.jobs.items():
            assert self.do(self.bench.queue.get_status(job_id)) is job.status

    @invariant()
    def starts_agree(self) -> None:
        assert [call.job_id for call in self.bench.calls] == self.model.starts

    @invariant()
    def counts_agree(self) -> None:
        stats = self.do(self.bench.queue.stats())
        running = len(self.model.in_status(JobStatus.RUNNING))
        assert stats.by_status == {
            status: len(self.model.in_status(status)) for status in JobStatus
        }
        assert (stats.slots_in_use, stats.concurrency) == (running, self.model.slots)
        assert stats.slots_in_use <= stats.concurrency
        assert stats.abandoned == 0

    @invariant()
    def keys_agree(self) -> None:
        for key in KEYS if self.model.open else ():
            if holder := self.model.holder(key):
                assert self._submit(TYPES[key], key=key) == holder.job_id

    @invariant()
    def what_is_gone_is_gone(self) -> None:
        for job_id in self.model.gone:
            with pytest.raises(JobNotFoundError):
                self.do(self.bench.queue.get_status(job_id))

    @invariant()
    def who_waits_is_woken_at_the_end(self) -> None:
        for job, wait in self.waits:
            assert wait.done() == job.status.is_terminal
            assert not wait.done() or wait.result().status is job.status
        for job, watch in self.watches:
            assert watch.over == job.status.is_terminal
            assert watch.seen[-1].status is job.status

    def teardown(self) -> None:
        try:
            if hasattr(self, "model"):
                self.bench.open_gates()
                if self.bench.queue.started:
                    self.do(self.bench.close())
        finally:
            wind_down(self.loop)
        assert self.loop.errors == []
