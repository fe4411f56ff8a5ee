"""Promises about the options of a job type: which failures are retried, when, and the graces."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Any

import pytest

from stoat_jobs import Backoff, JobContext, JobStatus

from ._bench import Bench
from ._contract_stopping import assert_stopped
from ._promises import Promises, needs


class NoAnswerError(Exception):
    """What the retry_on of a test raises."""


async def starts_of(bench: Bench, error: BaseException, **options: Any) -> list[float]:
    """When each attempt of a job began, after the first, that always fails with *error*."""
    starts: list[float] = []

    async def failing(ctx: JobContext) -> None:
        starts.append(bench.clock.time())
        raise error

    bench.handlers.register("failing", failing, **options)
    job_id = await bench.put("failing")
    record = await bench.clock.drive(bench.queue.wait(job_id))
    assert (record.status, record.attempt) == (JobStatus.FAILED, len(starts) - 1)
    assert record.error_type == type(error).__name__
    return [round(start - starts[0], 3) for start in starts]


class RetryPromises(Promises):
    """What a job type says about its retries and graces goes before what the queue says."""

    @pytest.mark.parametrize(
        ("retry_on", "error", "attempts"),
        [
            (ConnectionError, ConnectionResetError("gone"), 3),
            (ConnectionError, ValueError("wrong"), 1),
            ((ConnectionError, KeyError), KeyError("k"), 3),
            ((ConnectionError, KeyError), ValueError("wrong"), 1),
            (ConnectionError, ExceptionGroup("all", [ConnectionError()]), 1),
            (ExceptionGroup, ExceptionGroup("all", [ConnectionError()]), 3),
            (lambda error: "again" in str(error), ValueError("again"), 3),
            (lambda error: "again" in str(error), ValueError("no"), 1),
            (lambda error: 0.0, ValueError("at once"), 3),
            (lambda error: 2, ValueError("in 2 s"), 3),
        ],
    )
    async def test_only_what_retry_on_names_is_tried_again(
        self, retry_on: Any, error: Exception, attempts: int
    ) -> None:
        """Other failures are final at once; a group of exceptions is matched by its own type."""
        async with self.bench(timeout=math.inf) as bench:
            starts = await starts_of(bench, error, retries=2, retry_on=retry_on)
            assert len(starts) == attempts

    @pytest.mark.parametrize(
        "answer",
        [None, "1", math.nan, -1.0, math.inf, 10**400, NoAnswerError("no answer"), SystemExit(3)],
        ids=["none", "text", "nan", "negative", "infinite", "huge", "raises", "leaves"],
    )
    async def test_a_retry_on_that_gives_no_answer_fails_the_job(
        self, answer: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        """If ``retry_on`` raises or returns nonsense, the job fails with its own error."""

        def retry_on(error: Exception) -> Any:
            if isinstance(answer, BaseException):
                raise answer
            return answer

        async with self.bench() as bench:
            assert len(await starts_of(bench, KeyError("own"), retries=2, retry_on=retry_on)) == 1
            assert (await bench.finish(await bench.begin(), 1)).result == 1
        (line,) = [each for each in caplog.records if each.getMessage() == "retry_on_failed"]
        assert (line.levelno, line.job_type) == (logging.ERROR, "failing")  # type: ignore[attr-defined]
        assert line.exc_info or line.exc_text

    @needs("waits_between_attempts")
    async def test_the_backoff_of_a_job_type_gives_its_delays(self) -> None:
        """The delays are those of ``backoff``: first, factor and maximum, and jitter if any."""
        async with self.bench(timeout=math.inf) as bench:
            backoff = Backoff(first=10, factor=3, maximum=50, jitter=0)
            starts = await starts_of(bench, ValueError(), retries=3, backoff=backoff)
            assert starts == [0, 10, 40, 90]

    @needs("waits_between_attempts")
    async def test_a_number_from_retry_on_is_the_delay(self) -> None:
        """A number of seconds that ``retry_on`` returns goes before the backoff; 0.0 is at once."""
        delays = iter([7, 0.0, 2.5])
        async with self.bench(timeout=math.inf) as bench:
            starts = await starts_of(
                bench,
                ValueError(),
                retries=3,
                retry_on=lambda error: next(delays),
                backoff=Backoff(first=60, jitter=0),
            )
            assert starts == [0, 7, 7, 9.5]

    @needs("waits_between_attempts")
    async def test_a_delay_from_retry_on_that_would_pass_the_deadline_is_not_begun(self) -> None:
        """Whoever chose the delay, a job does not wait for an attempt past its time limit."""
        async with self.bench() as bench:
            begun = bench.clock.time()
            options = {"retries": 1, "retry_on": lambda error: 20.0, "timeout": 10}
            assert await starts_of(bench, ValueError(), **options) == [0]
            assert bench.clock.time() - begun < 1

    # Graces.

    async def test_the_grace_of_a_job_type_goes_before_the_setting(self) -> None:
        """After a cancel a job has the ``cancel_grace`` of its type, longer or shorter."""
        async with self.bench(cancel_grace=2) as bench:
            for name, grace in (("patient", 8.0), ("hasty", 0.5)):
                bench.handlers.register(name, bench.deaf, cancel_grace=grace)
                call = await bench.begin(name)
                await bench.queue.cancel(call.job_id)
                await bench.clock.advance(grace - 0.1)
                assert await bench.status(call.job_id) is JobStatus.RUNNING
                await bench.clock.advance(0.2)
                assert await bench.status(call.job_id) is JobStatus.CANCELLED

    @pytest.mark.parametrize(
        ("options", "grace"),
        [({"cancel_grace": 8.0}, 2.0), ({"cancel_grace": 8.0, "timeout_grace": 4.0}, 4.0)],
        ids=["setting", "own"],
    )
    async def test_the_grace_after_the_deadline_is_another(
        self, options: dict[str, Any], grace: float
    ) -> None:
        """At its deadline a job has its type's ``timeout_grace``, or the setting's grace."""
        async with self.bench(cancel_grace=2) as bench:
            bench.handlers.register("late", bench.deaf, timeout=5, **options)
            call = await bench.begin("late")
            await bench.clock.advance(5 + grace - 0.1)
            assert await bench.status(call.job_id) is JobStatus.RUNNING
            await bench.clock.advance(0.2)
            assert await bench.status(call.job_id) is JobStatus.TIMEOUT

    @pytest.mark.parametrize("grace", [0.0, 20.0])
    async def test_the_stop_takes_the_longest_grace_of_what_runs(self, grace: float) -> None:
        """The shutdown returns within ``drain_timeout + 2 * cancel_grace + 1``, by job type."""
        async with self.bench(drain_timeout=3, cancel_grace=5) as bench:
            bench.handlers.register("resisting", bench.deaf, cooperative=True, cancel_grace=grace)
            call = await bench.begin("resisting")
            begun = bench.clock.time()
            await bench.close()
            seconds = bench.clock.time() - begun
            assert 3 + 2 * grace <= seconds <= 3 + 2 * grace + 1
            assert_stopped(bench, await bench.record(call.job_id))
            # It was told, and had all of its time.
            assert (call.ctx.cancelled, call.cancels, call.ended) == (True, 1, True)

    async def test_a_grace_after_the_deadline_does_not_hold_up_the_stop(self) -> None:
        """The shutdown's bound has no ``timeout_grace``, which it may cut short."""
        async with self.bench(drain_timeout=3, cancel_grace=1) as bench:
            bench.handlers.register("late", bench.deaf, timeout=1, timeout_grace=1000)
            call = await bench.begin("late")
            await bench.clock.advance(1.5)
            begun = bench.clock.time()
            await bench.close()
            assert bench.clock.time() - begun <= 3 + 2 * 1 + 1
            assert await bench.status(call.job_id) is JobStatus.TIMEOUT
            await asyncio.sleep(0)
