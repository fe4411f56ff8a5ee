"""Who may do what, by every route."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import Mock

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from stoat_jobs import JobResult
from stoat_jobs.http import AccessRequest, HttpLimits, Operation, allow_all, jobs_app, jobs_router

from ..support.mounted import BOTH_FACES, JOBS, SUBMITTABLE, Face, serving
from .test_routes import is_problem

BY_FACE = pytest.mark.parametrize("host", BOTH_FACES, ids=lambda host: host.__name__)

ROUTES = {
    "list": ("GET", "/"),
    "submit": ("POST", "/"),
    "stats": ("GET", "/stats"),
    "read": ("GET", "/{job_id}"),
    "wait": ("GET", "/{job_id}/wait"),
    "events": ("GET", "/{job_id}/events"),
    "cancel": ("POST", "/{job_id}/cancel"),
    "cancel_many": ("POST", "/cancel?all=true"),
    "resubmit": ("POST", "/{job_id}/resubmit"),
    "delete": ("DELETE", "/{job_id}"),
    "watch_all": ("GET", "/events"),
    "dashboard": ("GET", "/dashboard"),
}
ABOUT_ALL = {"list", "submit", "cancel_many", "stats", "watch_all", "dashboard"}
OPEN_TO_ALL = {"read", "wait", "events"}
BY_ROUTE = pytest.mark.parametrize("name", ROUTES)

# Streams that go on are to end, too.
SHORT = HttpLimits(max_stream_age=0.1)

SECRET = "postgres://user:hunter2@db"


class Doorkeeper:
    """An ``authorize`` that writes down what it is asked, and does what the test says."""

    def __init__(self) -> None:
        self.asked: list[tuple[Operation, JobResult[Any] | None]] = []
        self.answer: Any = True

    async def __call__(self, access: AccessRequest) -> bool:
        self.asked.append((access.operation, access.record))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]


@pytest.fixture(params=BOTH_FACES, ids=lambda host: host.__name__)
async def guarded(request: Any) -> AsyncIterator[tuple[Face, Doorkeeper]]:
    """An app that asks a doorkeeper."""
    doorkeeper = Doorkeeper()
    options: dict[str, Any] = {"authorize": doorkeeper, "submittable": SUBMITTABLE, "limits": SHORT}
    async with serving(request.param, **options) as face:
        yield face, doorkeeper


async def ask(face: Face, name: str, place: str) -> httpx.Response:
    """What the route *name* answers about the job at *place*."""
    method, path = ROUTES[name]
    path = path.replace("/{job_id}", place.removeprefix(JOBS))
    body = {"job_type": "double", "payload": {"n": 1}} if name == "submit" else None
    return await face.client.request(method, JOBS + path, json=body)


async def test_the_routes_are_these() -> None:
    """Each operation that is asked about is tried here."""
    assert {str(operation) for operation in Operation} == set(ROUTES)


@BY_ROUTE
@BY_FACE
async def test_without_authorize__fault_47(host: Any, name: str) -> None:
    """Without authorize, a random id opens its own job to be read, and nothing else is open."""
    async with serving(host, submittable=SUBMITTABLE) as face:
        place = await face.finished("double", n=1)
        answer = await ask(face, name, place)
        if name in OPEN_TO_ALL:
            assert answer.status_code == 200
        else:
            assert is_problem(answer, 403, "operation-closed")
            assert "authorize=allow_all" in answer.json()["detail"]
        assert (await face.get("/health")).status_code == 200


@BY_ROUTE
async def test_one_who_is_asked_and_agrees(guarded: tuple[Face, Doorkeeper], name: str) -> None:
    """Every route asks, with the operation and, where it is about one job, its record."""
    face, doorkeeper = guarded
    place = await face.begun("held") if name == "cancel" else await face.finished("double", n=1)
    assert (await ask(face, name, place)).status_code in (200, 202, 204)
    times = 2 if name in ("events", "watch_all") else 1
    assert [operation for operation, _ in doorkeeper.asked] == [name] * times
    for _, record in doorkeeper.asked:
        about = None if name in ABOUT_ALL else place.rpartition("/")[2]
        assert (record and record.job_id) == about


@BY_ROUTE
async def test_one_who_is_asked_and_refuses(guarded: tuple[Face, Doorkeeper], name: str) -> None:
    """Whatever is refused is answered with 403, and does not happen."""
    face, doorkeeper = guarded
    doorkeeper.answer = False
    place = await face.begun("held")
    assert is_problem(await ask(face, name, place), 403, "not-allowed")
    records = await face.works.queue.list_jobs()
    assert [(record.job_type, record.cancel_requested) for record in records] == [("held", False)]


@BY_ROUTE
async def test_one_who_breaks_down__fault_48(
    guarded: tuple[Face, Doorkeeper], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Where authorize raises, nothing happens and nothing leaks; the log has the traceback."""
    face, doorkeeper = guarded
    doorkeeper.answer = ConnectionError(SECRET)
    place = await face.begun("held")
    with caplog.at_level(logging.ERROR, "stoat_jobs"):
        answer = await ask(face, name, place)
    assert is_problem(answer, 500, "authorization-failed")
    assert "hunter2" not in f"{answer.text}{answer.headers}"
    (logged,) = [line for line in caplog.records if line.message == "authorize_failed"]
    assert logged.exc_info is not None and logged.exc_info[1] is doorkeeper.answer
    assert vars(logged)["operation"] == name
    assert len(await face.works.queue.list_jobs()) == 1


@BY_ROUTE
async def test_one_who_has_an_answer_of_its_own(
    guarded: tuple[Face, Doorkeeper], name: str
) -> None:
    """An HTTPException that authorize raises is the answer, with its headers."""
    face, doorkeeper = guarded
    headers = {"www-authenticate": "Bearer"}
    doorkeeper.answer = HTTPException(401, "who are you?", headers)
    answer = await ask(face, name, await face.begun("held"))
    problem = answer.json()
    assert (answer.status_code, problem["detail"]) == (401, "who are you?")
    assert (problem["type"], problem["title"]) == ("about:blank", "Unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("answer", [None, 1, "no"])
async def test_one_who_says_neither_yes_nor_no(
    guarded: tuple[Face, Doorkeeper], answer: object
) -> None:
    """An answer that is no bool lets nobody through, be it true: it may be a forgotten await."""
    face, doorkeeper = guarded
    doorkeeper.answer = answer
    got = await face.get(await face.begun("held"))
    assert is_problem(got, 500, "authorization-failed")


@BY_FACE
async def test_an_authorize_that_is_not_async(host: Any) -> None:
    """A plain function in the place of an async one lets nobody through."""
    async with serving(host, authorize=lambda *_: True) as face:
        got = await face.get(await face.begun("held"))
        assert is_problem(got, 500, "authorization-failed")


@pytest.mark.parametrize("face", [jobs_app, jobs_router])
@pytest.mark.parametrize(
    "authorize",
    [
        lambda request, operation, record: True,
        lambda: True,
        lambda access, *, strict: True,
        "allow_all",
    ],
    ids=["of three", "of none", "of one more", "none at all"],
)
def test_an_authorize_that_cannot_be_asked(face: Any, authorize: Any) -> None:
    """What does not take one AccessRequest is refused when the app is made, with what to write."""
    remedy = r"async def authorize\(access: AccessRequest\) -> bool.* access\.record"
    with pytest.raises(TypeError, match=remedy):
        face(authorize=authorize)


def test_what_authorize_is_asked_can_be_made_in_a_test() -> None:
    """An AccessRequest needs only what it is about, so that `authorize` can be called by itself."""
    request = Request({"type": "http"})
    access = AccessRequest(request, Operation.LIST)
    assert (access.request, access.operation, access.record) == (request, "list", None)
    with pytest.raises(AttributeError):
        access.record = None  # type: ignore[misc]


async def test_an_authorize_that_does_not_say_what_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One of C may have no signature: it is asked, and seen to."""
    monkeypatch.setattr("inspect.signature", Mock(side_effect=ValueError))
    jobs_app(authorize=allow_all)


async def test_a_stream_is_asked_for_once_more(guarded: tuple[Face, Doorkeeper]) -> None:
    """A stream that is refused when it begins sends no record."""
    face, doorkeeper = guarded

    class OnlyOnce(list[Any]):
        def append(self, entry: Any) -> None:
            super().append(entry)
            doorkeeper.answer = len(self) < 2

    doorkeeper.asked = OnlyOnce()
    answer = await face.get(f"{await face.begun('held')}/events")
    assert is_problem(answer, 403, "not-allowed")


async def test_only_what_is_named_is_submitted(guarded: tuple[Face, Doorkeeper]) -> None:
    """A job type that the app does not name is not submitted, registered or not."""
    face, _ = guarded
    face.works.handlers.register("secret", face.works.double)
    for job_type in ("secret", "unknown", "os.system", "double\n", ""):
        answer = await face.post("/", json={"job_type": job_type, "payload": {"n": 1}})
        assert is_problem(answer, 422, "job-type-not-submittable")
        assert "secret" not in answer.text
    assert await face.works.queue.list_jobs() == []


@BY_FACE
async def test_nothing_is_submitted_by_default(host: Any) -> None:
    """To allow everything does not yet say which jobs clients may start."""
    async with serving(host, authorize=allow_all) as face:
        answer = await face.post("/", json={"job_type": "double", "payload": {"n": 1}})
        assert is_problem(answer, 422, "job-type-not-submittable")


async def owners_alone(access: AccessRequest) -> bool:
    """Everybody submits, and has to do with jobs of their own."""
    owner = access.record and access.record.metadata.get("owner")
    return access.record is None or owner == access.request.headers["user"]


async def owner(request: Request) -> dict[str, str]:
    return {"owner": request.headers["user"]}


OWNED: dict[str, Any] = {"authorize": owners_alone, "metadata": owner, "submittable": SUBMITTABLE}


@BY_FACE
async def test_an_id_is_no_permission__fault_47(host: Any) -> None:
    """A job that was submitted with its owner's name is read, followed and cancelled by it alone."""
    async with serving(host, **OWNED) as face:
        ada, bob = {"user": "ada"}, {"user": "bob"}
        place = (await face.post("/", json={"job_type": "held"}, headers=ada)).headers["location"]
        for path in ("", "/wait?timeout=0", "/events"):
            assert is_problem(await face.get(place + path, headers=bob), 403, "not-allowed")
        assert is_problem(await face.post(f"{place}/cancel", headers=bob), 403, "not-allowed")
        assert (await face.get(place, headers=ada)).json()["status"] == "running"
        assert (await face.post(f"{place}/cancel", headers=ada)).status_code == 202


@BY_FACE
async def test_a_key_opens_no_job_of_others__fault_47(host: Any) -> None:
    """Who submits with the key of somebody else's job is not given that job."""
    async with serving(host, **OWNED) as face:
        submission = {"job_type": "held", "key": "report"}
        first = await face.post("/", json=submission, headers={"user": "ada"})
        answer = await face.post("/", json=submission, headers={"user": "bob"})
        assert is_problem(answer, 409, "key-in-use")
        assert first.json()["job_id"] not in f"{answer.text}{answer.headers}"
        again = await face.post("/", json=submission, headers={"user": "ada"})
        assert again.json()["job_id"] == first.json()["job_id"]


ABOUT_ONE = sorted(set(ROUTES) - ABOUT_ALL)
NO_JOB = "/5f0c3b0e-8f0e-4f43-9a4e-0b9a6f2f7f0d"


async def nobody_elses(access: AccessRequest) -> bool:
    """That a job of others exists is nobody's business."""
    if not await owners_alone(access):
        raise HTTPException(404, "no such thing", {"x-seen": "yes"})
    return True


def all_of(answer: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    return answer.status_code, answer.content, dict(answer.headers)


@pytest.mark.parametrize("name", ABOUT_ONE)
@BY_FACE
async def test_a_404_does_not_say_whether_the_job_exists__fault_68(host: Any, name: str) -> None:
    """Where authorize raises 404, a job of others is answered as an unknown one, byte for byte."""
    async with serving(host, **{**OWNED, "authorize": nobody_elses}) as face:
        face.client.headers["user"] = "bob"
        place = await face.begun("held")
        answers = [await ask(face, name, each) for each in (place, NO_JOB, "/%00", "/" + "x" * 900)]
        assert is_problem(answers[0], 404, "job-not-found")
        assert [all_of(answer) for answer in answers[1:]] == [all_of(answers[0])] * 3


async def test_a_404_when_a_stream_begins__fault_68() -> None:
    """So is one that is refused only when its stream begins."""
    times = 0

    async def changes_its_mind(*_: Any) -> bool:
        nonlocal times
        times += 1
        if times == 2:
            raise HTTPException(404)
        return True

    async with serving(BOTH_FACES[0], authorize=changes_its_mind) as face:
        refused = await face.get(f"{await face.begun('held')}/events")
        assert all_of(refused) == all_of(await face.get(f"{NO_JOB}/events"))


@pytest.mark.parametrize("name", ABOUT_ONE)
async def test_authorize_is_asked_about_an_unknown_job__fault_68(
    guarded: tuple[Face, Doorkeeper], name: str
) -> None:
    """Before an id is said to be unknown, authorize is asked, without a record, and may refuse."""
    face, doorkeeper = guarded
    assert is_problem(await ask(face, name, NO_JOB), 404, "job-not-found")
    assert doorkeeper.asked == [(name, None)]
    doorkeeper.answer = False
    assert is_problem(await ask(face, name, NO_JOB), 403, "not-allowed")
    doorkeeper.answer = HTTPException(401, "who are you?")
    assert (await ask(face, name, NO_JOB)).status_code == 401


@BY_FACE
async def test_what_is_closed_does_not_say_whether_the_job_exists__fault_68(host: Any) -> None:
    """Without authorize a cancel is refused whether there is such a job or not."""
    async with serving(host) as face:
        answers = [await ask(face, "cancel", each) for each in (await face.begun("held"), NO_JOB)]
        assert is_problem(answers[0], 403, "operation-closed")
        assert all_of(answers[0]) == all_of(answers[1])
        assert is_problem(await ask(face, "read", NO_JOB), 404, "job-not-found")


@pytest.mark.parametrize("status", [401, 403, 404])
@BY_FACE
async def test_a_key_of_others_is_a_conflict__fault_68(host: Any, status: int) -> None:
    """However authorize refuses to have a job read, its key is in use for who submits with it."""

    async def others(access: AccessRequest) -> bool:
        if not await owners_alone(access):
            raise HTTPException(status)
        return True

    async with serving(host, **{**OWNED, "authorize": others}) as face:
        submission = {"job_type": "held", "key": "report"}
        first = await face.post("/", json=submission, headers={"user": "ada"})
        answer = await face.post("/", json=submission, headers={"user": "bob"})
        assert is_problem(answer, 409, "key-in-use")
        assert first.json()["job_id"] not in f"{answer.text}{answer.headers}"


async def test_a_key_and_an_authorize_that_cannot_say__fault_68() -> None:
    """An answer that is no refusal is the application's, also when a key is in use."""

    async def busy(access: AccessRequest) -> bool:
        if access.record is not None:
            raise HTTPException(503)
        return True

    async with serving(BOTH_FACES[0], **{**OWNED, "authorize": busy}) as face:
        submission = {"job_type": "held", "key": "report"}
        answer = await face.post("/", json=submission, headers={"user": "ada"})
        assert answer.status_code == 503


def test_submittable_is_several_names() -> None:
    """One name by itself, which would be taken for its letters, is refused with the remedy."""
    with pytest.raises(TypeError, match=r"\['scan'\]"):
        jobs_app(submittable="scan")
