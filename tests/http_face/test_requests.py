"""Bodies and paths of every bad kind."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stoat_jobs import JobQueueSettings
from stoat_jobs.http import HttpLimits
from stoat_jobs.http._requests import Submission

from ..support.mounted import BOTH_FACES, JOBS, OPEN, Face, serving
from .test_routes import is_problem

LIMITS = HttpLimits(max_body_bytes=1000)
JSON = {"content-type": "application/json"}


@pytest.fixture(params=BOTH_FACES, ids=lambda host: host.__name__)
async def face(request: Any) -> AsyncIterator[Face]:
    """An app that takes small bodies; nothing that a test sends is to be accepted."""
    settings = JobQueueSettings(max_payload_depth=4)
    async with serving(request.param, settings, **OPEN, limits=LIMITS) as served:
        yield served
        assert await served.works.queue.list_jobs() == []


def nested(levels: int) -> bytes:
    inner = b"[" * levels + b"]" * levels
    return b'{"job_type": "double", "payload": {"n": %b}}' % inner


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "json_invalid"),
        (b"{", "json_invalid"),
        (b"\xff", "json_invalid"),
        (b'{"job_type": "\xed\xa0\x80"}', "json_invalid"),
        (rb'{"job_type": "\ud800"}', "json_invalid"),
        (b'{"job_type": "double", "payload": {"n": NaN}}', "json_invalid"),
        (b'{"job_type": "double", "payload": {"n": -Infinity}}', "json_invalid"),
        (nested(300), "json_invalid"),
        (b'{"job_type": "double", "payload": {"n": ' + b"9" * 5000 + b"}}", None),
        (b"null", "model_type"),
        (b"[]", "model_type"),
        (b"{}", "missing"),
        (b'{"job_type": 1}', "string_type"),
        (b'{"job_type": "double", "payload": []}', "dict_type"),
        (b'{"job_type": "double", "timeout": 1}', "extra_forbidden"),
        (b'{"job_type": "double", "key": ""}', "string_too_short"),
    ],
    ids=range(16),
)
async def test_a_body_that_is_no_submission(face: Face, body: bytes, kind: str | None) -> None:
    """It is refused by name before any job is made, whatever it is."""
    answer = await face.post("/", content=body, headers=JSON)
    assert answer.status_code in (413, 422), answer.text
    if kind is not None:
        assert is_problem(answer, 422, "invalid-request")
        assert answer.json()["errors"][0]["type"] == kind


async def test_a_key_that_is_too_long() -> None:
    """A key over 1 KiB of UTF-8 is refused by name, as the queue would."""
    async with serving(BOTH_FACES[0], **OPEN) as face:
        submission = {"job_type": "double", "payload": {"n": 1}, "key": "ä" * 513}
        answer = await face.post("/", json=submission)
        assert is_problem(answer, 422, "invalid-request")
        assert answer.json()["errors"][0]["loc"] == ["body", "key"]


async def test_a_key_with_u0000() -> None:
    """It is refused by name, as the queue would; the description of the API says so, too."""
    async with serving(BOTH_FACES[0], **OPEN) as face:
        submission = {"job_type": "double", "payload": {"n": 1}, "key": "a\0b"}
        answer = await face.post("/", json=submission)
        assert is_problem(answer, 422, "invalid-request")
        (error,) = answer.json()["errors"]
        assert error["loc"] == ["body", "key"]
        assert "U+0000" in error["msg"]
    (key, _) = Submission.model_json_schema()["properties"]["key"]["anyOf"]
    assert re.search(key["pattern"], "a b\n")
    assert not re.search(key["pattern"], "a\0b")


async def test_a_secret_is_not_sent_back(face: Face) -> None:
    """A refusal names the field, and does not repeat what stood there."""
    submission = {"job_type": "double", "payload": {"n": "hunter2"}, "key": ["hunter2"]}
    for body in (submission, {**submission, "key": None}):
        answer = await face.post("/", json=body)
        assert answer.status_code == 422
        assert "hunter2" not in answer.text


async def test_a_body_over_the_limit__fault_52(face: Face) -> None:
    """A body that says it is too large is not read at all."""

    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("it was read")
        yield b""

    headers = {**JSON, "content-length": "1001"}
    answer = await face.post("/", content=never(), headers=headers)
    assert is_problem(answer, 413, "body-too-large")
    assert "1000 bytes" in answer.json()["detail"]


async def test_a_body_without_end__fault_52(face: Face) -> None:
    """Of a body that does not end, no more is read than it may have."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 1_000_000:  # were it read, the test should fail, not the machine
            sent += 100
            yield b"[" * 100

    answer = await face.post("/", content=endless(), headers=JSON)
    assert is_problem(answer, 413, "body-too-large")
    assert sent == 1100


@pytest.mark.parametrize("length", [b"-1", b"+5", b"1e9", b"9" * 5000, b"x", b"\xb2"], ids=repr)
async def test_a_length_that_is_none(face: Face, length: bytes) -> None:
    """Where a server lets a senseless length through, the body is counted all the same."""

    async def body() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 100

    headers = [(b"content-type", b"application/json"), (b"content-length", length)]
    answer = await face.post("/", content=body(), headers=headers)
    assert is_problem(answer, 413, "body-too-large")


@pytest.mark.parametrize("levels", [5, 64, 150])
async def test_a_deep_payload__fault_52(face: Face, levels: int) -> None:
    """Deep nesting is an error with a name, not a crash."""
    answer = await face.post("/", content=nested(levels), headers=JSON)
    assert is_problem(answer, 422, "invalid-payload")
    assert answer.json()["errors"][0]["type"] == "too_deep"


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonp"]
)
async def test_a_body_of_another_type(face: Face, media_type: str) -> None:
    """What a form on another site can send without asking is not taken for JSON."""
    body = b'{"job_type": "double", "payload": {"n": 1}}'
    answer = await face.post("/", content=body, headers={"content-type": media_type})
    assert is_problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "job_id", ["%00", "%0d%0aset-cookie:%20a", "%ff", "a" * 5000, "%F0%9F%90%BE", "..", "%2e%2e"]
)
async def test_an_id_of_any_kind(face: Face, job_id: str) -> None:
    """An id that no queue has made is not found, and forges no header and no line."""
    for path in ("", "/wait", "/events"):
        answer = await face.get(f"{JOBS}/{job_id}{path}")
        assert answer.status_code == 404
        assert "set-cookie" not in answer.headers
        assert len(answer.content) < 1000


async def test_a_method_or_path_that_is_not_there(face: Face) -> None:
    """What is not there is a problem document, too, and says which methods are."""
    answer = await face.client.put(f"{JOBS}/stats")
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]
    assert (await face.get("/a/b/c")).status_code == 404


async def test_all_methods_of_the_list_are_named() -> None:
    """An answer 405 names each method of its path."""
    async with serving(BOTH_FACES[0], **OPEN) as face:
        answer = await face.client.delete(f"{JOBS}/")
        assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
        assert answer.headers["content-type"] == "application/problem+json"


async def test_head() -> None:
    """A HEAD of a stream is answered at once, with the headers alone."""
    async with serving(BOTH_FACES[0], **OPEN) as face:
        answer = await face.client.head(f"{await face.begun('held')}/events")
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.content == b""
