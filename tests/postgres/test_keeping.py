"""What is kept, and what goes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stoat_jobs import JobContext, JobHandlers, JobNotFoundError, RemovedEvent
from stoat_jobs._postgres.connections import Connections

from .queues import queue_on, rows_of, until


class Gone:
    """An observer of records that go."""

    def __init__(self) -> None:
        self.events: list[RemovedEvent] = []

    def removed(self, event: RemovedEvent) -> None:
        self.events.append(event)

    @property
    def ids(self) -> list[str]:
        return [event.record.job_id for event in self.events]


def working() -> JobHandlers:
    handlers = JobHandlers()

    @handlers.job
    async def work(ctx: JobContext, n: int) -> int:
        return n

    return handlers


async def test_old_records_go_and_one_process_tells_it(url: str) -> None:
    """Readers see nothing that is too old; each row is removed once, whoever removes it."""
    gone = [Gone(), Gone()]
    queues = [queue_on(url, working(), [each], result_ttl=1.0) for each in gone]
    async with queues[0] as one, queues[1] as two:
        ids = await one.submit_many("work", [{"n": n} for n in range(20)])
        for job_id in ids:
            await one.wait(job_id)

        async def are_hidden() -> bool:
            return not await two.list_jobs()

        await until(are_hidden)
        with pytest.raises(JobNotFoundError):
            await two.get_result(ids[0])
        assert not await two.list_jobs()
        assert not any((await two.stats()).by_status.values())

        async def are_all_gone() -> bool:
            return len(gone[0].ids) + len(gone[1].ids) == 20

        await until(are_all_gone)
    assert sorted(gone[0].ids + gone[1].ids) == sorted(ids)
    assert {event.reason for each in gone for event in each.events} == {"age"}
    assert {event.record.result for each in gone for event in each.events} == set(range(20))


async def test_of_too_many_records_the_oldest_go(url: str) -> None:
    """``max_results`` is kept within some seconds."""
    gone = Gone()
    async with queue_on(url, working(), [gone], max_results=5, concurrency=1) as queue:
        ids = await queue.submit_many("work", [{"n": n} for n in range(12)])
        await queue.wait(ids[-1])

        async def are_few() -> bool:
            return len(await queue.list_jobs()) == 5

        await until(are_few)
        assert [job.job_id for job in await queue.list_jobs()] == ids[:-6:-1]
    assert sorted(gone.ids) == sorted(ids[:7])
    assert {event.reason for event in gone.events} == {"number"}


async def test_a_record_is_deleted_once(url: str) -> None:
    """Of two processes that delete a record at once, one does, and it tells its observers."""
    gone = [Gone(), Gone()]
    one, two = (queue_on(url, working(), [each]) for each in gone)
    async with one, two:
        job_id = await one.submit("work", {"n": 1})
        await one.wait(job_id)
        answers = await asyncio.gather(
            one.delete(job_id), two.delete(job_id), return_exceptions=True
        )
    assert sorted(map(repr, answers)) == sorted(map(repr, [True, JobNotFoundError(job_id)]))
    assert len(gone[0].ids + gone[1].ids) == 1


async def test_a_payload_is_kept_only_if_its_type_says_so(url: str) -> None:
    """The payload of a finished job, which may hold secrets, is gone from the table as well."""
    handlers = JobHandlers()

    async def work(ctx: JobContext, secret: str) -> None: ...

    handlers.register("keeps", work, keep_payload=True)
    handlers.register("drops", work)
    async with queue_on(url, handlers) as queue:
        for name in ("keeps", "drops"):
            await queue.wait(await queue.submit(name, {"secret": "ermine"}))
            waits = await queue.submit(name, {"secret": "ermine"}, delay=3600)
            await queue.cancel(waits)
    rows = await rows_of(url, "SELECT type, payload FROM stoat_jobs.job")
    kept = {(row["type"], row["payload"]) for row in rows}
    assert kept == {("keeps", '{"secret":"ermine"}'), ("drops", None)}


async def test_a_record_that_the_engine_forgot_is_queued_again(url: str) -> None:
    """After an old dump, a live record without a row of the engine runs all the same."""
    async with queue_on(url, working(), options={"worker": False}) as submitter:
        job_id = await submitter.submit("work", {"n": 3})
        await rows_of(url, "DELETE FROM stoat_jobs.pgqueuer")
        async with queue_on(url, working()):
            assert (await submitter.wait(job_id)).result == 3


async def test_however_many_the_engine_forgot_are_queued_again(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """More than fit in one notice or one statement, one sweep after another without a pause."""
    async with queue_on(url, working(), options={"worker": False}) as submitter:
        await submitter.submit_many("work", [{"n": n} for n in range(1_001)])
        await rows_of(url, "DELETE FROM stoat_jobs.pgqueuer")
        async with queue_on(url, working(), concurrency=100):

            async def are_done() -> bool:
                return not await submitter.list_jobs(status=("pending", "running"), limit=1)

            await until(are_done)
    swept = [each for each in caplog.records if each.getMessage() == "jobs_queued_again"]
    assert sum(each.__dict__["number"] for each in swept) == 1_001
    assert "side_task_failed" not in caplog.text


LARGE = """
INSERT INTO stoat_jobs.job (id, seq, type, metadata, is_kept, timeout, keep_payload, status,
    started_at, finished_at, result)
SELECT gen_random_uuid(), nextval('stoat_jobs.pgqueuer_id_seq'), 'work', '{}', false, 300, false,
    'completed', now(), now() - interval '1 day', '"' || repeat('x', 3000000) || '"'
FROM generate_series(1, 12) AS n
"""


@pytest.mark.parametrize("is_told", [True, False])
async def test_large_records_go_a_few_at_a_time(
    url: str, monkeypatch: pytest.MonkeyPatch, is_told: bool
) -> None:
    """No statement reads more than it can in its time, nor anything if no observer wants it."""
    fetch, read = Connections.fetch, list[int]()

    async def measured(connections: Connections, sql: str, *args: Any, **more: Any) -> Any:
        rows = await fetch(connections, sql, *args, **more)
        read.append(sum(len(row["result"] or "") for row in rows if "result" in row))
        return rows

    gone = Gone()
    async with queue_on(url, working(), options={"worker": False}):
        await rows_of(url, LARGE)
    monkeypatch.setattr(Connections, "fetch", measured)
    async with queue_on(url, working(), [gone] if is_told else [], result_ttl=3600):

        async def are_gone() -> bool:
            return not await rows_of(url, "SELECT FROM stoat_jobs.job")

        await until(are_gone)
    assert len(set(gone.ids)) == len(gone.ids) == (12 if is_told else 0)
    assert sum(read) == (12 * 3_000_002 if is_told else 0)
    assert max(read) <= 8_000_000
