"""What must hold after a heat, whoever came first."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import Any

from stoat_jobs import FinishedEvent, JobNotFoundError, JobResult, JobStatus

from .arena import Heat, Look, is_forsaken
from .listing import REQUEUED

VALUE = "what the handler returned"
OWN = "the handler's own error"

RESISTING = ("deaf", "work", "reporting", "from a thread")
"""The job types that may be left behind when they are stopped."""

_ROUNDING = 1e-3
"""Seconds; a timestamp of today is a float with some digits less."""

_ORDER = list(JobStatus)
_LIVE = (JobStatus.PENDING, JobStatus.RUNNING)


async def judge(heat: Heat) -> str:
    """Let everything end, and hold what was seen against the promises; how the job ended."""
    await _let_everything_end(heat)
    for job_id in heat.witness.ids:
        await _judge_job(heat, job_id)
    await _judge_queue(heat)
    _judge_submissions(heat)
    return way(heat, heat.job_id) if heat.witness.ids else "refused"


def way(heat: Heat, job_id: str) -> str:
    """How a job ended, in words: its status, and its type of error."""
    if job_id in heat.left:
        return REQUEUED
    record = end_of(heat, job_id)
    return " ".join(filter(None, [record.status.value, record.error_type]))


def end_of(heat: Heat, job_id: str) -> JobResult[Any]:
    """The one terminal record that observers were told of."""
    return _event(heat, job_id).record


def _event(heat: Heat, job_id: str) -> FinishedEvent:
    (event,) = (each for each in heat.witness.ends if each.record.job_id == job_id)
    return event


# Letting everything end.


async def _let_everything_end(heat: Heat) -> None:
    await _end_calls(heat)
    await _go_on(heat)
    await _end_calls(heat)
    heat.bench.open_gates()
    await heat.loop.drive(_gathered(heat))


async def _end_calls(heat: Heat) -> None:
    """Let every handler return; time stands still, for it must not pass while a thread works."""
    if not heat.thread_may_go.done():
        heat.thread_may_go.set_result(None)
    ended = -1
    while ended != len(heat.witness.starts):
        ended = len(heat.witness.starts)
        if ended:  # a thread may yet have to come to its gate
            await heat.bench.call_number(ended - 1)
        for call in heat.bench.calls:  # first all: two may have had the same thread
            call.finish()
        for call in heat.bench.calls:
            if call.thread is not threading.current_thread():
                call.join()
        await heat.loop.settle()


async def _go_on(heat: Heat) -> None:
    """Start the queue if it was closed; what was left by a durable one runs now."""
    assert not heat.left or heat.is_durable
    assert set(heat.out_of_reach) <= heat.left
    looks = heat.witness.looks
    if heat.life_2_from is not None:
        for look in looks:
            _judge_farewell(look, goes_on=look.job_id in heat.left)
        looks[:] = [look for look in looks if look.job_id not in heat.left]
    if not heat.queue.started:
        await _judge_left(heat)
        await heat.bench.open()
    for job_id in heat.left:
        heat.witness.look_on(job_id, late=True)


async def _judge_left(heat: Heat) -> None:
    """A closed queue shows what it has left to its next life as jobs that never began."""
    live = await heat.queue.list_jobs(status=_LIVE)
    assert {record.job_id for record in live} == heat.left
    for record in live:
        assert (record.status, record.attempt) == (JobStatus.PENDING, 0)
        assert (record.started_at, record.progress, record.error) == (None, None, None)
        assert not record.cancel_requested


def _judge_farewell(look: Look, *, goes_on: bool) -> None:
    """Who looks at a job that goes on later is told so, and nobody else."""
    assert is_forsaken(look.wait) == is_forsaken(look.watch) == goes_on


def _gathered(heat: Heat) -> asyncio.Future[Any]:
    looks = [task for look in heat.witness.looks for task in (look.wait, look.watch)]
    return asyncio.gather(*heat.submissions, *looks, return_exceptions=True)


# One job.


async def _judge_job(heat: Heat, job_id: str) -> None:
    record = end_of(heat, job_id)
    assert record.status.is_terminal
    _judge_times(heat, record)
    _judge_answers(heat, record)
    _judge_starts(heat, record)
    _judge_calls(heat, record)
    for look in heat.witness.looks:
        if look.job_id == job_id:
            _judge_look(heat, look, record)
    try:
        assert await heat.queue.get_result(job_id) == record
    except JobNotFoundError:
        _may_be_gone(heat)


def _judge_look(heat: Heat, look: Look, record: JobResult[Any]) -> None:
    """Both were shown the same end; only one who comes late may find nothing."""
    for task in (look.wait, look.watch):
        if task.cancelled():
            continue
        if isinstance(task.exception(), JobNotFoundError):
            assert look.late
            _may_be_gone(heat)
        elif task is look.wait:
            assert look.wait.result() == record
        else:
            _judge_watch(look.watch.result(), record)


def _judge_times(heat: Heat, record: JobResult[Any]) -> None:
    assert record.finished_at is not None
    if record.started_at is None:
        return
    assert record.submitted_at <= record.started_at <= record.finished_at
    took = (record.finished_at - record.started_at).total_seconds()
    limit = heat.arena.settings.timeout
    if record.status is JobStatus.COMPLETED and not _in_thread(heat, record.job_id):
        assert took <= limit + _ROUNDING
    assert record.status is not JobStatus.TIMEOUT or took >= limit - _ROUNDING


def _in_thread(heat: Heat, job_id: str) -> bool:
    """A thread may have ended in time, and be heard later."""
    return heat.bench.calls_of(job_id)[-1].thread is not heat.loop.thread


def _judge_answers(heat: Heat, record: JobResult[Any]) -> None:
    """A cancel was answered with True if and only if it is why the job ended."""
    answers = [answer for job_id, answer in heat.answers if job_id == record.job_id]
    assert any(answers) == (record.error_type == "Cancelled") == record.cancel_requested
    assert answers == sorted(answers, reverse=True), "True after a False"
    assert record.error_type != "Cancelled" or record.status is JobStatus.CANCELLED
    begun = heat.witness.begun.get(record.job_id)
    if begun is not None and record.job_id in heat.cancelled_at:
        took = heat.cancelled_at[record.job_id] - begun
        assert took <= heat.arena.settings.timeout, "cancelled after its deadline"


def _judge_starts(heat: Heat, record: JobResult[Any]) -> None:
    """No handler is called once its job was stopped, and not again once the queue closes."""
    story = heat.witness.story
    stopped = story.index(("stopped", record.job_id))
    assert ("began", record.job_id) not in story[stopped:]
    assert record.error_type != "Shutdown" or not heat.is_durable, "it goes on after a shutdown"
    if record.job_id in heat.left:
        assert record.status is JobStatus.COMPLETED, "it was run again, and nobody stopped it"
    if heat.closing_from is not None:
        assert not any(each.attempt for each in heat.witness.starts[heat.closing_from :])


def _judge_calls(heat: Heat, record: JobResult[Any]) -> None:
    """The handler was called once for each start told, and its value is where it belongs."""
    earlier, starts = _starts_of(heat, record.job_id)
    calls = heat.bench.calls_of(record.job_id)
    for attempts in (earlier, starts):
        assert attempts == list(range(len(attempts)))
    assert len(calls) == len(earlier) + len(starts)
    assert not starts or starts[-1] == record.attempt
    assert record.started_at is not None or not starts
    assert all(call.ended for call in calls)
    if _event(heat, record.job_id).abandoned:
        # Where time jumps, a grace may be over before the handler had its turn.
        assert record.job_type in RESISTING or heat.given_up or heat.jumped
    if record.status is JobStatus.COMPLETED:
        assert calls
    elif record.status is not JobStatus.CANCELLED:
        assert record.result is None
    # The gates of those that run again give None: a value would be that of the earlier run.
    assert record.result in ((None,) if record.job_id in heat.left else (None, VALUE))
    assert (record.error is None) == (record.status is JobStatus.COMPLETED)


def _starts_of(heat: Heat, job_id: str) -> tuple[list[int], list[int]]:
    """The attempts of a job before it went back to the store, if it did, and those since."""
    life_2_from = heat.life_2_from if job_id in heat.left else 0
    starts = heat.witness.starts
    earlier, later = (
        [each.attempt for each in some if each.job_id == job_id]
        for some in (starts[:life_2_from], starts[life_2_from:])
    )
    return earlier, later


def _judge_watch(seen: list[JobResult[Any]], record: JobResult[Any]) -> None:
    assert seen[-1] == record
    steps = [_ORDER.index(each.status) for each in seen]
    assert steps == sorted(steps)
    assert not any(each.status.is_terminal for each in seen[:-1])


def _may_be_gone(heat: Heat) -> None:
    """A record is gone only because it was too old, or because of later ones."""
    settings = heat.arena.settings
    assert settings.result_ttl < 1e9 or len(heat.witness.ids) > settings.max_results


# The queue.


async def _judge_queue(heat: Heat) -> None:
    stats = await heat.queue.stats()
    records = await heat.queue.list_jobs(limit=1000)
    counted = Counter(record.status for record in records)
    assert {status: n for status, n in stats.by_status.items() if n} == dict(counted)
    assert all(record.status.is_terminal for record in records)
    assert len(records) <= heat.arena.settings.max_results
    assert (stats.slots_in_use, stats.abandoned) == (0, 0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert [each for each in heat.loop.errors if not _of_a_gate(each)] == []
    _judge_log(heat)


def _of_a_gate(context: dict[str, Any]) -> bool:
    """A gate failed, and its handler was cancelled before it saw: none of the queue's errors."""
    error = context.get("exception")
    return OWN in str(error) and not isinstance(context.get("future"), asyncio.Task)


def _judge_log(heat: Heat) -> None:
    """Nothing is logged as an error but each job that failed, once."""
    failed = [
        each.record.job_id for each in heat.witness.ends if each.record.status is JobStatus.FAILED
    ]
    logged = [line.job_id for line in heat.arena.errors.records if line.msg == "job_failed"]  # type: ignore[attr-defined]
    assert logged == failed
    assert len(heat.arena.errors.records) == len(failed), [
        line.msg for line in heat.arena.errors.records
    ]


def _judge_submissions(heat: Heat) -> None:
    """What was accepted is known, and nothing else, but for submits that were given up."""
    given_up = [each for each in heat.submissions if each.cancelled()]
    assert all(each.exception() is None for each in heat.submissions if each not in given_up)
    unclaimed = set(heat.witness.ids) - set(heat.accepted)
    assert set(heat.accepted) <= set(heat.witness.ids)
    assert len(unclaimed) <= len(given_up)
