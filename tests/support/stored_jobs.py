"""Jobs as a store is given them, and what a process does that keeps some and is killed."""

from __future__ import annotations

import sys
import uuid
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import Any

from stoat_jobs import JobResult, JobStatus
from stoat_jobs._sqlite.store import SqliteStore
from stoat_jobs.backends import StoredJob, as_datetime

RUNNING = {"status": JobStatus.RUNNING}
COMPLETED = {"status": JobStatus.COMPLETED}

EPOCH = 1_800_000_000.0


def stored_job(number: int, *, payload: str = "{}", result: str = "", **record: Any) -> StoredJob:
    """A pending job, or what *record* says of it; ids are as random as they always are."""
    submitted = EPOCH + number
    of_record = {"job_id": str(uuid.uuid4()), "job_type": "scan", "status": "pending"} | record
    is_live = of_record["status"] in ("pending", "running")
    return StoredJob(
        record=JobResult[Any](submitted_at=datetime.fromtimestamp(submitted, UTC), **of_record),
        number=number,
        submitted=submitted,
        payload=payload,
        result=result,
        timeout=60.0,
        finish_number=0 if is_live else number,
    )


def changed(job: StoredJob, *, record: dict[str, Any], **changes: Any) -> StoredJob:
    """*job* with other values."""
    return job.model_copy(update={"record": job.record.model_copy(update=record), **changes})


def finished_job(number: int, **record: Any) -> StoredJob:
    """A job that completed two seconds after its submission."""
    submitted = EPOCH + number
    times = {"started_at": as_datetime(submitted + 1), "finished_at": as_datetime(submitted + 2)}
    return stored_job(number, payload="", **({"status": "completed"} | times | record))


def kept(store: SqliteStore) -> list[StoredJob]:
    """What is live in *store*, in its order."""
    return sorted(store.live(), key=attrgetter("number"))


def wal_size(store: SqliteStore) -> int:
    """The bytes of its WAL."""
    return Path(f"{store.path}-wal").stat().st_size


def hold(path: Path) -> None:
    """Keep one job after the other, and say the id of each, until somebody kills this process.

    Something in it has opened and closed the file, as a backup would: so SQLite's locks are gone.
    """
    store = SqliteStore(path, synchronous="normal")
    store.open()
    path.read_bytes()
    number = max((job.number for job in store.live()), default=0)
    while True:
        number += 1
        job = stored_job(number)
        store.write([job], [], [])
        print(job.job_id, flush=True)


if __name__ == "__main__":
    hold(Path(sys.argv[1]))
