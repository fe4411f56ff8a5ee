"""The queue: what callers see."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import ValidationError

from .._backends.submission import checked_submission, checked_submissions
from .._events.observers import Observers
from .._jobs.context import current_job_id
from .._jobs.handlers import JobHandlers
from .._jobs.job_types import JobType
from .._jobs.protocols import JobTypes, MetadataFilter, Statuses, Unique
from .._model.capabilities import Capabilities
from .._model.errors import BackendError, JobNotFoundError, PayloadNotKeptError
from .._model.filters import JobFilter
from .._model.metadata import ORIGIN
from .._model.options import checked_limit
from .._model.pages import JobPage, place_of
from .._model.records import JobResult
from .._model.settings import JobQueueSettings, required, without_input
from .._model.stats import QueueStats
from .._model.status import PENDING, RUNNING, JobStatus
from .._text import shown
from .claims import check_job_types
from .connections import Connections
from .keeper import ttl_of
from .life import Life
from .lifecycle import Lifecycle
from .options import PostgresOptions
from .reading_sql import ReadingSql
from .records import Records, checked_id
from .rows import metadata_of
from .schema import no_tables
from .sql import IDS_IN_A_NOTICE, Sql
from .telling import Telling
from .url import address_of
from .waiting import Watch, until_finished

NO_PAYLOAD: Mapping[str, Any] = {}

# Bytes of a job type's name: an entry of the server's indexes has at most some 2,700.
_LONGEST_NAME = 512


class PostgresJobQueue(Lifecycle):
    """Jobs on a PostgreSQL server, for many processes on many machines.

    Use it where one machine or one process is not enough. ``settings.url`` says where the server
    is: ``postgresql://user:password@host/database``. Processes with the same server and schema
    share the jobs; those that only submit have ``options={"worker": False}``.

    Delivery is at-least-once, so make handlers idempotent. Results are JSON.
    """

    name: ClassVar[str] = "postgres"

    def __init__(
        self,
        handlers: JobHandlers | None = None,
        settings: JobQueueSettings | None = None,
        observers: Iterable[Any] = (),
    ) -> None:
        settings = required(JobQueueSettings, settings, "settings")
        self.handlers: JobHandlers = required(JobHandlers, handlers, "handlers")
        self.settings: JobQueueSettings = settings
        self.app: Any = None
        self.options: PostgresOptions = _checked_options(self.name, settings)
        self._observers = Observers(observers)
        self._sql = Sql(self.options.schema_name)
        address = address_of(self.name, settings.url)
        self._connections = Connections(self.name, address, self.options)
        reading = ReadingSql(self.options.schema_name)
        self._records = Records(
            self._connections, reading, ttl_of(settings), lambda: self.handlers, self._no_tables
        )

    def _no_tables(self) -> BackendError | None:
        """What a reader is told where there are none, unless a start would make them."""
        if self.options.create_tables:
            return None
        return BackendError(self.name, no_tables(self.options.schema_name))

    @property
    def awaits_server(self) -> bool:
        """Whether an answer of the server is under way; the clock of the test kit waits for it."""
        return self._connections.awaits_server

    def _new_life(self) -> Life:
        check_job_types(self.name, self.options, self.handlers)
        return Life(
            self,
            self.options,
            self._connections,
            self._sql,
            self._observers,
            self._records,
            self.name,
        )

    @property
    def capabilities(self) -> Capabilities:
        """What it can and cannot do."""
        return Capabilities(
            durable=True,
            cross_process=True,
            requeues_at_shutdown=self.options.on_shutdown == "requeue",
            joins_transactions=True,
            own_clock=False,
            prunes_at_once=False,
            shows_each_report=False,
            reads_in_any_thread=False,
            waits_for_newer_code=True,
            submitter_context=False,
            survives_cancelled_tasks=False,
        )

    # New jobs.

    async def submit(
        self,
        job_type: str,
        payload: Mapping[str, Any] = NO_PAYLOAD,
        *,
        timeout: float | None = None,
        key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        delay: float | timedelta | None = None,
        unique: Unique = "live",
        connection: Any = None,
    ) -> str:
        life = self._life_for("submit")
        submission = checked_submission(
            self._definition(job_type),
            self.settings,
            payload,
            timeout=timeout,
            key=key,
            metadata=metadata,
            delay=delay,
            unique=unique,
        )
        return await life.submitting.submit(submission, connection)

    async def submit_many(
        self,
        job_type: str,
        payloads: Iterable[Mapping[str, Any]],
        *,
        timeout: float | None = None,
        metadata: Mapping[str, Any] | None = None,
        delay: float | timedelta | None = None,
        connection: Any = None,
    ) -> list[str]:
        self._life_for("submit_many")
        submissions = await checked_submissions(
            self._definition(job_type),
            self.settings,
            payloads,
            timeout=timeout,
            metadata=metadata,
            delay=delay,
        )
        life = self._life_for("submit_many")  # once more, as turns were given up
        return await life.submitting.submit_many(submissions, connection)

    def _definition(self, job_type: str) -> JobType[..., Any]:
        definition = self.handlers.get(job_type)
        if len(definition.name.encode("utf-8", "replace")) > _LONGEST_NAME:
            raise ValueError(
                f"the name of job type {shown(definition.name)} must not exceed {_LONGEST_NAME}"
                f" bytes on backend {self.name!r}: register it with a shorter `name`"
            )
        return definition

    async def resubmit(self, job_id: str) -> str:
        life = self._life_for("resubmit")
        source = await self._records.source(job_id)
        status = JobStatus(source["status"])
        if not status.is_terminal:
            raise ValueError(f"job {job_id} is {status}: only a finished job is resubmitted")
        if source["source"] is None:
            raise PayloadNotKeptError(job_id, source["type"])
        definition = self._definition(source["type"])
        submission = checked_submission(
            definition,
            self.settings,
            definition.form.thaw(source["source"].encode()),
            timeout=source["timeout"],
            key=source["key"],
            metadata={**metadata_of(source), ORIGIN: job_id},
            unique="kept" if source["is_kept"] else "live",
        )
        return await life.submitting.resubmit(source, submission)

    # Reading.

    async def get_status(self, job_id: str) -> JobStatus:
        return (await self.get_result(job_id)).status

    async def get_result(self, job_id: str) -> JobResult[Any]:
        self._check_loop("get_result")
        return await self._records.get(job_id)

    async def list_jobs(
        self,
        *,
        status: Statuses | None = None,
        job_type: JobTypes | None = None,
        metadata: MetadataFilter | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> JobPage[Any]:
        limit = checked_limit(limit)
        wanted = JobFilter.checked(status=status, job_type=job_type, metadata=metadata)
        place = None if before is None else place_of(before)
        self._check_loop("list_jobs")
        return await self._records.page(wanted, place, limit) if limit else JobPage([], before)

    async def stats(self) -> QueueStats:
        self._check_loop("stats")
        counts = await self._records.counts()
        worker = None if self._life is None else self._life.worker
        return QueueStats(
            by_status=counts,
            abandoned=worker.left_behind.count() if worker else 0,
            slots_in_use=self.running_here,
            concurrency=self.settings.concurrency,
            by_type=await self._records.by_type(sum(counts.values())),
        )

    @property
    def running_here(self) -> int:
        """How many jobs run in this process now; unlike :meth:`stats`, it asks no server."""
        worker = None if self._life is None else self._life.worker
        return 0 if worker is None else len(worker.running)

    def side_task_ages(self) -> dict[str, float]:
        """For a health check: what runs beside the jobs, with the seconds since it last did well.

        Such are ``listen`` and, of a worker, ``beat``, ``claim``, ``finish`` and ``keep``. What
        waits for something to do has the age 0. Empty while the queue is not started.
        """
        return {} if self._life is None else self._life.ages()

    def watch(self, job_id: str) -> AsyncIterator[JobResult[Any]]:
        self._check_loop("watch")
        return Watch(self._telling(), self._records, job_id)

    async def wait(self, job_id: str, timeout: float | None = None) -> JobResult[Any]:
        self._check_loop("wait")
        return await until_finished(self._telling(), self._records, checked_id(job_id), timeout)

    def _telling(self) -> Telling | None:
        return None if self._life is None else self._life.telling

    # What callers do with jobs.

    async def cancel(self, job_id: str) -> bool:
        checked_id(job_id)
        self._check_loop("cancel")
        life = self._life
        if life is None:
            if not (await self._records.get(job_id)).status.is_terminal:
                self._life_for("cancel")  # which raises why not
            return False
        if life.worker is not None and life.worker.stops_otherwise(job_id):
            return False
        if await self._cancel(life, [job_id]):
            return True
        await self._records.get(job_id)
        return False

    async def _cancel(self, life: Life, job_ids: list[str]) -> int:
        """Cancel those of these jobs that are live; how many are."""
        worker = life.worker
        if worker is None:
            return len(await life.cancel(job_ids))
        with worker.not_interrupting(current_job_id.get()):
            rows = await life.cancel(job_ids)
        for row in rows:
            if row["status"] == RUNNING:
                worker.cancel(str(row["id"]))
        return len(rows)

    async def cancel_all(
        self,
        *,
        status: Statuses | None = None,
        job_type: JobTypes | None = None,
        metadata: MetadataFilter | None = None,
    ) -> int:
        wanted = JobFilter.checked(status=status, job_type=job_type, metadata=metadata)
        life = self._life_for("cancel_all")
        count = 0
        for each in (PENDING, RUNNING):  # what waits comes first: else it would get the slots
            job_ids = await self._records.live(wanted, each)
            for first in range(0, len(job_ids), IDS_IN_A_NOTICE):
                count += await self._cancel(life, job_ids[first : first + IDS_IN_A_NOTICE])
        return count

    async def delete(self, job_id: str) -> bool:
        checked_id(job_id)
        life = self._life_for("delete")
        record = await self._records.get(job_id)  # what observers are told, whatever is lost
        if record.status.is_terminal and not await life.keeper.delete(record):
            raise JobNotFoundError(job_id)  # somebody else was faster
        return record.status.is_terminal


def _checked_options(backend: str, settings: JobQueueSettings) -> PostgresOptions:
    try:
        return PostgresOptions.model_validate(settings.options)
    except ValidationError as error:
        hidden = without_input(error, f"settings of backend {backend!r}", "options")
    raise hidden  # out here, so that no chained exception shows what it hides
