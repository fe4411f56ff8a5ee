"""Many processes on one database: the start, keys, clocks, other code, other schemas."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import asyncpg
import pytest

from stoat_jobs import JobStatus

from ...support.fleet.fleet import PATIENCE, Fleet, until
from ...support.postgres import installing

SHORT = {"lease": 2.0}


async def test_processes_that_start_at_once_make_one_schema__fault_45(fleet: Fleet) -> None:
    """Five processes create the tables of an empty database at once, and others find them."""
    for number in (5, 2):
        gate = fleet.ledger.with_name(f"{number} start")
        workers = [fleet.begin_worker("--gate", str(gate)) for _ in range(number)]
        for worker in workers:
            await fleet.up(worker, "ready")
        gate.touch()
        for worker in workers:
            await fleet.up(worker)
        async with fleet.queue() as queue:
            assert (await queue.wait(await queue.submit("echo"))).status is JobStatus.COMPLETED


async def test_a_key_is_one_job_whoever_submits_it(fleet: Fleet) -> None:
    """Forty submits of one key in four processes are one job."""
    workers = [fleet.begin_worker() for _ in range(4)]
    for worker in workers:
        await fleet.up(worker)
    async with fleet.queue() as queue:
        job_ids = [await queue.submit("submit_hold", {"key": "one"}) for _ in range(40)]
        records = [await queue.wait(job_id) for job_id in job_ids]
        (held,) = {str(record.result) for record in records}
        fleet.let_go(*workers)
        assert (await queue.wait(held)).status is JobStatus.COMPLETED
    assert len(fleet.starts(held)) == 1
    assert len({entry["job"] for entry in fleet.books.entries("start", type="hold")}) == 1


@pytest.fixture
def wrong_clock() -> Path:
    """The library for it; on a build server it is a failure if there is none."""
    found = installing.wrong_clock()
    if found is None:
        leave = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        leave("no wrong clocks: install Debian's libfaketime")
    return found


@pytest.mark.parametrize("offset", ["+1h", "-1h"])
async def test_a_clock_that_is_wrong_runs_nothing_twice_or_early__fault_44(
    fleet: Fleet, offset: str, wrong_clock: Path
) -> None:
    """The server's clock decides: a worker an hour off takes no healthy job, and none too soon."""
    wrong = {
        "LD_PRELOAD": str(wrong_clock),
        "FAKETIME": offset,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_RESET": "1",
    }
    await fleet.worker(options=SHORT, only=["sleep"])
    async with fleet.queue(options=SHORT) as queue:
        job_id = await queue.submit("sleep", {"seconds": 3 * SHORT["lease"]})
        await fleet.started(job_id)
        other = await fleet.worker(options=SHORT, environment=wrong)
        later = await queue.submit("number", {"n": 1}, delay=600)
        soon = await queue.submit("number", {"n": 1}, delay=0.5)
        assert (await queue.wait(job_id)).status is JobStatus.COMPLETED
        record = await queue.wait(soon)
        assert (await queue.get_status(later)) is JobStatus.PENDING
        now = await queue.get_result(await queue.submit("number", {"n": 1}))
    (start,) = fleet.starts(soon)
    assert start["pid"] == other.pid
    assert len(fleet.starts(job_id)) == 1
    assert not fleet.starts(later)
    # Its times are the server's too.
    assert record.finished_at is not None
    assert record.started_at is not None
    assert record.submitted_at <= record.started_at <= record.finished_at <= now.submitted_at


async def test_a_worker_leaves_job_types_that_it_does_not_know(fleet: Fleet) -> None:
    """What only newer code has waits for a worker that has it; it counts as no loss."""
    await fleet.worker(only=["echo"])
    async with fleet.queue() as queue:
        unknown = await queue.submit("number", {"n": 1})
        for _ in range(5):
            await queue.wait(await queue.submit("echo"))
        assert (await queue.get_status(unknown)) is JobStatus.PENDING
        await fleet.worker()
        assert (await queue.wait(unknown)).status is JobStatus.COMPLETED
    assert len(fleet.starts(unknown)) == 1


async def test_a_payload_that_older_code_refuses_waits_for_newer(fleet: Fleet) -> None:
    """It is put back, and runs as soon as a worker takes it that can read it."""
    older = await fleet.worker("--older", only=["number", "echo"])
    async with fleet.queue() as queue:
        job_id = await queue.submit("number", {"n": 1})
        await fleet.logged("payload_refused", job_id=job_id)
        async with asyncio.timeout(PATIENCE):
            while (await queue.get_status(job_id)) is not JobStatus.PENDING:
                await asyncio.sleep(0.02)
        older.terminate()
        await older.ended()
        await fleet.worker()
        assert (await queue.wait(job_id)).status is JobStatus.COMPLETED


async def test_a_payload_that_is_always_refused_fails_with_the_reason(fleet: Fleet) -> None:
    """It is tried for some minutes, and is then failed."""
    async with fleet.queue() as queue:
        job_id = await queue.submit("number", {"n": 1})
        connection = await asyncpg.connect(fleet.url)
        # As if it had been refused all the time.
        await connection.execute("UPDATE stoat_jobs.job SET refusals = 1000")
        await connection.close()
        await fleet.worker("--older", only=["number"])
        record = await queue.wait(job_id)
    assert (record.status, record.error_type) == (JobStatus.FAILED, "InvalidPayloadError")
    assert record.error is not None
    assert "m" in record.error


async def test_one_slot_runs_one_job_at_a_time(fleet: Fleet) -> None:
    """`concurrency=1`, which PgQueuer's own loop refuses, works."""
    await fleet.worker(concurrency=1)
    async with fleet.queue() as queue:
        job_ids = [await queue.submit("sleep", {"seconds": 0.05}) for _ in range(6)]
        for job_id in job_ids:
            assert (await queue.wait(job_id)).status is JobStatus.COMPLETED
    events = [e["what"] for e in fleet.books.entries() if e["what"] in ("start", "end")]
    assert events == ["start", "end"] * 6


async def test_a_cancel_reaches_a_job_of_another_process(fleet: Fleet) -> None:
    """Its handler is told, and its record stays, where PgQueuer's own cancel deletes the row."""
    await fleet.worker()
    async with fleet.queue() as queue:
        job_id = await queue.submit("hold")
        await fleet.started(job_id)
        assert await queue.cancel(job_id)
        record = await queue.wait(job_id)
        assert (record.status, record.cancel_requested) == (JobStatus.CANCELLED, True)
        assert await queue.get_result(job_id) == record
    assert [each["error"] for each in fleet.books.entries("raise")] == ["CancelledError"]
    assert len(fleet.starts(job_id)) == 1


async def test_queues_in_two_schemas_do_not_mix(fleet: Fleet) -> None:
    """Neither their jobs nor their notices."""
    one, other = {"schema": "one"}, {"schema": "other"}
    worker = await fleet.worker(options=other)
    async with fleet.queue(options=one) as queue, fleet.queue(options=other) as second:
        notices: list[tuple[str, str]] = []
        connection = await asyncpg.connect(fleet.url)
        for channel in ("one.jobs", "one.engine"):
            await connection.add_listener(
                channel, lambda *notice: notices.append((notice[2], notice[3]))
            )
        job_id = await second.submit("echo", {"value": 1})
        assert (await second.wait(job_id)).result == 1
        assert notices == []
        waiting = await queue.submit("echo")
        await until(lambda: notices)
        await second.wait(await second.submit("echo"))
        assert (await queue.get_status(waiting)) is JobStatus.PENDING
        assert len(await second.list_jobs()) == 2
        await connection.close()
    assert {start["pid"] for start in fleet.starts()} == {worker.pid}


async def test_the_environment_renames_none_of_our_tables(fleet: Fleet) -> None:
    """PgQueuer's environment variables, set in one process, keep it from no other's jobs."""
    names = {
        "PGQUEUER_PREFIX": "other_",
        "PGQUEUER_SCHEMA": "elsewhere",
        "PGQUEUER_CHANNEL": "another",
        "PGQUEUER_QUEUE_TABLE": "waiting",
        "PGQUEUER_DURABILITY": "volatile",
    }
    await fleet.worker(environment=names)
    async with fleet.queue() as queue:
        assert (await queue.wait(await queue.submit("echo"))).status is JobStatus.COMPLETED
    connection = await asyncpg.connect(fleet.url)
    persistence = await connection.fetch(
        "SELECT relname, relpersistence FROM pg_class"
        " WHERE relnamespace = 'stoat_jobs'::regnamespace AND relkind = 'r'"
    )
    await connection.close()
    assert {row["relpersistence"] for row in persistence} == {b"p"}
    assert {"job", "pgqueuer"} <= {row["relname"] for row in persistence}
