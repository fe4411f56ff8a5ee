"""What clients see of a job."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from httpx_sse import EventSource
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr

from stoat_jobs import JobResult, JobStatus
from stoat_jobs.http import JobRecord
from stoat_jobs.http._records import ShownRecord
from stoat_jobs.http._sse import event

from ..support.mounted import BOTH_FACES, OPEN, serving

BY_FACE = pytest.mark.parametrize("host", BOTH_FACES, ids=lambda host: host.__name__)
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def record(**fields: Any) -> JobResult[Any]:
    """A record as queues make them, which nothing validates."""
    completed = {"job_id": "i", "job_type": "t", "status": JobStatus.COMPLETED, "submitted_at": NOW}
    return JobResult.model_construct(**{**completed, **fields})


def seen(given: JobResult[Any]) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(ShownRecord(given, expose_errors=False).body)
    return decoded


class Report(BaseModel):
    files: int = Field(serialization_alias="fileCount")
    raw: bytes = b""
    key: SecretStr = SecretStr("hunter2")


class Unreadable:
    """Its parts cannot be looked at."""

    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("hunter2")


class Broken(BaseModel):
    lock: Any

    def __repr__(self) -> str:
        raise RuntimeError("hunter2")


def endless() -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


def deep() -> list[Any]:
    tower: list[Any] = []
    for _ in range(10_000):
        tower = [tower]
    return tower


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        (None, None),
        ({"a": [1, "ä"]}, {"a": [1, "ä"]}),
        (Report(files=3), {"fileCount": 3, "raw": "", "key": "**********"}),
        (NOW, "2026-01-02T00:00:00Z"),
        (b"\xff\x00", "_wA="),
        ([math.nan, math.inf], [None, None]),
    ],
    ids=["none", "plain", "model", "time", "bytes", "not a number"],
)
def test_a_result_that_has_json(result: Any, shown: Any) -> None:
    """A result is shown as FastAPI would show it, models and bytes too; secrets stay secret."""
    assert (seen(record(result=result))["result"], seen(record(result=result))["result_error"]) == (
        shown,
        None,
    )


@pytest.mark.parametrize(
    "result",
    [object(), Unreadable(), Broken(lock=object()), endless(), deep(), "\ud800", {"a": {1, len}}],
    ids=["plain", "unreadable", "broken", "endless", "deep", "surrogate", "inside"],
)
def test_a_result_that_has_none(result: Any) -> None:
    """A result that has no JSON is null, and its type is named; reading it breaks nothing."""
    shown = seen(record(result=result))
    assert (shown["result"], shown["result_error"]) == (None, type(result).__name__)


@BY_FACE
async def test_a_result_without_json_over_http(host: Any) -> None:
    """A job whose result has no JSON is read, listed and followed all the same."""
    async with serving(host, **OPEN) as face:
        place = await face.finished("opaque")
        shown = (await face.get(place)).json()
        assert (shown["status"], shown["result"]) == ("completed", None)
        assert shown["result_error"] == "Lock"
        assert [row["job_id"] for row in (await face.get("/")).json()] == [shown["job_id"]]
        assert '"result_error":"Lock"' in (await face.get(f"{place}/events")).text


@BY_FACE
async def test_the_text_of_an_error_is_not_shown__fault_48(host: Any) -> None:
    """By default a client sees what kind of error it was, and nothing of its text."""
    async with serving(host, **OPEN) as face:
        place = await face.finished("fails")
        for path in (place, f"{place}/wait", f"{place}/events", "/"):
            answer = await face.get(path)
            assert '"error":"PermissionError","error_type":"PermissionError"' in answer.text
            assert "hunter2" not in answer.text
            assert "Traceback" not in answer.text


@BY_FACE
async def test_the_text_of_an_error_is_shown_if_wanted(host: Any) -> None:
    """With expose_errors a client sees the one line that the record has, never a traceback."""
    async with serving(host, **OPEN, expose_errors=True) as face:
        answer = await face.get(await face.finished("fails", text="no\nway"))
        assert answer.json()["error"] == r"no\nway"
        assert "Traceback" not in answer.text


def test_what_is_shown_is_what_is_documented() -> None:
    """The JSON of a record has the fields of JobRecord, and is one."""
    shown = ShownRecord(record(result=1), expose_errors=False).body
    assert JobRecord[int].model_validate_json(shown).result == 1
    assert set(json.loads(shown)) == set(JobRecord.model_fields)


texts = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["\n\nevent: end\ndata: {}\n\n", "\r\rid: x\r\r", "a\u2028b\u0085c\x0b", "\x00"]
)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(texts, texts, st.dictionaries(texts, texts))
def test_no_text_forges_an_event__fault_53(
    job_type: str, message: str, metadata: dict[str, str]
) -> None:
    """Whatever a job type, a message, metadata or a result hold, it is one event with one line."""
    given_record = record(job_type=job_type, message=message, metadata=metadata, result=[message])
    sent = event(ShownRecord(given_record, expose_errors=True))
    (received,) = EventSource(
        httpx.Response(200, headers={"content-type": "text/event-stream"}, content=sent)
    ).iter_sse()
    assert received.event == "end"
    shown = json.loads(received.data)
    assert (shown["job_type"], shown["message"], shown["result"]) == (job_type, message, [message])
    assert shown["metadata"] == metadata


def test_the_tag_is_that_of_the_record() -> None:
    """The same record has the same tag in every process, and another has another."""
    tags = [ShownRecord(record(attempt=n), expose_errors=False).tag for n in (0, 0, 1)]
    assert tags[0] == tags[1] != tags[2]
    assert tags[0].isalnum()
