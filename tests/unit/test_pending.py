"""What waits for a slot: oldest first, and a cancelled job leaves nothing behind."""

from __future__ import annotations

import contextvars
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from stoat_jobs import JobContext, JobHandlers
from stoat_jobs._backends.job import Job
from stoat_jobs._backends.pending import PendingJobs
from stoat_jobs._payload.form import FrozenPayload

handlers = JobHandlers()
numbers = count()


@handlers.job
async def noop(ctx: JobContext) -> None: ...


def new_job() -> Job:
    payload = FrozenPayload({}, b"{}")
    job_id = str(next(numbers))
    definition, variables = handlers.get("noop"), contextvars.Context()
    return Job(job_id, "noop", definition, payload, 1.0, None, {}, variables, 0.0)


def state(pending: PendingJobs) -> tuple[int, bool, list[Job]]:
    return len(pending), pending.full(), list(pending.values())


@given(st.integers(0, 4), st.lists(st.none() | st.integers(0, 9), max_size=40))
def test_it_is_a_list_in_the_order_of_submission(maxsize: int, steps: list[int | None]) -> None:
    """Whatever is cancelled: the oldest starts next, and what is full or empty is exact.

    A step of None submits a job, and 0 starts the oldest; other numbers cancel that one.
    """
    pending, expected = PendingJobs(maxsize), list[Job]()
    for step in steps:
        if step is None:
            expected.append(job := new_job())
            pending.put(job)
        elif step == 0 and expected:
            assert pending.first() is expected[0]
            assert pending.take() is expected.pop(0)
        elif step and step <= len(expected):
            del pending[expected.pop(step - 1).job_id]
        full = 0 < maxsize <= len(expected)
        assert state(pending) == (len(expected), full, expected)


def test_jobs_that_are_put_back_take_no_notice_of_the_limit() -> None:
    """A durable backend has promised to run them."""
    pending, jobs = PendingJobs(1), [new_job(), new_job()]
    pending.replace(jobs)
    assert state(pending) == (2, True, jobs)
    del pending[jobs[0].job_id]
    assert pending.full()
