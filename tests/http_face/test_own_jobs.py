"""An authorize that returns items of metadata allows what it is asked with those jobs only."""

from __future__ import annotations

import json
import logging
from collections import UserDict
from typing import Any, Self

import pytest
from starlette.requests import Request

from stoat_jobs import JobStatus
from stoat_jobs.backends import JobFilter
from stoat_jobs.http import AccessRequest, HttpLimits, Operation
from stoat_jobs.http._feed import Feeds

from ..support.mounted import BOTH_FACES, HOSTS, JOBS, SETTINGS, SUBMITTABLE, Face, Works, serving
from .test_access import NO_JOB, ROUTES, all_of, ask
from .test_pages import pages
from .test_routes import is_problem
from .test_watch_all import Reader, reading

BY_FACE = pytest.mark.parametrize("host", BOTH_FACES, ids=lambda host: host.__name__)
ADA, BOB = {"user": "ada"}, {"user": "bob"}
SOON = 0.01


async def mine(access: AccessRequest) -> Any:
    """Each user has to do with the own jobs."""
    return {"user": access.request.headers["user"]}


OWN: dict[str, Any] = {
    "authorize": mine,
    "submittable": [*SUBMITTABLE, "kept"],
    "limits": HttpLimits(max_stream_age=0.1),
}


async def submitted(face: Face, *users: str, job_type: str = "held", **payload: Any) -> list[str]:
    """The ids of new jobs of these users."""
    submit = face.works.queue.submit
    return [await submit(job_type, payload, metadata={"user": user}) for user in users]


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.__name__)
async def test_who_submits_a_job_owns_it(host: Any) -> None:
    """The items are in the metadata of a submitted job, and everything about it is open to it."""
    async with serving(host, **OWN) as face:
        face.client.headers.update(ADA)
        place = await face.submit("double", n=21)
        record = (await face.get(f"{place}/wait")).json()
        assert (record["result"], record["metadata"]) == (42, ADA)
        assert (await face.get(place)).status_code == 200
        assert "event: end" in (await face.get(f"{place}/events")).text
        again = await face.post(f"{place}/resubmit")
        assert again.json()["metadata"]["user"] == "ada"
        assert (await face.client.delete(place)).status_code == 204


@pytest.mark.parametrize("name", sorted(name for name in ROUTES if "{job_id}" in ROUTES[name][1]))
@BY_FACE
async def test_a_job_of_others_is_an_unknown_one(host: Any, name: str) -> None:
    """Whatever is asked about a job of others is answered as about an unknown one, and not done."""
    async with serving(host, **OWN) as face:
        face.client.headers.update(BOB)
        (job_id,) = await submitted(face, "ada", job_type="kept", n=1)
        answers = [await ask(face, name, place) for place in (f"{JOBS}/{job_id}", NO_JOB)]
        assert is_problem(answers[0], 404, "job-not-found")
        assert all_of(answers[0]) == all_of(answers[1])
        record = await face.works.queue.get_result(job_id)
        assert not record.cancel_requested


@BY_FACE
async def test_a_list_has_ones_own_jobs(host: Any) -> None:
    """A list is of the own jobs by all its pages, whatever it asks for."""
    async with serving(host, **OWN) as face:
        a, _, b, _, c = await submitted(face, "ada", "bob", "ada", "bob", "ada")
        face.client.headers.update(ADA)
        assert await pages(face, "/?limit=2") == [[c, b], [a]]
        assert await pages(face, "/?metadata.user=ada") == [[c, b, a]]
        for query in ("metadata.user=bob", "metadata.user=1", "metadata.other=x"):
            assert await pages(face, f"/?{query}") == [[]]
        face.client.headers.update({"user": "carl"})
        assert await pages(face, "/") == [[]]


@BY_FACE
async def test_ones_own_jobs_are_cancelled(host: Any) -> None:
    """To cancel many cancels and counts the own, also where all are meant or those of others."""
    async with serving(host, **OWN) as face:
        a, b, c = await submitted(face, "ada", "bob", "ada")
        face.client.headers.update(ADA)
        assert (await face.post("/cancel?metadata.user=bob")).json() == {"cancelled": 0}
        assert (await face.post("/cancel?all=true")).json() == {"cancelled": 2}
        for job_id in (a, c):
            assert (await face.works.queue.wait(job_id)).status is JobStatus.CANCELLED
        assert (await face.works.queue.get_result(b)).cancel_requested is False


@BY_FACE
async def test_counts_are_not_for_who_may_see_its_own(host: Any) -> None:
    """The counts of the queue are of everybody's jobs, and are refused."""
    async with serving(host, **OWN) as face:
        answer = await face.get("/stats", headers=ADA)
        assert is_problem(answer, 403, "not-allowed")
        assert "everybody" in answer.json()["detail"]


@BY_FACE
async def test_the_dashboard_is_for_who_may_see_its_own(host: Any) -> None:
    """The page is the same for all; its stream has the own jobs."""
    async with serving(host, **OWN) as face:
        assert (await face.get("/dashboard", headers=ADA)).status_code == 200
        a, _ = await submitted(face, "ada", "bob")
        text = (await face.get("/events", headers=ADA)).text
        (line,) = [line for line in text.splitlines() if line.startswith("data: ")]
        told = json.loads(line.removeprefix("data: "))
        assert [job["job_id"] for job in told["jobs"]] == [a]
        assert told["stats"] == {"by_status": {**NONE, "running": 1}, "is_partial": False}
        assert "bob" not in text


@BY_FACE
async def test_a_key_of_others_is_in_use(host: Any) -> None:
    """A key in the body that a job of others has is a conflict."""
    async with serving(host, **OWN) as face:
        body = {"job_type": "held", "key": "one"}
        first = await face.post("/", json=body, headers=ADA)
        answer = await face.post("/", json=body, headers=BOB)
        assert is_problem(answer, 409, "key-in-use")
        again = await face.post("/", json=body, headers=ADA)
        assert again.json()["job_id"] == first.json()["job_id"]


async def test_what_authorize_says_wins() -> None:
    """Of an item that the application's own metadata has too, that of authorize is kept."""

    async def metadata(request: Request) -> dict[str, str]:
        return {"user": "nobody", "from": "the web"}

    async with serving(BOTH_FACES[0], **OWN, metadata=metadata) as face:
        answer = await face.post("/", json={"job_type": "held"}, headers=ADA)
        assert answer.json()["metadata"] == {"user": "ada", "from": "the web"}


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"user": None},
        {"user": ["ada"]},
        {1: "ada"},
        {"user": float("nan")},
        [("user", "ada")],
        {"user"},
    ],
    ids=str,
)
@BY_FACE
async def test_what_is_no_filter(host: Any, answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Items that cannot be compared, or none at all, let nobody through; the log says why."""

    async def careless(access: AccessRequest) -> Any:
        return answer

    async with serving(host, authorize=careless, submittable=SUBMITTABLE) as face:
        (job_id,) = await submitted(face, "ada")
        with caplog.at_level(logging.ERROR, "stoat_jobs"):
            for name in ROUTES:
                got = await ask(face, name, f"{JOBS}/{job_id}")
                assert is_problem(got, 500, "authorization-failed")
        assert {line.message for line in caplog.records} >= {"authorize_failed"}
        (record,) = await face.works.queue.list_jobs()
        assert not record.cancel_requested


async def test_any_mapping_is_a_filter() -> None:
    """The items may be in a mapping of any kind."""

    async def wrapped(access: AccessRequest) -> Any:
        return UserDict(user=access.request.headers["user"])

    async with serving(BOTH_FACES[0], authorize=wrapped) as face:
        a, _ = await submitted(face, "ada", "bob")
        face.client.headers.update(ADA)
        assert await pages(face, "/") == [[a]]


async def test_all_for_one_and_some_for_others() -> None:
    """The answer may differ by who asks: True is everybody's jobs, items are the own."""

    async def by_role(access: AccessRequest) -> Any:
        user = access.request.headers["user"]
        return user == "root" or {"user": user}

    async with serving(BOTH_FACES[0], authorize=by_role) as face:
        a, b = await submitted(face, "ada", "bob")
        face.client.headers.update(ADA)
        assert await pages(face, "/") == [[a]]
        face.client.headers.update({"user": "root"})
        assert await pages(face, "/") == [[b, a]]
        assert (await face.get("/stats")).status_code == 200


NONE = dict.fromkeys(map(str, JobStatus), 0)


class Watched:
    """A feed of a queue that runs, and readers of it."""

    def __init__(self, works: Works, **limits: Any) -> None:
        self.works = works
        self.chunks: list[Any] = []
        self._feeds = Feeds(HttpLimits(watch_interval=SOON, **limits), expose_errors=True)

    def reader(self, **own: Any) -> Reader:
        async def check() -> JobFilter:
            return JobFilter.checked(metadata=own)

        self.chunks.append(self._feeds.follow(self.works.queue, check))
        return reading(self.chunks[-1])

    async def __aenter__(self) -> Self:
        await self.works.queue.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for chunks in self.chunks:
            await chunks.aclose()
        await self.works.queue.__aexit__(None, None, None)


async def test_readers_see_their_own_jobs_change() -> None:
    """Of one look at the queue each reader is told what is its own, with counts of that alone."""
    works = Works(SETTINGS)
    submit = works.queue.submit
    async with Watched(works) as feed:
        ada, bob, everyone = feed.reader(user="ada"), feed.reader(user="bob"), feed.reader()
        for reader in (ada, bob, everyone):
            await reader.read()
        a = await submit("held", metadata=ADA)
        await ada.read()
        assert (list(ada.jobs), ada.stats["by_status"]) == ([a], {**NONE, "running": 1})
        b = await submit("held", metadata=BOB)
        await bob.read()
        assert (list(bob.jobs), bob.stats["by_status"]) == ([b], {**NONE, "running": 1})
        await everyone.until(lambda it: set(it.jobs) == {a, b})
        works.gate.set()
        await ada.until(lambda it: it.statuses() == ["completed"])
        assert ada.stats["by_status"] == {**NONE, "completed": 1}
        assert await works.queue.delete(a)
        await everyone.until(lambda it: set(it.jobs) == {b})
        await ada.until(lambda it: not it.jobs)
        assert (ada.last["gone"], ada.stats["by_status"]) == ([a], NONE)
        assert bob.jobs[b] and set(bob.jobs) == {b}


async def test_a_reader_is_not_told_who_else_is_there() -> None:
    """What happens to jobs of others sends a reader of its own nothing, not even an empty event."""
    works = Works(SETTINGS)
    async with Watched(works) as feed:
        ada, everyone = feed.reader(user="ada"), feed.reader()
        await ada.read()
        await everyone.read()
        other = await works.queue.submit("double", {"n": 1}, metadata=BOB)
        await works.queue.wait(other)
        await everyone.until(lambda it: it.statuses() == ["completed"])
        await works.queue.delete(other)
        await everyone.until(lambda it: not it.jobs)
        a = await works.queue.submit("held", metadata=ADA)
        await ada.read()
        assert (ada.names, list(ada.jobs), ada.last["gone"]) == (["snapshot", "changes"], [a], [])


async def test_a_job_that_changes_hands() -> None:
    """A job whose metadata changes is gone for whom it was, and comes to whom it is now."""
    works = Works(SETTINGS)
    async with Watched(works) as feed:
        ada, bob = feed.reader(user="ada"), feed.reader(user="bob")
        a = await works.queue.submit("held", metadata=ADA)
        await ada.until(lambda it: it.statuses() == ["running"])
        await bob.read()
        works.queue._index.get(a).metadata = BOB
        await bob.until(lambda it: set(it.jobs) == {a})
        await ada.until(lambda it: not it.jobs)
        assert (ada.last["gone"], ada.last["jobs"]) == ([a], [])


async def test_a_slow_reader_of_its_own_jobs() -> None:
    """Who has missed too much is sent its own jobs anew, and no others."""
    works = Works(SETTINGS)
    async with Watched(works) as feed:
        early = await works.queue.submit("double", {"n": 0}, metadata=ADA)
        await works.queue.wait(early)
        ada, everyone = feed.reader(user="ada"), feed.reader()
        await ada.read()
        await everyone.read()
        assert await works.queue.delete(early)
        ids = []
        for n in range(25):
            ids.append(await works.queue.submit("double", {"n": n}, metadata=ADA if n % 2 else BOB))
            await works.queue.wait(ids[-1])
            await everyone.until(lambda it, last=ids[-1]: last in it.jobs)
        await ada.read()
        assert ada.names == ["snapshot", "snapshot"]
        assert list(ada.jobs) == ids[1::2][::-1]
        assert ada.stats["by_status"] == {**NONE, "completed": 12}


async def test_a_stream_says_that_older_jobs_are_left_out() -> None:
    """Where not all jobs have a place in the stream, a reader of its own is told that."""
    works = Works(SETTINGS)
    async with Watched(works, max_watched=2) as feed:
        for n in range(3):
            await works.queue.wait(await works.queue.submit("double", {"n": n}, metadata=ADA))
        ada = feed.reader(user="ada")
        await ada.read()
        assert (len(ada.jobs), ada.stats["is_partial"]) == (2, True)


def test_what_may_be_narrowed() -> None:
    """Every operation is tried here or with those about one job."""
    tried = {"list", "submit", "cancel_many", "stats", "watch_all", "dashboard"}
    about_one = {name for name in ROUTES if "{job_id}" in ROUTES[name][1]}
    assert tried | about_one == {str(operation) for operation in Operation}
