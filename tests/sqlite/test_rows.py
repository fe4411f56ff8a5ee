"""A job comes back from its row as it was."""

from __future__ import annotations

import math
import pickle
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stoat_jobs import JobResult, JobStatus
from stoat_jobs._model.records import unchecked_record
from stoat_jobs._sqlite.rows import COLUMNS, finished_of, job_of, row_of
from stoat_jobs._sqlite.store import SqliteStore
from stoat_jobs.backends import FinishedJob, StoredJob, as_datetime

from ..support.stored_jobs import stored_job

TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(["\0", "a\0b", "🦦"])
STAMPS = st.floats(0, 8e9)
TIMES = st.integers(0, 8_580_000_000_000_000).map(
    lambda microseconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(2**63, 2**200) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
COUNTS = st.integers(0, 2**62)


@st.composite
def stored_jobs(draw: st.DrawFn) -> StoredJob:
    """Any job that a queue may give to its store."""
    submitted = draw(STAMPS)
    record = JobResult[Any](
        job_id=draw(st.uuids().map(str)),
        job_type=draw(TEXT),
        status=draw(st.sampled_from(JobStatus)),
        error=draw(st.none() | TEXT),
        error_type=draw(st.none() | TEXT),
        progress=draw(st.none() | st.floats(0, 1)),
        message=draw(st.none() | TEXT),
        attempt=draw(COUNTS),
        submitted_at=datetime.fromtimestamp(submitted, UTC),
        started_at=draw(st.none() | TIMES),
        finished_at=draw(TIMES),
        cancel_requested=draw(st.booleans()),
        metadata=draw(st.dictionaries(TEXT, JSON, max_size=3)),
        key=draw(st.none() | TEXT),
        not_before=draw(st.none() | TIMES),
    )
    return StoredJob(
        record=record,
        number=draw(COUNTS),
        submitted=submitted,
        payload=draw(TEXT),
        result=draw(TEXT),
        timeout=draw(st.floats(0, allow_nan=False) | st.just(math.inf)),
        unique=draw(st.sampled_from(["live", "kept"])),
        payload_digest=draw(TEXT),
        deliveries=draw(COUNTS),
        finish_number=draw(COUNTS),
    )


@pytest.fixture(scope="module")
def store() -> Iterator[SqliteStore]:
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder, "jobs.db"), synchronous="normal")
        store.open()
        yield store
        store.close()


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(job=stored_jobs(), later=stored_jobs())
def test_every_field_comes_back(store: SqliteStore, job: StoredJob, later: StoredJob) -> None:
    """With its exact value and type: a new job, and what has become of it."""
    store.write([job], [], [])
    try:
        assert store.read([job.job_id]) == [job]
        ids = {"job_id": job.job_id}
        # A live job keeps its payload, and none loses its result.
        ended = {"status": JobStatus.FAILED, **ids}
        become = later.model_copy(
            update={
                "record": later.record.model_copy(update=ended),
                "number": job.number,
                "payload": "",
                "result": later.result or job.result,
            }
        )
        store.write([], [become], [])
        assert store.read([job.job_id]) == [become]
    finally:
        store.write([], [], [job.job_id])


@given(job=stored_jobs())
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_what_is_known_of_a_finished_job(store: SqliteStore, job: StoredJob) -> None:
    """Its entry is the same, whether it is made of the job or read."""
    record = job.record.model_copy(update={"status": JobStatus.COMPLETED})
    job = job.model_copy(update={"record": record})
    store.write([job], [], [])
    try:
        (entry,) = store.finished()
    finally:
        store.write([], [], [job.job_id])
    expected = FinishedJob.of(job)
    for name in FinishedJob.__dataclass_fields__:
        assert getattr(entry, name) == getattr(expected, name), name


def test_a_record_that_was_read_is_like_any_other(store: SqliteStore) -> None:
    """It has the types of a validated one, and can be copied, compared and made text."""
    job = stored_job(1, metadata={"nested": [{"n": 2**70}]}, cancel_requested=True)
    store.write([job], [], [])
    (read,) = store.read([job.job_id])
    store.write([], [], [job.job_id])
    assert type(read.record.status) is JobStatus
    assert read.record.cancel_requested is True
    assert StoredJob.model_validate_json(read.model_dump_json()) == job
    assert pickle.loads(pickle.dumps(read)) == job
    assert read.model_copy(update={"number": 2}) != job
    assert read.model_fields_set == set(StoredJob.model_fields)


def test_types_are_shared() -> None:
    """A hundred thousand finished jobs of one type keep its name once."""
    types = [bytes.decode(b"scan") for _ in range(2)]
    assert types[0] is not types[1]
    rows = [("a", each, "completed", 1, 1, 1.0, None, 2.0, None, None, "") for each in types]
    assert finished_of(rows[0]).job_type is finished_of(rows[1]).job_type


def test_a_row_has_every_field() -> None:
    """A field that is added to a record or to a stored job has a column too."""
    kept_apart = {"record", "payload", "result", "submitted_at", "unique"}
    fields = {*StoredJob.model_fields, *JobResult.model_fields} - kept_apart
    columns = {name.removesuffix("_at") for name in COLUMNS} | {"submitted"}
    assert {name.removesuffix("_at") for name in fields} <= columns
    assert len(row_of(stored_job(1))) == len(COLUMNS)
    assert set(vars(job_of((*row_of(stored_job(1)), "", "")))) == set(StoredJob.model_fields)
    record = job_of((*row_of(stored_job(1)), "", "")).record
    assert set(vars(record)) == set(vars(unchecked_record(dict(vars(stored_job(1).record)))))


def test_microseconds() -> None:
    """A time that is stored as a float comes back to the microsecond."""
    moment = datetime(2026, 11, 29, 12, 0, 0, 123457, tzinfo=UTC)
    for step in range(1000):
        time = moment + timedelta(microseconds=step)
        assert as_datetime(time.timestamp()) == time
