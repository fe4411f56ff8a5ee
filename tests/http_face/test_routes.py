"""Every route, under every framework."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from ..support import SAFETY_NET
from ..support.mounted import HOSTS, JOBS, OPEN, Face, serving


@pytest.fixture(params=HOSTS, ids=lambda host: host.__name__)
async def face(request: Any) -> AsyncIterator[Face]:
    """An app that lets everybody do everything."""
    async with serving(request.param, **OPEN) as served:
        yield served


def is_problem(answer: httpx.Response, status: int, name: str) -> bool:
    """Whether *answer* is this problem, as RFC 9457 has them."""
    problem = answer.json()
    return (
        answer.headers["content-type"] == "application/problem+json"
        and answer.status_code == problem["status"] == status
        and problem["type"] == f"urn:stoat-jobs:problem:{name}"
        and bool(problem["title"] and problem["detail"])
    )


async def test_submit(face: Face) -> None:
    """A submission is answered with 202, its record, where that is, and when to ask."""
    answer = await face.post("/", json={"job_type": "held", "payload": {"message": "m"}})
    assert answer.status_code == 202
    record = answer.json()
    assert answer.headers["location"] == f"{JOBS}/{record['job_id']}"
    assert answer.headers["retry-after"] == "1"
    assert (record["job_type"], record["result"]) == ("held", None)


async def test_submit_twice_with_a_key(face: Face) -> None:
    """A second submission with the key of a job that runs gives that job."""
    submission = {"job_type": "held", "key": "one"}
    places = [(await face.post("/", json=submission)).headers["location"] for _ in range(2)]
    assert places[0] == places[1]


async def test_read_a_live_job(face: Face) -> None:
    """A job that goes on is read with 200, and the answer says when to ask again."""
    place = await face.submit("held", message="half")
    await face.get(f"{place}/wait?timeout=0")
    answer = await face.get(place)
    assert answer.status_code == 200
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["content-type"] == "application/json"
    record = answer.json()
    assert (record["status"], record["progress"], record["message"]) == ("running", 0.5, "half")


async def test_read_a_finished_job(face: Face) -> None:
    """A finished job's record has its result, and the answer asks nobody to come again."""
    answer = await face.get(await face.finished("double", n=21))
    assert "retry-after" not in answer.headers
    record = answer.json()
    assert (record["status"], record["result"], record["result_error"]) == ("completed", 42, None)


async def test_read_what_was_seen(face: Face) -> None:
    """Who has the record as it is gets 304 without it, and who has another gets the record."""
    place = await face.finished("double", n=1)
    tag = (await face.get(place)).headers["etag"]
    for seen in (tag, f'"other", W/{tag}', "*"):
        answer = await face.get(place, headers={"if-none-match": seen})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert (await face.get(place, headers={"if-none-match": '"other"'})).status_code == 200


async def test_list_what_was_seen(face: Face) -> None:
    """Who polls the list is sent it again only when a job in it has changed."""
    await face.finished("double", n=1)
    first = await face.get("/")
    seen = {"if-none-match": first.headers["etag"]}
    again = await face.get("/", headers=seen)
    assert (again.status_code, again.content) == (304, b"")
    await face.finished("double", n=2)
    changed = await face.get("/", headers=seen)
    assert (changed.status_code, len(changed.json())) == (200, 2)


async def test_the_tag_changes_with_the_record(face: Face) -> None:
    """A record that has changed is not taken for the one that was seen."""
    place = await face.submit("held")
    tag = (await face.get(place)).headers["etag"]
    face.works.gate.set()
    await face.get(f"{place}/wait")
    assert (await face.get(place, headers={"if-none-match": tag})).status_code == 200


async def test_wait_for_the_end(face: Face) -> None:
    """A long poll is answered as soon as the job ends, with its terminal record."""
    place = await face.submit("held")
    poll = asyncio.ensure_future(face.get(f"{place}/wait?timeout=25"))
    await face.get(place)
    assert not poll.done()
    face.works.gate.set()
    answer = await asyncio.wait_for(poll, SAFETY_NET)
    assert (answer.status_code, answer.json()["result"]) == (200, "let go")


async def test_wait_in_vain(face: Face) -> None:
    """When the time is up, a long poll is answered with 202 and the record as it is."""
    answer = await face.get(f"{await face.submit('held')}/wait?timeout=0.01")
    assert (answer.status_code, answer.json()["status"]) == (202, "running")
    assert answer.headers["retry-after"] == "1"


async def test_wait_for_a_finished_job(face: Face) -> None:
    """A long poll for a job that has ended is answered at once."""
    answer = await face.get(f"{await face.finished('double', n=1)}/wait?timeout=60")
    assert (answer.status_code, answer.json()["result"]) == (200, 2)


async def test_events(face: Face) -> None:
    """A stream has the record as it is, then changes, and ends after the terminal one."""
    place = await face.submit("held", message="half")
    stream = asyncio.ensure_future(face.get(f"{place}/events"))
    await face.get(f"{place}/wait?timeout=0.01")
    face.works.gate.set()
    answer = await asyncio.wait_for(stream, SAFETY_NET)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    names = [line for line in answer.text.splitlines() if line.startswith("event: ")]
    assert names == ["event: change"] * (len(names) - 1) + ["event: end"]
    assert len(names) >= 2


async def test_events_of_a_finished_job(face: Face) -> None:
    """The stream of a finished job is its end alone; who has seen that comes no more."""
    place = await face.finished("double", n=1)
    answer = await face.get(f"{place}/events")
    assert answer.text.count("event: ") == answer.text.count("event: end\n") == 1
    seen = answer.text.split("id: ")[1].split("\n")[0]
    again = await face.get(f"{place}/events", headers={"last-event-id": seen})
    assert (again.status_code, again.content) == (204, b"")


async def test_cancel(face: Face) -> None:
    """A cancel is answered with 202 and the record, and the job ends cancelled."""
    place = await face.submit("held")
    answer = await face.post(f"{place}/cancel")
    assert (answer.status_code, answer.json()["cancel_requested"]) == (202, True)
    assert (await face.get(f"{place}/wait")).json()["status"] == "cancelled"


async def test_cancel_too_late(face: Face) -> None:
    """A cancel of a finished job is a conflict, and changes nothing."""
    place = await face.finished("double", n=1)
    assert is_problem(await face.post(f"{place}/cancel"), 409, "job-finished")
    assert (await face.get(place)).json()["status"] == "completed"


async def test_list(face: Face) -> None:
    """A list has the newest first, of one status or type if asked, and not more than asked."""
    first = await face.finished("double", n=1)
    second = await face.submit("held")
    for query, places in {
        "": [second, first],
        "?limit=1": [second],
        "?status=completed": [first],
        "?job_type=held": [second],
        "?job_type=held&status=completed": [],
    }.items():
        listed = (await face.get(f"/{query}")).json()
        assert [f"{JOBS}/{record['job_id']}" for record in listed] == places


async def test_stats(face: Face) -> None:
    """The counts are the queue's."""
    await face.finished("double", n=1)
    assert (await face.get("/stats")).json()["by_status"]["completed"] == 1


async def test_health(face: Face) -> None:
    """A queue that takes jobs is healthy, and the answer says nothing more."""
    answer = await face.get("/health")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("path", ["", "/wait", "/events"])
async def test_an_unknown_job(face: Face, path: str) -> None:
    """An unknown id is a problem that names several server processes as a likely cause."""
    answer = await face.get(f"/5f0c3b0e-8f0e-4f43-9a4e-0b9a6f2f7f0d{path}")
    assert is_problem(answer, 404, "job-not-found")
    assert "several server processes" in answer.json()["detail"]
    assert is_problem(await face.post("/unknown/cancel"), 404, "job-not-found")


async def test_what_does_not_fit(face: Face) -> None:
    """Bad input is a problem with pydantic's details."""
    for query in ("?limit=0", f"?limit={10**30}", "?status=done", "?limit=x"):
        answer = await face.get(f"/{query}")
        assert is_problem(answer, 422, "invalid-request")
        assert answer.json()["errors"][0]["loc"][0] == "query"
    answer = await face.post("/", json={"job_type": "double", "payload": {"n": "x"}})
    assert is_problem(answer, 422, "invalid-payload")
    assert answer.json()["errors"][0]["loc"] == ["n"]


@pytest.mark.parametrize("timeout", ["nan", "inf", "-1", "61", "1e999", ""])
async def test_a_long_poll_without_a_sensible_end(face: Face, timeout: str) -> None:
    """No client has the server wait longer than it bears."""
    place = await face.submit("held")
    assert is_problem(await face.get(f"{place}/wait?timeout={timeout}"), 422, "invalid-request")


async def test_the_path_of_all_jobs_without_a_slash(face: Face) -> None:
    """Whether one slash more or less is written makes no difference to who follows redirects."""
    face.client.follow_redirects = True
    assert (await face.get("")).json() == (await face.get("/")).json() == []
