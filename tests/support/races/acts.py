"""Those who take part in a race."""

from __future__ import annotations

import asyncio
from bisect import bisect
from collections.abc import Callable, Iterable
from typing import Any

from stoat_jobs import BackendError, JobNotFoundError, QueueClosedError

from .arena import DRAIN, GRACE, LONGEST_SHIFT, TIMEOUT, Act, Heat
from .promise import OWN, VALUE

KEY = "one at a time"

_MOST_TICKS = 12
"""More than a durable queue needs to accept a job and to start it."""


async def cancel(heat: Heat) -> None:
    """A caller cancels the job."""
    await cancel_job(heat, heat.job_id)


async def cancel_job(heat: Heat, job_id: str) -> None:
    """A caller cancels a job; out of reach on a durable queue that is closed."""
    # It is decided at once. On a durable queue the answer follows when that is written.
    asked_at, story = heat.loop.time(), heat.witness.story
    number = len(story)
    asked = (f"asked {number}", job_id)
    story.append(asked)
    try:
        answer = await heat.queue.cancel(job_id)
    except QueueClosedError:
        heat.out_of_reach.append(job_id)
        return
    place = bisect(heat.asked, number)
    heat.asked.insert(place, number)
    heat.answers.insert(place, (job_id, answer))
    if answer:
        heat.cancelled_at.setdefault(job_id, asked_at)
        story[story.index(asked)] = ("stopped", job_id)


async def cancel_if_known(heat: Heat) -> None:
    """A caller cancels a job that may be gone, or not there yet."""
    if heat.witness.ids:
        try:
            await cancel(heat)
        except JobNotFoundError:
            heat.not_found = True


async def cancel_waiting(heat: Heat) -> None:
    """A caller cancels the job that waits behind."""
    await cancel_job(heat, heat.witness.ids[1])


async def end(heat: Heat) -> None:
    """What the handler waits for comes, or fails."""
    error = heat.pick(None, ValueError(OWN), asyncio.CancelledError(OWN))
    if error is None:
        heat.call.finish(VALUE)
    else:
        heat.call.fail(error)


async def end_well(heat: Heat) -> None:
    """What the handler waits for comes."""
    heat.call.finish(VALUE)


async def thread_returns(heat: Heat) -> None:
    """The handler's thread ends."""
    call = heat.call
    heat.loop.hear(heat.pick(lambda: call.finish(VALUE), lambda: call.fail(ValueError(OWN))))


async def thread_reports(heat: Heat) -> None:
    """The handler's thread says how far it is, and ends."""
    heat.loop.hear(lambda: heat.call.finish(VALUE), words=2)


async def thread_submits(heat: Heat) -> None:
    """The handler's thread submits another job."""
    heat.loop.hear(heat.call.finish)


def job_task(heat: Heat) -> asyncio.Task[Any] | None:
    """The task that the job runs in, while it does."""
    tasks = {task.get_name(): task for task in asyncio.all_tasks()}
    return tasks.get(f"stoat-jobs {heat.job_id}") if heat.witness.ids else None


async def others_cancel(heat: Heat) -> None:
    """Somebody cancels the job's task, past the queue."""
    if task := job_task(heat):
        task.cancel()


def is_known(heat: Heat) -> bool:
    """Whether the job was accepted, which takes a durable queue some ticks."""
    return bool(heat.witness.ids)


def once(is_so: Callable[[Heat], object], act: Act) -> Act:
    """Do *act* when *is_so*; perhaps a few ticks later if that was not so from the beginning."""

    async def wait_and_act(heat: Heat) -> None:
        if not is_so(heat):
            for _ in range(_MOST_TICKS):
                await asyncio.sleep(0)
                if is_so(heat):
                    break
            for _ in range(heat.choices.below(LONGEST_SHIFT + 1)):
                await asyncio.sleep(0)
        await act(heat)

    return wait_and_act


async def hold_queue(heat: Heat) -> None:
    """What a server does with a queue: hold it, and leave it when told to go."""
    try:
        await asyncio.Event().wait()
    finally:
        await close(heat)


async def close(heat: Heat) -> None:
    """The queue is left; it is done with everything when that returns."""
    begun = heat.loop.time()
    heat.closing_from = len(heat.witness.starts)
    try:
        await heat.queue.__aexit__(None, None, None)
    finally:
        heat.note_closed()
        stats = await heat.queue.stats()
        assert (heat.queue.started, stats.slots_in_use) == (False, 0)
        assert heat.loop.time() - begun <= DRAIN + 2 * GRACE + 1 + heat.jumped
        assert heat.loop.time() - max(begun, heat.witness.last_end) <= heat.jumped
    assert not any(task.get_name().startswith("stoat-jobs ") for task in asyncio.all_tasks())


async def enter_soon(heat: Heat) -> None:
    """Somebody tries to enter the queue, again and again in the next ticks."""
    for _ in range(2 + heat.choices.below(12)):
        try:
            await heat.queue.__aenter__()
        except BackendError:
            await asyncio.sleep(0)
        else:
            return


async def submit(heat: Heat) -> None:
    """A caller submits."""
    await heat.start(heat.pick("hold", "deaf"))


def time_passes(seconds: float) -> Act:
    """So many seconds pass in one tick, or a little more."""

    async def pass_time(heat: Heat) -> None:
        step = seconds + heat.pick(0.0, 0.5)
        heat.loop.jump(step)
        heat.jumped += step

    return pass_time


def to_next_timer(heat: Heat) -> Act:
    """Time passes to what is the next timer now."""
    seconds = heat.loop.next_timer() - heat.loop.time()
    return time_passes(seconds)


deadline = time_passes(TIMEOUT)


def leave(task: asyncio.Task[Any], in_time: list[bool]) -> Act:
    """Somebody gives up: *task* is cancelled; whether it was at work is noted."""

    async def cancel_task(heat: Heat) -> None:
        heat.given_up = True
        in_time.append(task.cancel())

    return cancel_task


def leave_all(tasks: Iterable[asyncio.Task[Any] | None]) -> Act:
    """Somebody cancels all *tasks* at once."""

    async def cancel_tasks(heat: Heat) -> None:
        for task in filter(None, tasks):
            task.cancel()

    return cancel_tasks


async def look_on_if_known(heat: Heat) -> None:
    """Somebody begins to wait for the job and to watch it."""
    if heat.witness.ids:
        heat.witness.look_on(heat.job_id, late=True)


def share_key(job_type: str) -> Act:
    """A caller submits under the key of the job."""

    async def submit_under_key(heat: Heat) -> None:
        number = len(heat.witness.ids)
        submission = heat.start(job_type, key=KEY)
        await asyncio.sleep(0)
        if len(heat.witness.ids) == number and await submission == heat.job_id:
            heat.witness.story.append(("shared", heat.job_id))

    return submit_under_key


async def report(heat: Heat) -> None:
    """The handler says how far it is, perhaps after its end."""
    heat.call.ctx.set_progress(0.5)
