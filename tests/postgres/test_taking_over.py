"""When a worker takes over the jobs of another one, and when it does not."""

from __future__ import annotations

import asyncio

import pytest

from stoat_jobs import JobStatus
from stoat_jobs._postgres import claims

from ..support.postgres.cluster import Cluster
from .queues import queue_on, rows_of, until
from .test_claims import Types, _lose


async def deliveries(url: str, job_id: str) -> int:
    (row,) = await rows_of(url, "SELECT delivery FROM stoat_jobs.job WHERE id = $1::uuid", job_id)
    return int(row["delivery"])


@pytest.mark.parametrize("words", [claims._HEARTBEAT, "words of a later version"])
async def test_each_worker_has_a_lease_of_its_own(
    url: str, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    """A worker with a short lease takes nothing of one with a long lease, which beats seldom."""
    monkeypatch.setattr(claims, "_HEARTBEAT", words)
    types = Types(hold=None)
    async with queue_on(url, types.handlers, concurrency=1, options={"lease": 3600.0}) as patient:
        job_id = await patient.submit("hold", {"n": 1})
        await types.gate.until(1)
        other = await patient.submit("hold", {"n": 2})
        await _lose(url, other, losses=0)
        async with queue_on(url, types.handlers, options={"lease": 1.0}):
            await types.gate.until(2)  # so this one takes over what has been lost
            assert await deliveries(url, other) == 2
            assert await deliveries(url, job_id) == 1
            types.gate.opened.set()
            assert (await patient.wait(job_id)).status is JobStatus.COMPLETED


async def test_a_full_worker_notices_an_outage(own_cluster: Cluster) -> None:
    """With its first free slot after it, it takes no job whose owner may be about to beat."""
    url, own, others = own_cluster.url, Types(own=None, fresh=None), Types(hold=None)
    options = {"lease": 2.0}
    one = queue_on(url, own.handlers, concurrency=1, options=options)
    own.handlers.register("hold", own.hold)
    two = queue_on(url, others.handlers, concurrency=1, options=options)
    async with queue_on(url, own.handlers, options={"worker": False}) as submitter, one, two:
        await submitter.submit("own", {"n": 1})
        await own.gate.until(1)
        job_id = await submitter.submit("hold", {"n": 2})
        await others.gate.until(1)
        assert two._life is not None
        assert two._life.worker is not None
        await asyncio.sleep(options["lease"])  # of unbroken contact
        two._life.worker._beat.close()  # as if it were slow to find the server again
        own_cluster.stop("immediate")
        await asyncio.sleep(1.5 * options["lease"])
        own_cluster.start()
        fresh = await submitted(submitter)
        own.gate.opened.set()
        assert (await submitter.wait(fresh)).status is JobStatus.COMPLETED
        assert await deliveries(url, job_id) == 1
        others.gate.opened.set()


async def submitted(submitter: object) -> str:
    ids: list[str] = []

    async def is_accepted() -> bool:
        try:
            ids.append(await submitter.submit("fresh", {"n": 3}))  # type: ignore[attr-defined]
        except Exception:
            return False
        return True

    await until(is_accepted)
    return ids[0]


@pytest.mark.parametrize(("status", "times"), [("pending", 2), ("running", 3)])
async def test_a_job_that_is_buried_says_how_often_it_was_lost(
    url: str, status: str, times: int
) -> None:
    """Also one that was waiting, when ``max_deliveries`` was lowered."""
    types = Types(hold=None)
    options = {"lease": 1.0, "max_deliveries": 2}
    async with queue_on(url, types.handlers, options={"worker": False}) as submitter:
        job_id = await submitter.submit("hold")
        await _lose(url, job_id, losses=2)
        if status == "pending":
            await rows_of(url, "UPDATE stoat_jobs.job SET status = 'pending', started_at = NULL")
            await rows_of(
                url,
                "UPDATE stoat_jobs.pgqueuer SET status = 'queued', queue_manager_id = NULL",
            )
        async with queue_on(url, types.handlers, options=options):
            record = await submitter.wait(job_id)
    assert record.error_type == "WorkerLost"
    assert f"lost {times} times" in (record.error or "")
