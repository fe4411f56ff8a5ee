"""What callers and observers are given."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel, ValidationError

from stoat_jobs import (
    FinishedEvent,
    JobResult,
    JobStatus,
    ProgressEvent,
    QueueStats,
    RemovedEvent,
    StartedEvent,
    SubmittedEvent,
    SubmittingEvent,
)
from stoat_jobs._model.records import unchecked_record

MOMENT = datetime(2024, 2, 29, 12, 30, tzinfo=UTC)


class Report(BaseModel):
    files: int


def record(**changes: Any) -> JobResult[Any]:
    given: dict[str, Any] = {
        "job_id": "the-id",
        "job_type": "scan",
        "status": JobStatus.COMPLETED,
        "result": {"files": 3},
        "progress": 1.0,
        "submitted_at": MOMENT,
        "started_at": MOMENT + timedelta(seconds=1),
        "finished_at": MOMENT + timedelta(seconds=2),
        "metadata": {"user": "me"},
        "key": "k",
        "not_before": MOMENT + timedelta(seconds=1),
        "payload": {"root": "/srv"},
    }
    return JobResult(**{**given, **changes})


FIELDS = {
    "job_id": "the-id",
    "job_type": "scan",
    "status": "completed",
    "result": {"files": 3},
    "error": None,
    "error_type": None,
    "progress": 1.0,
    "message": None,
    "attempt": 0,
    "submitted_at": "2024-02-29T12:30:00Z",
    "started_at": "2024-02-29T12:30:01Z",
    "finished_at": "2024-02-29T12:30:02Z",
    "cancel_requested": False,
    "metadata": {"user": "me"},
    "key": "k",
    "not_before": "2024-02-29T12:30:01Z",
    "payload": {"root": "/srv"},
}


def test_a_record_has_the_designs_fields() -> None:
    """A record has what the design lists."""
    assert list(JobResult.model_fields) == list(FIELDS)


@pytest.mark.parametrize("field", FIELDS)
def test_a_record_is_frozen(field: str) -> None:
    """No field of a record can be set or removed."""
    frozen = record()
    before = copy.deepcopy(frozen)
    with pytest.raises(ValidationError, match="frozen"):
        setattr(frozen, field, None)
    with pytest.raises(ValidationError, match="frozen"):
        delattr(frozen, field)
    assert frozen == before


def test_a_record_is_json() -> None:
    """A record goes to JSON and back; times are ISO 8601 in UTC."""
    text = record().model_dump_json()
    assert json.loads(text) == FIELDS
    assert JobResult[dict[str, int]].model_validate_json(text) == record()


def test_a_record_is_typed_by_its_result() -> None:
    """`JobResult[Report]` checks the result of a record that comes from JSON."""
    typed = JobResult[Report].model_validate_json(record().model_dump_json())
    assert typed.result == Report(files=3)
    with pytest.raises(ValidationError, match="result.files"):
        JobResult[Report].model_validate(record(result={"files": "many"}).model_dump())


def test_a_record_survives_pickle() -> None:
    """A record goes to another process, as part of an error too."""
    assert pickle.loads(pickle.dumps(record())) == record()


def test_a_record_that_was_not_checked_is_like_one_that_was() -> None:
    """What a queue gives out is pydantic's own record in every way, though it is not validated."""
    checked = record(result=3)
    made = unchecked_record({**vars(checked)})
    assert (made, repr(made)) == (checked, repr(checked))
    assert made.model_dump_json() == checked.model_dump_json()
    assert made.model_fields_set == set(JobResult.model_fields)
    for twin in (copy.deepcopy(made), pickle.loads(pickle.dumps(made)), made.model_copy()):
        assert twin == checked
    assert made.model_copy(update={"result": 4}).result == 4
    with pytest.raises(ValidationError):
        made.result = 5  # type: ignore[misc]


def test_records_share_the_names_of_their_fields() -> None:
    """A hundred thousand of them would take 2 KB each; a copy has its own, and may have more."""
    first, second = (unchecked_record({**vars(record())}) for _ in range(2))
    assert first.model_fields_set is second.model_fields_set
    for copied in (first.model_copy(update={"more": 1}), copy.deepcopy(first), copy.copy(first)):
        copied.model_fields_set.add("another")
    assert first.model_fields_set == set(JobResult.model_fields)


@pytest.mark.parametrize("kind", [JobResult, JobResult[Report]], ids=["any", "typed"])
def test_every_field_of_the_schema_is_described(kind: Any) -> None:
    """The schema, which an API publishes, says of every field what it means."""
    properties = kind.model_json_schema(mode="serialization")["properties"]
    assert list(properties) == list(FIELDS)
    assert [name for name in properties if "description" not in properties[name]] == []


async def test_a_record_is_a_response_model() -> None:
    """FastAPI serves records, plain and typed, and publishes the type of the result."""
    app = FastAPI()

    @app.get("/plain")
    async def plain() -> JobResult:
        return record(result=Report(files=3))

    @app.get("/typed")
    async def typed() -> JobResult[Report]:
        return record(result=Report(files=3))

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/plain")).json() == FIELDS
        assert (await client.get("/typed")).json() == FIELDS
        schema = (await client.get("/openapi.json")).json()
    assert "Report" in schema["components"]["schemas"]


def test_default_metadata_is_shared_by_nobody() -> None:
    """Records without metadata have a dict each."""
    first, second = (
        JobResult(job_id="", job_type="", status=JobStatus.PENDING, submitted_at=MOMENT)
        for _ in range(2)
    )
    first.metadata["a"] = "b"
    assert second.metadata == {}


def test_stats_are_a_frozen_json_record() -> None:
    """A queue's counts can be served, and not be changed."""
    stats = QueueStats(
        by_status=dict.fromkeys(JobStatus, 0), abandoned=1, slots_in_use=2, concurrency=3
    )
    assert json.loads(stats.model_dump_json()) == {
        "by_status": {status.value: 0 for status in JobStatus},
        "abandoned": 1,
        "slots_in_use": 2,
        "concurrency": 3,
        "by_type": {},
    }
    with pytest.raises(ValidationError, match="frozen"):
        stats.abandoned = 0  # type: ignore[misc]
    fields = QueueStats.model_fields.values()
    assert all(field.description for field in fields)


EVENTS: list[Any] = [
    SubmittingEvent("scan", {"root": "."}, {}),
    SubmittedEvent("the-id", "scan", {}),
    StartedEvent("the-id", "scan", 0, {}),
    ProgressEvent("the-id", "scan", 0, 0.5, None),
    FinishedEvent(record(), 1.0),
    RemovedEvent(record(), "age"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_events_are_frozen(event: Any) -> None:
    """One observer cannot change what the next one is told."""
    for field in dataclasses.fields(event):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(event, field.name, None)


@pytest.mark.parametrize("event", EVENTS[1:], ids=lambda event: type(event).__name__)
def test_each_event_of_a_job_says_which_and_of_what_type(event: Any) -> None:
    """What counts or traces jobs reads the same two fields, whatever has happened."""
    shown = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    expected = getattr(event, "record", event)
    assert (shown["job_id"], shown["job_type"]) == (expected.job_id, expected.job_type)
    assert (event.job_id, event.job_type) != ("", "")
