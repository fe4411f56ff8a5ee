"""Which finished jobs are kept, when some are deleted from the middle."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoat_jobs import InMemoryJobQueue, JobContext, JobHandlers, JobNotFoundError, JobQueueSettings

handlers = JobHandlers()


@handlers.job
async def noop(ctx: JobContext) -> None: ...


@given(steps=st.lists(st.integers(-1, 9), max_size=60))
async def test_deleting_keeps_the_others_in_their_order(steps: list[int]) -> None:
    """Whatever is deleted in between, the newest ``max_results`` of the others are kept."""
    queue = InMemoryJobQueue(handlers, JobQueueSettings(max_results=8))
    kept: deque[str] = deque(maxlen=8)
    for step in steps:
        if step < 0 or not kept:
            kept.append(await queue.submit("noop"))
        else:
            job_id = kept[step % len(kept)]
            kept.remove(job_id)
            assert await queue.delete(job_id) is True
        assert [record.job_id for record in await queue.list_jobs()] == [*kept][::-1]
        assert len(queue._index.retention) == len(kept)


async def test_places_of_deleted_jobs_do_not_pile_up() -> None:
    """However many are deleted, what is left of them is not more than what is kept."""
    queue = InMemoryJobQueue(handlers)
    oldest = await queue.submit("noop")
    for _ in range(100):
        await queue.delete(await queue.submit("noop"))
    assert len(queue._index.retention._finished) <= 2
    await queue.delete(oldest)
    assert not queue._index.retention._finished
    assert not queue._index.retention._gone
    with pytest.raises(JobNotFoundError):
        await queue.get_result(oldest)
