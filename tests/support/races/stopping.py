"""Races of what stops a job with its own end, and with each other."""

from __future__ import annotations

from .acts import (
    cancel,
    cancel_if_known,
    cancel_job,
    close,
    deadline,
    end,
    end_well,
    is_known,
    job_task,
    look_on_if_known,
    once,
    others_cancel,
    report,
    submit,
    thread_reports,
    thread_returns,
    time_passes,
    to_next_timer,
)
from .arena import GRACE, Heat
from .listing import (
    CANCELLED,
    COMPLETED,
    ENDS,
    MANY,
    OWN_CANCEL,
    OWN_ERROR,
    SHUTDOWN,
    TIMED_OUT,
    race,
)
from .promise import OWN, judge, way


@race(*ENDS, CANCELLED, heats=MANY)
async def cancel_and_return(heat: Heat) -> None:
    await heat.begin("hold", "polite", "deaf")
    await heat.race(cancel, end)


@race(CANCELLED, TIMED_OUT, heats=MANY)
async def cancel_and_deadline(heat: Heat) -> None:
    await heat.begin("hold", "polite", "deaf")
    await heat.race(cancel, deadline)


@race(*ENDS, TIMED_OUT, heats=MANY)
async def deadline_and_return(heat: Heat) -> None:
    await heat.begin("hold", "polite", "deaf")
    await heat.race(deadline, end)


@race(CANCELLED, SHUTDOWN, drain_timeout=0, heats=MANY)
async def cancel_and_shutdown(heat: Heat) -> None:
    await heat.begin("hold", "polite", "deaf")
    await heat.race(cancel, close)


@race(COMPLETED, OWN_ERROR, CANCELLED, SHUTDOWN, TIMED_OUT, drain_timeout=0)
async def stop_and_return_of_a_thread(heat: Heat) -> None:
    await heat.begin("work")
    heat.follow()
    await heat.race(heat.pick(cancel, close, deadline), thread_returns)


@race(COMPLETED, CANCELLED, SHUTDOWN, TIMED_OUT, drain_timeout=0)
async def stop_and_report_of_a_thread(heat: Heat) -> None:
    await heat.begin("reporting")
    await heat.race(heat.pick(cancel, close, deadline), thread_reports)


@race("it never began", "it began")
async def cancel_and_start(heat: Heat) -> str:
    """The job waits, and its slot comes free in the tick in which it is cancelled."""
    await heat.begin("hold")
    heat.start()
    await heat.loop.settle()
    waiting = heat.witness.ids[1]
    await heat.race(end, lambda heat: cancel_job(heat, waiting))
    await judge(heat)
    assert (way(heat, waiting), heat.answers) == (CANCELLED, [(waiting, True)])
    return "it began" if heat.bench.calls_of(waiting) else "it never began"


@race("again", "too late")
async def second_cancel_and_the_end_of_the_grace(heat: Heat) -> str:
    """The job is being cancelled, and asked once more when its time is up."""
    await heat.begin("deaf", "polite")
    await cancel(heat)
    await heat.loop.settle()
    await heat.race(cancel, time_passes(heat.pick(GRACE, 2 * GRACE)))
    assert await judge(heat) == CANCELLED
    return "again" if heat.answers[1][1] else "too late"


@race("kept", "left behind")
async def end_of_the_grace_and_return(heat: Heat) -> str:
    """The handler returns when its time to clean up is over."""
    call = await heat.begin("deaf", "work")
    await cancel(heat)
    await heat.loop.settle()
    returns = end_well if call.thread is heat.loop.thread else thread_returns
    await heat.race(time_passes(GRACE), returns)
    await heat.loop.settle()
    assert call.ended, "it was left behind, and not closed"
    assert await judge(heat) == CANCELLED
    (event,) = heat.witness.ends
    assert not event.abandoned or event.record.result is None
    return "left behind" if event.abandoned else "kept"


@race(
    *(CANCELLED, SHUTDOWN, OWN_ERROR),
    never_durable=(OWN_ERROR,),
    backends=("asyncio", "stored"),
    timeout=float("inf"),
)
async def stop_and_the_end_of_the_delay(heat: Heat) -> None:
    """The job is stopped in the tick in which its next attempt would begin.

    A durable queue that closes makes no error of that: the job has its attempts after it.
    """
    call = await heat.begin("retrying")
    call.fail(ValueError(OWN))
    await heat.loop.settle()
    await heat.race(heat.pick(cancel, close), to_next_timer(heat))


@race("never called", "called")
async def cancel_and_first_step(heat: Heat) -> str:
    """The job has a slot, and its handler is about to be called."""
    heat.start(heat.pick("hold", "work"))
    cancels = once(is_known, cancel_if_known)
    await heat.race(cancels, cancels, cancels)
    assert await judge(heat) == CANCELLED
    return "called" if heat.bench.calls else "never called"


# Those that cancel the job's task, past the queue.


@race(OWN_CANCEL, CANCELLED, SHUTDOWN, heats=MANY)
async def others_cancel_it_before_its_first_step(heat: Heat) -> None:
    heat.start()
    await heat.race(
        once(job_task, others_cancel), heat.pick(look_on_if_known, cancel_if_known, close)
    )


@race(*ENDS, CANCELLED)
async def others_cancel_and_return(heat: Heat) -> None:
    await heat.begin("hold", "polite")
    heat.follow()
    await heat.race(others_cancel, end, *heat.pick((), (cancel,)))


@race(OWN_CANCEL, SHUTDOWN)
async def others_cancel_and_shutdown(heat: Heat) -> None:
    await heat.begin("hold", "polite", "work")
    await heat.race(others_cancel, close)


@race(*ENDS, CANCELLED, SHUTDOWN, TIMED_OUT, drain_timeout=0, max_results=3)
async def everything(heat: Heat) -> None:
    await heat.begin("hold", "polite", "deaf")
    heat.follow()
    await heat.race(cancel, end, deadline, close, others_cancel, submit, look_on_if_known, report)
