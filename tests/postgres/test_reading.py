"""Reading records, and how many there are."""

from __future__ import annotations

import asyncio
import threading
from itertools import pairwise
from typing import Any

import pytest

from stoat_jobs import (
    JobContext,
    JobHandlers,
    JobNotFoundError,
    JobStatus,
    QueueClosedError,
    QueueNotStartedError,
)
from stoat_jobs._postgres import telling
from stoat_jobs._postgres.connections import Connections
from stoat_jobs._postgres.sql import Sql

from .queues import LIMIT, Gate, queue_on, rows_of

SUBMITS = {"worker": False}
SQL = Sql("stoat_jobs")
UNKNOWN = "00000000-0000-4000-8000-000000000000"


def handlers_of(*names: str) -> JobHandlers:
    handlers = JobHandlers()
    for name in names:
        handlers.register(name, work)
    return handlers


async def work(ctx: JobContext, /, **payload: Any) -> None: ...


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"n": 1}, {"one", "one as float"}),
        ({"n": 1.0}, {"one", "one as float"}),
        ({"n": True}, {"true"}),
        ({"n": "1"}, {"text"}),
        ({"n": 10**22}, {"large", "large as float"}),
        ({"n": 0.1}, {"tenth"}),
        ({"n": "nul\0"}, set()),
        ({"nul\0": 1}, set()),
        ({"n": "\ud800"}, set()),
        ({}, None),
    ],
)
async def test_metadata_is_compared_as_in_json(url: str, wanted: Any, found: Any) -> None:
    """1 is 1.0 and not true, on the server too; what a text cannot be matches nothing."""
    values = {
        "one": 1,
        "one as float": 1.0,
        "true": True,
        "text": "1",
        "tenth": 0.1,
        "large": 10**22,
        "large as float": 1e22,
        "list": [1],
        "none": None,
    }
    async with queue_on(url, handlers_of("work"), options=SUBMITS) as queue:
        for name, value in values.items():
            await queue.submit("work", metadata={"n": value, "name": name})
        page = await queue.list_jobs(metadata=wanted)
        assert {job.metadata["name"] for job in page} == (set(values) if found is None else found)
        assert await queue.cancel_all(metadata=wanted) == len(page)


async def test_pages_show_each_record_once(url: str) -> None:
    """Whoever follows the cursors sees what stays exactly once, whatever comes and goes."""
    async with queue_on(url, handlers_of("a", "b"), options=SUBMITS) as queue:
        ids = [*await queue.submit_many("a", [{}] * 7), *await queue.submit_many("b", [{}] * 7)]
        seen = []
        page = await queue.list_jobs(limit=3)
        while True:
            seen += [job.job_id for job in page]
            await queue.submit("a")
            if page.cursor is None:
                break
            page = await queue.list_jobs(limit=3, before=page.cursor)
        assert seen == ids[::-1]
        only_a = await queue.list_jobs(job_type="a", limit=7)
        assert (only_a.cursor is not None, len(only_a)) == (True, 7)
        for name in ("a\0", "\ud800"):
            assert not await queue.list_jobs(job_type=name)


async def test_reads_work_before_the_start_and_after_the_stop(url: str) -> None:
    """A queue that is not started reads what others have; it accepts and cancels nothing."""
    never = queue_on(url, handlers_of("work"))
    with pytest.raises(JobNotFoundError):
        await never.get_result(UNKNOWN)
    assert not await never.list_jobs()
    async with queue_on(url, handlers_of("work"), options=SUBMITS) as other:
        job_id = await other.submit("work")
    assert (await never.get_status(job_id)) is JobStatus.PENDING
    assert (await never.stats()).by_status[JobStatus.PENDING] == 1
    with pytest.raises(QueueNotStartedError):
        await never.cancel(job_id)
    with pytest.raises(QueueNotStartedError):
        await never.submit("work")
    for queue, error in ((never, QueueClosedError), (other, QueueClosedError)):
        with pytest.raises(error):
            await queue.wait(job_id)
    with pytest.raises(QueueClosedError):
        await other.submit("work")


async def test_reads_from_another_loop_are_refused(url: str) -> None:
    """A call from another thread's loop is an error with its remedy, and no crash."""
    async with queue_on(url, handlers_of("work"), options=SUBMITS) as queue:
        job_id = await queue.submit("work")
        errors: list[BaseException] = []

        def call(method: Any) -> None:
            try:
                asyncio.run(method())
            except BaseException as error:
                errors.append(error)

        calls = [
            lambda: queue.get_result(job_id),
            lambda: queue.get_status(job_id),
            queue.list_jobs,
            queue.stats,
            lambda: queue.submit("work"),
            lambda: queue.submit_many("work", [{}]),
            lambda: queue.cancel(job_id),
            queue.cancel_all,
            lambda: queue.delete(job_id),
            lambda: queue.resubmit(job_id),
            lambda: queue.wait(job_id),
        ]
        for each in calls:
            thread = threading.Thread(target=call, args=(each,))
            thread.start()
            await asyncio.to_thread(thread.join)
        assert [type(error) for error in errors] == [RuntimeError] * len(calls)
        assert all("from_thread" in str(error) for error in errors)
        assert len(await queue.list_jobs()) == 1


async def test_counts_by_type_have_waits_and_durations(url: str) -> None:
    """Median and 95th percentile are made by the server, by nearest rank, of what has run."""
    handlers = JobHandlers()
    handlers.register("ran", work)
    handlers.register("waits", work)
    async with queue_on(url, handlers) as queue:
        ids = await queue.submit_many("ran", [{"n": n} for n in range(4)])
        for job_id in ids:
            await queue.wait(job_id)
        await rows_of(
            url,
            "UPDATE stoat_jobs.job SET started_at = submitted_at + n * interval '1 second',"
            " finished_at = submitted_at + 3 * n * interval '1 second' FROM"
            " (SELECT id, row_number() OVER (ORDER BY seq) AS n FROM stoat_jobs.job) AS numbered"
            " WHERE numbered.id = job.id",
        )
        await queue.submit("waits", delay=3600)
        stats = await queue.stats()
    ran, waits = stats.by_type["ran"], stats.by_type["waits"]
    assert (ran.wait_median_s, ran.wait_p95_s) == (2.0, 4.0)
    assert (ran.duration_median_s, ran.duration_p95_s) == (4.0, 8.0)
    assert (waits.wait_median_s, waits.duration_p95_s) == (None, None)
    assert waits.by_status[JobStatus.PENDING] == 1
    assert stats.by_status[JobStatus.COMPLETED] == 4


async def test_progress_is_seen_elsewhere_within_a_second(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many reports are two writes a second, and another process sees the last of them meanwhile."""
    handlers, gate = JobHandlers(), Gate()
    fetch, writes = Connections.fetch, list[float]()
    monkeypatch.setattr(telling, "_POLL", 3600.0)  # nobody looks unless he is told

    async def counted(connections: Connections, sql: str, *args: Any, **more: Any) -> Any:
        if sql == SQL.report:
            writes.append(asyncio.get_running_loop().time())
        return await fetch(connections, sql, *args, **more)

    monkeypatch.setattr(Connections, "fetch", counted)

    @handlers.job
    async def scan(ctx: JobContext) -> None:
        for number in range(1_000):
            ctx.set_progress(number / 1_000, f"file {number}")
            ctx.update_metadata(files=number)
            await asyncio.sleep(0.001)
        await gate.wait("end")

    worker = queue_on(url, handlers)
    async with worker, queue_on(url, handlers, options=SUBMITS) as other:
        job_id = await other.submit("scan")
        await gate.until(1)
        seen = []
        async with asyncio.timeout(LIMIT):
            async for record in other.watch(job_id):
                seen.append(record)
                if record.message == "file 999":
                    break
        assert (record.progress, record.metadata) == (0.999, {"files": 999})
        assert min(later - sooner for sooner, later in pairwise(writes)) >= 0.5
        assert len(seen) <= len(writes) + 3
        gate.opened.set()
        assert (await other.wait(job_id)).metadata == {"files": 999}
