"""Races of those who wait, watch, submit and ask with what becomes of the job."""

from __future__ import annotations

import asyncio

from stoat_jobs import JobStatus

from .acts import (
    KEY,
    cancel,
    cancel_if_known,
    end,
    leave,
    look_on_if_known,
    share_key,
    time_passes,
)
from .arena import Heat
from .listing import CANCELLED, COMPLETED, ENDS, MANY, race
from .promise import VALUE, end_of, judge

TTL = 30.0


@race(*ENDS, heats=MANY)
async def watch_and_wait_during_the_finish(heat: Heat) -> None:
    await heat.begin("hold", "polite", "deaf")
    await heat.race(end, look_on_if_known, look_on_if_known)


@race("in time", "too late")
async def end_of_a_wait_and_return(heat: Heat) -> str:
    call = await heat.begin("hold")
    wait = asyncio.ensure_future(heat.queue.wait(call.job_id, 3.0))
    await heat.loop.settle()
    await heat.race(end, time_passes(3.0))
    await judge(heat)
    if isinstance(wait.exception(), TimeoutError):
        return "too late"
    assert wait.result() == end_of(heat, call.job_id)
    return "in time"


@race("left", "stayed")
async def leaving_and_return(heat: Heat) -> str:
    """A waiter and a watcher are cancelled in the tick of the finish: no cancel is lost."""
    await heat.begin("hold")
    look = heat.witness.look_on(heat.job_id)
    bounded = asyncio.ensure_future(heat.queue.wait(heat.job_id, 3.0))
    await heat.loop.settle()
    leavers = (look.wait, look.watch, bounded)
    in_time: list[list[bool]] = [[], [], []]
    await heat.race(end, *map(leave, leavers, in_time))
    await judge(heat)
    assert [[task.cancelled()] for task in leavers] == in_time
    return "left" if in_time[0][0] else "stayed"


@race(*ENDS, CANCELLED, backends=("memory",))
async def submit_given_up_and_return(heat: Heat) -> None:
    """A submit that waits for its job is cancelled in the tick of the job's end."""
    call = await heat.begin("hold", "polite", "deaf")
    (submission,) = heat.submissions
    in_time: list[bool] = []
    finish = end if heat.pick(True, False) else cancel
    await heat.race(leave(submission, in_time), finish)
    await heat.loop.drive(asyncio.wait([submission]))
    assert [submission.cancelled()] == in_time
    status = await heat.queue.get_status(call.job_id)
    assert status.is_terminal
    if submission.cancelled() and status is JobStatus.CANCELLED:
        heat.answers.insert(0, (call.job_id, True))


@race("shared", "new")
async def key_and_stop(heat: Heat) -> str:
    """A key is shared until its job is stopped or ends, and free from then on."""
    job_type = heat.pick("hold", "polite", "deaf")
    await heat.begin(job_type, key=KEY)
    sharing = share_key(job_type)
    await heat.race(heat.pick(cancel, end), sharing, sharing)
    await judge(heat)
    story = heat.witness.story
    stopped = story.index(("stopped", heat.job_id))
    assert all(story.index(what) < stopped for what in story if what[0] == "shared")
    later = [what for what in story if what[0] == "submitted"][1:]
    assert all(story.index(what) > stopped for what in later)
    assert len(later) <= 1
    return "new" if later else "shared"


@race(*ENDS, CANCELLED, "gone", max_results=1, concurrency=2, heats=MANY)
async def cancel_and_eviction_by_number(heat: Heat) -> str | None:
    """Two jobs end, and only one record is kept."""
    victim = await heat.begin("hold")
    if heat.arena.backend == "memory":
        victim.finish(VALUE)
    other = await heat.begin("hold")

    async def end_other(heat: Heat) -> None:
        other.finish(VALUE)

    await heat.race(end, end_other, cancel_if_known, look_on_if_known)
    how = await judge(heat)
    return "gone" if heat.not_found else how


@race(COMPLETED, "gone", result_ttl=TTL)
async def cancel_and_eviction_by_age(heat: Heat) -> str | None:
    call = await heat.begin("hold")
    call.finish(VALUE)
    await heat.loop.settle()
    await heat.race(time_passes(TTL), cancel_if_known, look_on_if_known)
    how = await judge(heat)
    return "gone" if heat.not_found else how
