"""Races with the end of the queue."""

from __future__ import annotations

import asyncio

from .acts import (
    cancel,
    cancel_waiting,
    close,
    end,
    end_well,
    enter_soon,
    hold_queue,
    job_task,
    leave,
    leave_all,
    submit,
    thread_returns,
    thread_submits,
    time_passes,
)
from .arena import DRAIN, GRACE, Heat
from .listing import CANCELLED, COMPLETED, ENDS, MANY, OWN_ERROR, REFUSED, REQUEUED, SHUTDOWN, race
from .loop import Choices
from .promise import judge, way


@race(*ENDS, SHUTDOWN, drain_timeout=0)
async def shutdown_and_return(heat: Heat) -> None:
    """Another job waits behind it."""
    await heat.begin("hold", "polite", "deaf")
    heat.start()
    await heat.race(close, end)


@race(COMPLETED, OWN_ERROR, CANCELLED, SHUTDOWN)
async def cancel_and_the_end_of_the_drain(heat: Heat) -> None:
    await heat.begin("hold", "polite", "deaf")
    closing = asyncio.ensure_future(close(heat))
    await heat.loop.settle()
    await heat.race(time_passes(DRAIN), *heat.pick((cancel, end), (cancel,), (end,)))
    await heat.loop.drive(closing)


@race(CANCELLED, SHUTDOWN)
async def cancel_of_a_waiting_job_and_shutdown(heat: Heat) -> str:
    await heat.begin("hold")
    heat.start()
    await heat.loop.settle()
    await heat.race(close, cancel_waiting)
    await judge(heat)
    return way(heat, heat.witness.ids[1])


@race(REFUSED, COMPLETED, SHUTDOWN, heats=MANY)
async def close_and_submit(heat: Heat) -> None:
    if heat.pick(True, False):
        heat.bench.open_gates()
    await heat.race(close, submit, *heat.pick((), (submit,)))


@race(REFUSED, "accepted")
async def close_and_submit_in_a_handler(heat: Heat) -> str:
    await heat.begin("parent")
    await heat.race(close, end_well)
    return await _of_second(heat)


@race(REFUSED, "accepted")
async def close_and_submit_in_a_thread(heat: Heat) -> str:
    await heat.begin("from a thread")
    await heat.race(close, thread_submits)
    return await _of_second(heat)


async def _of_second(heat: Heat) -> str:
    await judge(heat)
    assert (heat.refused, len(heat.witness.ids)) in ((0, 2), (1, 1))
    return REFUSED if heat.refused else "accepted"


@race(COMPLETED, OWN_ERROR, SHUTDOWN)
async def shutdown_given_up_and_return(heat: Heat) -> None:
    """The task that closes the queue is cancelled; every job is settled all the same."""
    await heat.begin("hold", "polite", "deaf")
    heat.start()
    closing = asyncio.ensure_future(close(heat))
    in_time: list[bool] = []
    others = heat.pick((end,), (time_passes(DRAIN),), (end, time_passes(DRAIN)))
    await heat.race(leave(closing, in_time), *others)
    await heat.loop.drive(asyncio.wait([closing]))
    assert [closing.cancelled()] == in_time


@race(COMPLETED, SHUTDOWN)
async def everything_cancelled_and_return(heat: Heat) -> None:
    """As at the end of ``asyncio.run``: the jobs and the task that has the queue, at once.

    In asyncio's own order: the job waits one round for the task, which was cancelled first.
    """
    heat.loop.choices = Choices()
    await heat.begin("hold", "polite")
    heat.start()
    holding = asyncio.ensure_future(hold_queue(heat))
    await heat.loop.settle()
    everybody = heat.choices.shuffled((job_task(heat), holding))
    await heat.race(leave_all(everybody), *heat.pick((), (end_well,)))
    await heat.loop.drive(asyncio.wait([holding]))


@race("entered", "too early", drain_timeout=0)
async def entry_and_the_end_of_the_last_abandoned(heat: Heat) -> str:
    """The queue is entered again while what it left behind is ending."""
    call = await heat.begin("deaf", "work")
    closing = asyncio.ensure_future(close(heat))
    await heat.loop.settle()
    in_thread = (thread_returns,) if call.thread is not heat.loop.thread else ()
    await heat.race(time_passes(GRACE), enter_soon, *in_thread)
    entered = heat.queue.started
    await heat.loop.drive(closing)
    assert await judge(heat) == (REQUEUED if heat.is_durable else SHUTDOWN)
    return "entered" if entered else "too early"
