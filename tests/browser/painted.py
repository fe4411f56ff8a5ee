"""Jobs as a shop might have them, for the pictures: an hour of them, the same each time."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any
from uuid import UUID

from starlette.applications import Starlette

from stoat_jobs import (
    AsyncioJobQueue,
    JobNotFoundError,
    JobPage,
    JobResult,
    JobStatus,
    QueueStats,
    lifespan,
)
from stoat_jobs.backends import JobFilter
from stoat_jobs.http import allow_all, jobs_app

CONCURRENCY = 8
CALM, RUSH = 1.5, 7.0  # jobs a minute

# Job type: how often, seconds that it takes, how often it fails, the error, the last message.
WORK: dict[str, tuple[float, float, float, tuple[str, str], str]] = {
    "resize_photos": (
        *(6, 9, 0.02),
        ("UnidentifiedImageError", "cannot identify image file 'banner-spring.heic'"),
        "48 of 48 photos",
    ),
    "send_invoice": (
        *(8, 1.4, 0.05),
        ("SMTPServerDisconnected", "Connection unexpectedly closed: mail.example.com"),
        "sent",
    ),
    "import_orders": (
        *(3, 38, 0.08),
        ("KeyError", "'postcode' in row 1,204 of orders-2026-03.csv"),
        "12,480 rows",
    ),
    "nightly_report": (
        *(1, 95, 0.15),
        ("OperationalError", "deadlock detected on table sales_by_day"),
        "6 of 6 chapters",
    ),
    "sync_stock": (
        *(3, 16, 0.04),
        ("ConnectTimeout", "no answer from the warehouse within 10 s"),
        "3,118 articles",
    ),
}
RUNNING = [
    ("import_orders", 0.62, "7,737 of 12,480 rows", 24.0, 0),
    ("resize_photos", 0.35, "17 of 48 photos", 3.2, 0),
    ("nightly_report", 0.83, "chapter 5 of 6: returns by region", 81.0, 1),
    ("sync_stock", None, "waiting for the warehouse", 6.0, 0),
]
PENDING = ("send_invoice", "resize_photos")
LATELY = (
    (97, "send_invoice", JobStatus.COMPLETED),
    (118, "import_orders", JobStatus.COMPLETED),
    (131, "sync_stock", JobStatus.FAILED),
    (144, "resize_photos", JobStatus.COMPLETED),
    (171, "resize_photos", JobStatus.CANCELLED),
    (186, "send_invoice", JobStatus.COMPLETED),
)
PEOPLE = ("ada", "grace", "linus", "margaret")


class Painted(AsyncioJobQueue):
    """A queue that shows made-up records."""

    def __init__(self) -> None:
        super().__init__()
        self.records = list(_newest_first(datetime.now(UTC)))

    async def list_jobs(self, *, limit: int = 100, **filters: Any) -> JobPage[Any]:
        filters.pop("before", None)
        wanted = JobFilter.checked(**filters)
        return JobPage(islice(filter(wanted.matches, self.records), limit))

    async def get_result(self, job_id: str) -> JobResult[Any]:
        for record in self.records:
            if record.job_id == job_id:
                return record
        raise JobNotFoundError(job_id)

    async def stats(self) -> QueueStats:
        counted = Counter(record.status for record in self.records)
        return QueueStats(
            by_status={status: counted[status] for status in JobStatus},
            abandoned=0,
            slots_in_use=len(RUNNING),
            concurrency=CONCURRENCY,
        )


def painted_app() -> Starlette:
    """A shop's app with its jobs."""
    app = Starlette(lifespan=partial(lifespan, queue=Painted()))
    app.mount("/jobs", jobs_app(authorize=allow_all, expose_errors=True), name="jobs")
    return app


def _newest_first(now: datetime) -> Iterator[JobResult[Any]]:
    dice = random.Random(7)
    for age, job_type in enumerate(PENDING, start=1):
        yield _record(dice, job_type, JobStatus.PENDING, now - timedelta(seconds=age))
    for job_type, progress, message, seconds, attempt in sorted(RUNNING, key=lambda each: each[3]):
        started = now - timedelta(seconds=seconds)
        yield _record(
            *(dice, job_type, JobStatus.RUNNING, started - timedelta(seconds=0.8)),
            started_at=started,
            progress=progress,
            message=message,
            attempt=attempt,
        )
    yield from _lately(dice, now)
    moment = now - timedelta(seconds=200)
    while moment > now - timedelta(minutes=59):
        yield _ended(dice, moment)
        rush = 14 < (now - moment).total_seconds() / 60 < 26
        moment -= timedelta(minutes=dice.expovariate(RUSH if rush else CALM * 2))


def _lately(dice: random.Random, now: datetime) -> Iterator[JobResult[Any]]:
    """What has just ended, each in another way."""
    for age, job_type, status in LATELY:
        submitted = now - timedelta(seconds=age)
        _, seconds, _, (error_type, error), message = WORK[job_type]
        fate: dict[str, Any] = {"progress": 1.0, "message": message}
        if status is JobStatus.FAILED:
            fate = {"error": error, "error_type": error_type, "attempt": 2}
        elif status is JobStatus.CANCELLED:
            fate = {"error": "cancelled", "error_type": "Cancelled", "cancel_requested": True}
        elif job_type == "import_orders":
            fate["result"] = _result(dice, job_type)
        end = {"started_at": submitted, "finished_at": submitted + timedelta(seconds=seconds)}
        yield _record(dice, job_type, status, submitted, **fate, **end)


def _ended(dice: random.Random, submitted: datetime) -> JobResult[Any]:
    job_type = dice.choices([*WORK], [each[0] for each in WORK.values()])[0]
    _, seconds, failing, (error_type, error), message = WORK[job_type]
    started = submitted + timedelta(seconds=dice.uniform(0.01, 1.5))
    took = timedelta(seconds=seconds * dice.uniform(0.5, 1.6))
    failing *= 3 if dice.random() < 0.2 else 0.6
    chance = dice.random()
    end: dict[str, Any] = {"started_at": started, "finished_at": started + took}
    if chance < failing:
        fate = {"error": error, "error_type": error_type, "progress": 0.4}
        return _record(dice, job_type, JobStatus.FAILED, submitted, attempt=2, **fate, **end)
    if chance > 0.985:
        fate = {"error": "timed out after 300 s", "error_type": "Timeout", "progress": 0.9}
        return _record(dice, job_type, JobStatus.TIMEOUT, submitted, **fate, **end)
    if chance > 0.965:
        fate = {"error": "cancelled", "error_type": "Cancelled", "cancel_requested": True}
        return _record(dice, job_type, JobStatus.CANCELLED, submitted, **fate, **end)
    result = _result(dice, job_type)
    fate = {"progress": 1.0, "message": message, "result": result}
    return _record(dice, job_type, JobStatus.COMPLETED, submitted, **fate, **end)


def _result(dice: random.Random, job_type: str) -> Any:
    if job_type != "import_orders":
        return {"done": True, "items": dice.randrange(1, 4000)}
    return {
        "file": "orders-2026-03.csv",
        "rows": 12480,
        "created": 11902,
        "updated": 561,
        "skipped": [
            {"row": 1204, "reason": "no postcode"},
            {"row": 8730, "reason": "unknown article"},
        ],
        "total": {"net": 184220.15, "tax": 35001.83, "currency": "EUR"},
        "dry_run": False,
    }


def _record(
    dice: random.Random, job_type: str, status: JobStatus, submitted: datetime, **more: Any
) -> JobResult[Any]:
    return JobResult(
        job_id=str(UUID(int=dice.getrandbits(128), version=4)),
        job_type=job_type,
        status=status,
        submitted_at=submitted,
        metadata={"user": dice.choice(PEOPLE), "request": f"req-{dice.getrandbits(24):06x}"},
        **more,
    )


app = painted_app()
