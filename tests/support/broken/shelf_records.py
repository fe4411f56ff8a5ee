"""Queues that break a promise about many records, or about finished jobs."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from stoat_jobs import AsyncioJobQueue, JobPage, JobResult, JobStatus, QueueStats
from stoat_jobs._backends.job_index import JobIndex
from stoat_jobs._backends.retention import Retention
from stoat_jobs.backends import cursor_at, place_of


class CountsFromTheTop(AsyncioJobQueue):
    """Its cursors are numbers of records, which are others once one has gone."""

    async def list_jobs(self, **filters: Any) -> JobPage[Any]:
        before, limit = filters.pop("before", None), filters.pop("limit", 100)
        start = 0 if before is None else place_of(before)
        found = list(await super().list_jobs(**filters, limit=1_000))
        end = start + limit
        return JobPage(found[start:end], cursor_at(end) if end < len(found) else None)


class HasAlwaysANextPage(AsyncioJobQueue):
    """Its last page has a cursor too."""

    async def list_jobs(self, **filters: Any) -> JobPage[Any]:
        page = await super().list_jobs(**filters)
        return JobPage(page, page.cursor or cursor_at(0))


class TakesAnyCursor(AsyncioJobQueue):
    """Begins at the top with a cursor that it does not know."""

    async def list_jobs(self, **filters: Any) -> JobPage[Any]:
        with suppress(ValueError, TypeError):
            place_of(filters["before"])
            return await super().list_jobs(**filters)
        return await super().list_jobs(**{**filters, "before": None})


class IgnoresOneFilter(AsyncioJobQueue):
    """Looks at one of the filters and not at the metadata."""

    async def list_jobs(self, **filters: Any) -> JobPage[Any]:
        return await super().list_jobs(**{**filters, "metadata": None})


class TakesOneStatus(AsyncioJobQueue):
    """Looks at the first of several statuses."""

    async def list_jobs(self, **filters: Any) -> JobPage[Any]:
        if isinstance(filters.get("status"), list):
            filters["status"] = filters["status"][:1]
        return await super().list_jobs(**filters)


class CancelsWhatRuns(AsyncioJobQueue):
    """Its ``cancel_all`` forgets what waits."""

    async def cancel_all(self, **filters: Any) -> int:
        return await super().cancel_all(**{**filters, "status": JobStatus.RUNNING})


class CancelsInOrder(AsyncioJobQueue):
    """Its ``cancel_all`` stops what runs first, and takes its time."""

    async def cancel_all(self, **filters: Any) -> int:
        records = await self.list_jobs(**filters, limit=1_000)
        count = 0
        for record in reversed(records):
            count += await self.cancel(record.job_id)
            await self._let_others_run()
            await self._let_others_run()
        return count


class CountsNoTypes(AsyncioJobQueue):
    """Its figures by type lack what is live."""

    async def stats(self) -> QueueStats:
        stats = await super().stats()
        live = dict.fromkeys((JobStatus.PENDING, JobStatus.RUNNING), 0)
        by_type = {
            name: figures.model_copy(update={"by_status": {**figures.by_status, **live}})
            for name, figures in stats.by_type.items()
        }
        return stats.model_copy(update={"by_type": by_type})


class SaysTheLongest(AsyncioJobQueue):
    """Says the 95th percentile in the place of the median."""

    async def stats(self) -> QueueStats:
        stats = await super().stats()
        by_type = {
            name: figures.model_copy(update={"duration_median_s": figures.duration_p95_s})
            for name, figures in stats.by_type.items()
        }
        return stats.model_copy(update={"by_type": by_type})


class DeletesLiveJobs(AsyncioJobQueue):
    """Deletes jobs that have not finished, too."""

    async def delete(self, job_id: str) -> bool:
        job = self._index.get(job_id)
        if not job.is_finished:
            self._index._forget(job)
            return True
        return await super().delete(job_id)


class OnlySaysThatItDeletes(AsyncioJobQueue):
    """Says that a record is gone, and keeps it."""

    async def delete(self, job_id: str) -> bool:
        return self._index.get(job_id).is_finished


class _CountsWhatIsGone(Retention):
    def __len__(self) -> int:
        return len(self._finished)


class _IndexThatCountsWhatIsGone(JobIndex):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        clock, ttl, most, _ = args
        self.retention = _CountsWhatIsGone(clock, ttl, most, self._remove)


class LeavesNoRoom(AsyncioJobQueue):
    """Counts deleted records for ``max_results``."""

    _index_type = _IndexThatCountsWhatIsGone


class _Silent(JobIndex):
    def _remove(self, job: Any, reason: Any) -> None:
        self._forget(job)


class RemovesInSilence(AsyncioJobQueue):
    """Tells no observer that a record is gone."""

    _index_type = _Silent


class ShowsNoPayload(AsyncioJobQueue):
    """Shows the payload while the job is live."""

    async def get_result(self, job_id: str) -> JobResult[Any]:
        return _without_payload(await super().get_result(job_id))

    async def wait(self, job_id: str, timeout: float | None = None) -> JobResult[Any]:
        return _without_payload(await super().wait(job_id, timeout))


def _without_payload(record: JobResult[Any]) -> JobResult[Any]:
    return record.model_copy(update={"payload": None}) if record.status.is_terminal else record


class SharesPayloads(AsyncioJobQueue):
    """Gives all readers the same payload."""

    _shown: Any = None

    async def wait(self, job_id: str, timeout: float | None = None) -> JobResult[Any]:
        record = await super().wait(job_id, timeout)
        self._shown = record.payload
        return record

    async def get_result(self, job_id: str) -> JobResult[Any]:
        record = await super().get_result(job_id)
        return record.model_copy(update={"payload": self._shown})


class ForgetsOrigins(AsyncioJobQueue):
    """A job that is submitted again does not say what it was."""

    async def submit(self, *args: Any, metadata: Any = None, **options: Any) -> str:
        metadata = {k: v for k, v in (metadata or {}).items() if k != "resubmitted_from"}
        return await super().submit(*args, metadata=metadata, **options)


class ForgetsLimits(AsyncioJobQueue):
    """A job that is submitted again has the time limit of its type."""

    _again = False

    async def resubmit(self, job_id: str) -> str:
        self._again = True
        return await super().resubmit(job_id)

    async def submit(self, *args: Any, timeout: Any = None, **options: Any) -> str:
        timeout = None if self._again else timeout
        return await super().submit(*args, timeout=timeout, **options)


class RunsLiveJobsAgain(AsyncioJobQueue):
    """Submits a job that has not finished once more."""

    async def resubmit(self, job_id: str) -> str:
        job = self._index.get(job_id)
        if not job.is_finished:
            return await self.submit(job.job_type, job.payload.arguments)
        return await super().resubmit(job_id)


class RunsAnythingAgain(AsyncioJobQueue):
    """Submits a job whose payload it does not have once more, with an empty one."""

    async def resubmit(self, job_id: str) -> str:
        return await self.submit(self._index.get(job_id).job_type)
