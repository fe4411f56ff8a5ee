"""Requests that do not fit: answered alike by the app and by the router, and never with a traceback."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from asgi_lifespan import LifespanManager
from fastapi import APIRouter, FastAPI

from stoat_jobs import JobContext, lifespan
from stoat_jobs.http import AccessRequest, HttpLimits, Operation, jobs_router

from ..support.mounted import (
    BOTH_FACES,
    HOSTS,
    JOBS,
    OPEN,
    SETTINGS,
    Face,
    Works,
    beside_quart,
    serving,
)
from ..support.serving import on_socket
from .test_routes import is_problem

JSON = {"content-type": "application/json"}
PROBLEM = "application/problem+json"
HUGE = "n" * 5_000


@pytest.fixture(params=BOTH_FACES, ids=lambda host: host.__name__)
async def face(request: Any) -> AsyncIterator[Face]:
    """An app that lets everybody do everything, and whose streams are short."""
    limits = HttpLimits(max_stream_age=0.05)
    async with serving(request.param, **OPEN, limits=limits) as served:
        yield served


async def leave_in_mid_body(client: httpx.AsyncClient) -> None:
    """Promise a hundred bytes, send one, and go."""
    url = client.base_url
    _, writer = await asyncio.open_connection(url.host, url.port)
    head = f"POST {JOBS}/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: 100\r\n\r\n{{".encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()


def reads_the_body(where: str) -> dict[str, Any]:
    """Options whose function of the application's own reads the body first."""

    async def authorize(access: AccessRequest) -> bool:
        if access.operation == Operation.SUBMIT and where == "authorize":
            await access.request.body()
        return True

    return {**OPEN, "authorize": authorize}


@pytest.mark.parametrize("where", ["", "authorize"])
@pytest.mark.parametrize("host", BOTH_FACES, ids=lambda host: host.__name__)
async def test_a_client_that_leaves_in_mid_body__fault_69(
    host: Any, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Who leaves before its body is sent costs no line of the log, and the server goes on."""
    works = Works(SETTINGS)
    ended = asyncio.Semaphore(0)
    app = host(works, **reads_the_body(where))

    async def counted(scope: Any, receive: Any, send: Any) -> None:
        try:
            await app(scope, receive, send)
        finally:
            ended.release()

    with caplog.at_level(logging.INFO):
        async with on_socket(counted) as client:
            await client.get(f"{JOBS}/health")
            await ended.acquire()
            for _ in range(3):
                await leave_in_mid_body(client)
                await asyncio.wait_for(ended.acquire(), 30)
            assert (await client.get(f"{JOBS}/health")).status_code == 200
    lines = [line for line in caplog.records if line.exc_info or line.levelno > logging.INFO]
    assert [line.getMessage() for line in lines] == []


@pytest.mark.parametrize(
    "media_type", ["Application/JSON", "APPLICATION/json; charset=utf-8", "application/json ;q=1"]
)
async def test_media_types_have_no_case(face: Face, media_type: str) -> None:
    """A media type is the same in capitals, and may have parameters."""
    body = b'{"job_type": "double", "payload": {"n": 1}}'
    answer = await face.post("/", content=body, headers={"content-type": media_type})
    assert answer.status_code == 202


@pytest.mark.parametrize(
    ("path", "name", "known"),
    [
        ("/?statuss=failed", "statuss", "status, job_type, metadata.NAME, before, limit"),
        ("/?status=failed&Limit=1", "Limit", "status, job_type, metadata.NAME, before, limit"),
        ("/{job_id}/wait?seconds=1", "seconds", "timeout"),
    ],
)
async def test_a_parameter_that_is_not_known(face: Face, path: str, name: str, known: str) -> None:
    """A query that would be passed over is refused by name, with the names that there are."""
    place = (await face.begun("held")).removeprefix(JOBS)
    answer = await face.get(path.replace("/{job_id}", place))
    assert is_problem(answer, 422, "invalid-request")
    (error,) = answer.json()["errors"]
    assert error["loc"] == ["query", name]
    assert known in error["msg"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/?status=failed&limit=1&limit=2", "limit"),
        ("/{job_id}/wait?timeout=0&timeout=0.1", "timeout"),
    ],
)
async def test_a_parameter_that_is_given_twice(face: Face, path: str, name: str) -> None:
    """Of two values none is passed over in silence."""
    place = (await face.begun("held")).removeprefix(JOBS)
    answer = await face.get(path.replace("/{job_id}", place))
    assert is_problem(answer, 422, "invalid-request")
    assert [error["loc"] for error in answer.json()["errors"]] == [["query", name]]


GETS = ["/", "/stats", "/health", "/events", "/dashboard", "/dashboard/dashboard.js"]
OF_A_JOB = ["/{job_id}", "/{job_id}/wait?timeout=0", "/{job_id}/events"]


@pytest.mark.parametrize("path", [*GETS, *OF_A_JOB])
async def test_head_of_every_get(face: Face, path: str) -> None:
    """What can be had can be asked for by HEAD, and has the same status and type."""
    path = JOBS + path.replace("/{job_id}", (await face.begun("held")).removeprefix(JOBS))
    got, asked = await face.client.get(path), await face.client.head(path)
    assert (asked.status_code, asked.headers.get("content-type")) == (
        got.status_code,
        got.headers.get("content-type"),
    )


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/", {"GET", "HEAD", "POST"}),
        ("POST", "/stats", {"GET", "HEAD"}),
        ("OPTIONS", "/health", {"GET", "HEAD"}),
        ("PATCH", "/x", {"DELETE", "GET", "HEAD"}),
        ("GET", "/x/cancel", {"POST"}),
        ("BREW", "/x/events", {"GET", "HEAD"}),
    ],
)
async def test_a_method_that_is_not_there(
    face: Face, method: str, path: str, allowed: set[str]
) -> None:
    """It is a problem document that names all methods of the path."""
    answer = await face.client.request(method, JOBS + path)
    assert (answer.status_code, answer.headers["content-type"]) == (405, PROBLEM)
    assert answer.json()["status"] == 405
    assert set(answer.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize("path", ["/x/y/z", "/x/y", "/dashboard/none", "/x/wait/y"])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
async def test_a_path_that_is_not_there(face: Face, method: str, path: str) -> None:
    """It is a problem document, too."""
    answer = await face.client.request(method, JOBS + path)
    assert answer.status_code in (404, 405)
    assert answer.headers["content-type"] == PROBLEM


async def test_the_router_leaves_the_rest_to_the_application() -> None:
    """Routes that the application adds later below the same path, or at the root, are its own."""
    works = Works(SETTINGS)
    outer = APIRouter(prefix="/outer")
    outer.include_router(jobs_router(**OPEN), prefix="/jobs")
    app = FastAPI(lifespan=partial(lifespan, queue=works.queue))
    app.include_router(outer)
    for prefix in ("/jobs", ""):
        app.include_router(jobs_router(**OPEN, name=f"jobs{len(prefix)}"), prefix=prefix)

    async def mine() -> str:
        return "mine"

    for path in ("/jobs/a/b", "/a/b/c", "/outer/jobs/a/b"):
        app.add_api_route(path, mine, methods=["PUT"])
    transport = httpx.ASGITransport(app)
    async with works.queue, httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        app.state.job_queue = works.queue
        for path in ("/jobs/a/b", "/a/b/c", "/outer/jobs/a/b"):
            assert (await client.put(path)).json() == "mine"
        assert (await client.get("/outer/jobs/x/y/z")).headers["content-type"] == PROBLEM
        assert (await client.get("/x/y/z")).json() == {"detail": "Not Found"}
        assert (await client.get("/a/b/c")).status_code == 405
        assert (await client.get("/jobs/stats/", follow_redirects=True)).status_code == 200


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.__name__)
async def test_no_answer_is_sniffed(host: Any) -> None:
    """Whatever is answered, no browser takes it for something else than it says it is."""
    async with serving(host, **OPEN, limits=HttpLimits(max_stream_age=0.05)) as face:
        place = await face.finished("double", n=1)
        answers = [await face.get(path) for path in (*GETS, "/none", "/?limit=x", "/a/b/c")]
        answers += [await face.get(f"{place}{path}") for path in ("", "/wait", "/events")]
        tag = {"if-none-match": answers[-2].headers["etag"]}
        answers += [
            await face.get(place, headers=tag),
            await face.post(f"{place}/cancel"),
            await face.post("/", json={"job_type": "double", "payload": {"n": 1}}),
            await face.post("/", content=b"x"),
            await face.client.delete(f"{JOBS}/stats"),
        ]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff", answer


@pytest.mark.parametrize("number", [1, 1_000])
@pytest.mark.parametrize("where", ["query", "body", "payload"])
async def test_a_refusal_repeats_names_within_bounds__fault_71(
    face: Face, where: str, number: int
) -> None:
    """Names that a client made up come back short, few, and without control characters."""
    made_up = dict.fromkeys(made_up_names(number), 1)
    if where == "query":
        answer = await face.get("/", params=made_up)
    else:
        payload = {"n": 1, **made_up} if where == "payload" else {"n": 1}
        body = {"job_type": "double", "payload": payload}
        answer = await face.post("/", json={**body, **made_up} if where == "body" else body)
    assert_within_bounds(answer, number)


@pytest.mark.parametrize("number", [1, 1_000])
@pytest.mark.parametrize("host", BOTH_FACES, ids=lambda host: host.__name__)
async def test_a_refusal_repeats_names_in_values_within_bounds__fault_71(
    host: Any, number: int
) -> None:
    """So do those that are keys of a value, where an error is about what stands under them."""

    async def add(ctx: JobContext, numbers: dict[str, int]) -> int:
        return sum(numbers.values())

    async with serving(host, **{**OPEN, "submittable": ["add"]}) as face:
        face.works.handlers.register("add", add)
        payload = {"numbers": dict.fromkeys(made_up_names(number), "x")}
        answer = await face.post("/", json={"job_type": "add", "payload": payload})
    assert_within_bounds(answer, number)
    assert answer.json()["errors"][0]["loc"][:1] == ["numbers"]


def made_up_names(number: int) -> list[str]:
    return [f"{HUGE}{n}" if number == 1 else f"n{n}\x1b[2J\u202e" for n in range(number)]


def assert_within_bounds(answer: httpx.Response, number: int) -> None:
    assert answer.status_code == 422
    assert len(answer.content) < 40_000 if number > 1 else len(answer.content) < 3_000
    problem = answer.json()
    for text in [problem["detail"], *(str(p) for e in problem["errors"] for p in e["loc"])]:
        assert text.isprintable()
    for error in problem["errors"]:
        assert error["msg"].isprintable()


def test_starlette_is_one_that_lets_streams_through_gzip() -> None:
    """Before 0.46 its GZipMiddleware kept events until it had enough of them."""
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    (minor,) = re.findall(r'"starlette>=0\.(\d+)"', text)
    assert int(minor) >= 46


# The dispatcher beside Quart knows no prefix: it finds the jobs by the path alone.
BELOW = [(host, whole) for host in HOSTS for whole in (False, True)]
BELOW.remove((beside_quart, True))


@pytest.mark.parametrize(("host", "whole"), BELOW, ids=lambda it: getattr(it, "__name__", it))
@pytest.mark.parametrize("prefix", ["/pre", "/pre/", "/a%20b", "/deep/er"])
async def test_a_proxy_that_strips_its_prefix(host: Any, prefix: str, whole: bool) -> None:
    """Jobs are found, and say where they are, whether the path has the proxy's prefix or not."""
    works = Works(SETTINGS)
    app = host(works, **OPEN)
    decoded = prefix.replace("%20", " ")

    async def below(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "root_path": decoded}, receive, send)

    async with (
        LifespanManager(below) as running,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(running.app), base_url="http://test"
        ) as client,
    ):
        asked = f"{prefix}{JOBS}" if whole else JOBS
        answer = await client.post(f"{asked}/", json={"job_type": "held"})
        assert answer.status_code == 202, answer.text
        location = answer.headers["location"]
        assert location == f"{prefix}{JOBS}/{answer.json()['job_id']}"
        reached = location if whole else location.removeprefix(prefix)
        for path in ("", "/wait?timeout=0"):
            assert (await client.get(reached + path)).status_code in (200, 202)
        for path in ("/", "/stats", "/health", "/dashboard", "/dashboard/dashboard.js"):
            assert (await client.get(asked + path)).status_code == 200, path
        assert (await client.get(f"{asked}/no/such/path")).status_code == 404
