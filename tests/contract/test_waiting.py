"""Who waits for a job is woken by what it waits for, and by nothing else."""

from __future__ import annotations

import asyncio

import pytest

from stoat_jobs import JobBackend, JobStatus

from ..support.turns import App, Counted, Run, turns


def test_a_progress_report_wakes_nobody_who_waits_for_the_end(run: Run) -> None:
    """Those who wait are resumed once, by the end; those who watch see each report."""
    app = App()

    async def main() -> None:
        async with app.queue() as queue:
            job_id = await queue.submit("held")
            await turns()
            waits = [Counted(queue.wait(job_id, limit)) for limit in (None, 100.0) * 50]
            tasks = [asyncio.ensure_future(wait) for wait in waits]
            watching = asyncio.ensure_future(watch(queue, job_id))
            await turns()
            for fraction in (0.1, 0.2, 0.3, None):
                assert {wait.steps for wait in waits} == {1}
                app.reports.put_nowait(fraction)
                await turns()
            records = await asyncio.gather(*tasks)
            assert {record.status for record in records} == {JobStatus.COMPLETED}
            assert {wait.steps for wait in waits} == {2}
            assert await watching == [None, 0.1, 0.2, 0.3, 0.3]

    async def watch(queue: JobBackend, job_id: str) -> list[float | None]:
        return [record.progress async for record in queue.watch(job_id)]

    run(main())


def test_who_walks_away_leaves_nothing_at_the_job(run: Run) -> None:
    """A wait or a watch that was cancelled, or came too late, is no longer known to the job."""
    app = App()

    async def main() -> None:
        async with app.queue() as queue:
            job_id = await queue.submit("held")
            job = queue._index.get(job_id)
            watch = queue.watch(job_id)
            await watch.__anext__()
            calls = [queue.wait(job_id), queue.wait(job_id, 100.0), watch.__anext__()]
            tasks = [asyncio.ensure_future(call) for call in calls]
            await turns()
            assert job.waiters is not None and len(job.waiters) == 2
            assert job.changes is not None and len(job.changes.waiters) == 1
            for task in tasks:
                task.cancel()
            with pytest.raises(TimeoutError):
                await queue.wait(job_id, 0.001)
            await asyncio.wait(tasks)
            assert not job.waiters
            assert not job.changes.waiters
            app.reports.put_nowait(None)
            await queue.wait(job_id)
            assert [getattr(job, name) for name in ("waiters", "changes")] == [None, None]

    run(main())
