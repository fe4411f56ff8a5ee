"""A request that is repeated with its Idempotency-Key starts one job."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import Request

from stoat_jobs.http import AccessRequest, allow_all, jobs_router

from ..support.mounted import BOTH_FACES, HOSTS, OPEN, SUBMITTABLE, Face, serving
from .test_routes import is_problem

BY_FACE = pytest.mark.parametrize("host", BOTH_FACES, ids=lambda host: host.__name__)
KEY = '"8e03978e-40d5-43dd-bc93-6894a57f9324"'


async def submit(face: Face, key: str | None = KEY, n: int = 1, **more: Any) -> httpx.Response:
    """The answer to a submission with this header."""
    body = {"job_type": "double", "payload": {"n": n}, **more.pop("body", {})}
    headers = {} if key is None else {"idempotency-key": key}
    return await face.post("/", json=body, headers={**headers, **more})


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.__name__)
async def test_a_repeated_request_gets_the_first_job(host: Any) -> None:
    """A request that is repeated is answered as the first, also when its job has finished."""
    async with serving(host, **OPEN) as face:
        first = await submit(face)
        assert first.status_code == 202
        place = first.headers["location"]
        assert (await face.get(f"{place}/wait")).json()["result"] == 2
        again = await submit(face)
        assert (again.status_code, again.headers["location"]) == (202, place)
        assert again.json()["result"] == 2
        assert len(await face.works.queue.list_jobs()) == 1


@BY_FACE
async def test_another_payload_under_one_key(host: Any) -> None:
    """A key that comes again with another payload is refused, and starts nothing."""
    async with serving(host, **OPEN) as face:
        first = await submit(face)
        answer = await submit(face, n=2)
        assert is_problem(answer, 422, "key-conflict")
        assert first.json()["job_id"] not in answer.text
        assert len(await face.works.queue.list_jobs()) == 1


@BY_FACE
async def test_another_key_is_another_job(host: Any) -> None:
    """Two keys are two jobs, and so are two requests without one."""
    async with serving(host, **OPEN) as face:
        answers = [await submit(face, key) for key in ('"a"', '"b"', None, None)]
        assert len({answer.json()["job_id"] for answer in answers}) == 4


async def test_quotes_may_be_left_out() -> None:
    """A value without quotes is the same as in quotes; in quotes, \\ escapes quotes and itself."""
    async with serving(BOTH_FACES[0], **OPEN) as face:
        ids = [(await submit(face, key)).json()["job_id"] for key in ('"a+/=:1"', "a+/=:1")]
        assert ids[0] == ids[1]
        record = (await submit(face, r'"say \"no\" to \\"')).json()
        assert record["key"] == r'Idempotency-Key: say "no" to \ '.strip()


@pytest.mark.parametrize(
    "key",
    ["", '""', '"a', 'a"', '"a" "b"', '"a", "b"', "a,b", "a;b", '"a";b=1', r'"\a"', "a b"]
    + ['"ä"', f'"{"x" * 254}"', "x" * 256],
)
@BY_FACE
async def test_what_is_no_key(host: Any, key: str) -> None:
    """A header that is empty, too long or no string is refused by its name, and not repeated."""
    async with serving(host, **OPEN) as face:
        answer = await face.client.post(
            "/api/jobs/",
            json={"job_type": "double", "payload": {"n": 1}},
            headers={b"idempotency-key": key.encode()},
        )
        assert is_problem(answer, 422, "invalid-request")
        (error,) = answer.json()["errors"]
        assert error["loc"] == ["header", "Idempotency-Key"]
        assert await face.works.queue.list_jobs() == []


async def test_the_longest_key() -> None:
    """A header of 255 characters is a key."""
    async with serving(BOTH_FACES[0], **OPEN) as face:
        assert (await submit(face, "x" * 255)).status_code == 202


@BY_FACE
async def test_two_headers(host: Any) -> None:
    """Two headers are refused, because one of them would be ignored."""
    async with serving(host, **OPEN) as face:
        answer = await face.client.post(
            "/api/jobs/",
            json={"job_type": "double", "payload": {"n": 1}},
            headers=[("idempotency-key", '"a"'), ("idempotency-key", '"a"')],
        )
        assert is_problem(answer, 422, "invalid-request")


@BY_FACE
async def test_the_two_kinds_of_key_do_not_meet(host: Any) -> None:
    """A key in the body never means the job of a header: not both at once, nor in its words."""
    async with serving(host, **OPEN) as face:
        assert is_problem(await submit(face, body={"key": "a"}), 422, "invalid-request")
        first = await submit(face, '"a"')
        other = await submit(face, None, body={"key": "a"})
        assert other.json()["job_id"] != first.json()["job_id"]
        forged = await submit(face, None, body={"key": first.json()["key"]})
        assert is_problem(forged, 422, "invalid-request")
        assert [error["loc"] for error in forged.json()["errors"]] == [["body", "key"]]


async def owners_only(access: AccessRequest) -> bool:
    owner = access.record and access.record.metadata.get("owner")
    return access.record is None or owner == access.request.headers["user"]


async def owner(request: Request) -> dict[str, str]:
    return {"owner": request.headers["user"]}


@BY_FACE
async def test_a_key_opens_no_job_of_others(host: Any) -> None:
    """Who sends the key of somebody else's job is not given it, whatever the payload."""
    options: dict[str, Any] = {"authorize": owners_only, "metadata": owner}
    async with serving(host, **options, submittable=SUBMITTABLE) as face:
        first = await submit(face, user="ada")
        for n in (1, 2):
            answer = await submit(face, user="bob", n=n)
            assert is_problem(answer, 409, "key-in-use")
            assert first.json()["job_id"] not in f"{answer.text}{answer.headers}"
        assert (await submit(face, user="ada")).json()["job_id"] == first.json()["job_id"]


async def items_of(access: AccessRequest) -> dict[str, str]:
    return {"owner": access.request.headers["user"]}


@BY_FACE
async def test_clients_with_jobs_of_their_own_have_keys_of_their_own(host: Any) -> None:
    """Two clients may choose the same key, and each gets a job of its own."""
    async with serving(host, authorize=items_of, submittable=SUBMITTABLE) as face:
        first, other = await submit(face, user="ada"), await submit(face, user="bob", n=2)
        assert [answer.status_code for answer in (first, other)] == [202, 202]
        assert first.json()["job_id"] != other.json()["job_id"]
        again = await submit(face, user="ada")
        assert again.json()["job_id"] == first.json()["job_id"]
        forged = await submit(face, None, user="bob", body={"key": first.json()["key"]})
        assert is_problem(forged, 422, "invalid-request")


def test_it_is_described_where_jobs_are_submitted() -> None:
    """The OpenAPI document has the header where clients may submit, and not elsewhere."""
    for submittable in ([], ["double"]):
        app = FastAPI()
        app.include_router(jobs_router(authorize=allow_all, submittable=submittable))
        assert ("Idempotency-Key" in str(app.openapi())) is bool(submittable)
