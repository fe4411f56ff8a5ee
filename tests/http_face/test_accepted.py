"""``accepted()`` sends the client to the jobs that are nearest to its own endpoint."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import litestar
import pytest
from asgi_lifespan import LifespanManager
from fastapi import APIRouter, FastAPI
from litestar.handlers import asgi
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Host, Mount, Route, Router

from stoat_jobs import JobContext, JobHandlers, get_queue, lifespan
from stoat_jobs.http import accepted, allow_all, jobs_app, jobs_router

handlers = JobHandlers()


@handlers.job
async def work(ctx: JobContext) -> int:
    return 42


async def by_name(request: Request) -> Response:
    return accepted(request, await work.submit(get_queue(request)))


async def by_path(request: Request) -> Response:
    return accepted(request, await work.submit(get_queue(request)), jobs="/jobs")


def endpoints() -> list[Any]:
    return [
        Route("/start", by_name, methods=["POST"]),
        Route("/start_path", by_path, methods=["POST"]),
    ]


def mount() -> Mount:
    return Mount("/jobs", jobs_app(authorize=allow_all), name="jobs")


def fastapi_with_mount() -> Any:
    app = FastAPI(routes=endpoints())
    app.mount("/jobs", jobs_app(authorize=allow_all), name="jobs")
    return app


def fastapi_with_router() -> Any:
    app = FastAPI(routes=endpoints())
    app.include_router(jobs_router(authorize=allow_all), prefix="/jobs")
    return app


def starlette_app() -> Any:
    return Starlette(routes=[*endpoints(), mount()])


def starlette_router() -> Any:
    """Routes without an app of their own."""
    return Router(routes=[*endpoints(), mount()])


def wrapped_app() -> Any:
    """An app in a middleware, into which its mount cannot look."""
    return CORSMiddleware(starlette_app())


SUB_APPS: list[Callable[[], Any]] = [
    fastapi_with_mount,
    fastapi_with_router,
    starlette_app,
    starlette_router,
    wrapped_app,
]
BY_SUB_APP = pytest.mark.parametrize("make", SUB_APPS)
# A router is a part of the app that it is in, so a path is counted from the outer one.
WITH_APPS = pytest.mark.parametrize(
    "make", [each for each in SUB_APPS if each is not starlette_router]
)
OUTER = pytest.mark.parametrize("outer", [FastAPI, Starlette])


@asynccontextmanager
async def client_of(app: Any, **transport: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with LifespanManager(app) as running:
        asgi_transport = httpx.ASGITransport(running.app, **transport)
        async with httpx.AsyncClient(transport=asgi_transport, base_url="http://test") as client:
            yield client


async def place_of(client: httpx.AsyncClient, path: str) -> str:
    """Where the job that is started at *path* is said to be; it is there."""
    answer = await client.post(path)
    assert answer.status_code == 202, answer.text
    location = answer.headers["location"]
    assert (await client.get(f"{location}/wait")).json()["result"] == 42
    return str(location.rpartition("/")[0])


@OUTER
@BY_SUB_APP
async def test_two_sub_apps_send_to_their_own__fault_60(make: Any, outer: Any) -> None:
    """Two versions side by side, each with jobs of one name: each answers with its own."""
    app = outer(lifespan=partial(lifespan, handlers=handlers))
    for version in ("v1", "v2"):
        app.mount(f"/{version}", make())
    async with client_of(app) as client:
        assert await place_of(client, "/v1/start") == "/v1/jobs"
        assert await place_of(client, "/v2/start") == "/v2/jobs"


@OUTER
@WITH_APPS
async def test_a_path_is_one_in_the_endpoints_own_app__fault_60(make: Any, outer: Any) -> None:
    """``jobs="/jobs"`` in a sub-app is a path in that, not in the outer one."""
    app = outer(lifespan=partial(lifespan, handlers=handlers))
    for version in ("v1", "v2"):
        app.mount(f"/{version}", make())
    app.mount("/jobs", jobs_app(authorize=allow_all), name="jobs")
    async with client_of(app) as client:
        assert await place_of(client, "/v1/start_path") == "/v1/jobs"
        assert await place_of(client, "/v2/start_path") == "/v2/jobs"


@OUTER
async def test_the_outer_apps_jobs_serve_a_sub_app_without__fault_60(outer: Any) -> None:
    """A sub-app that has no jobs of its own sends to those of the outer app, either way."""
    app = outer(lifespan=partial(lifespan, handlers=handlers))
    app.mount("/sub", Starlette(routes=endpoints()))
    app.mount("/jobs", jobs_app(authorize=allow_all), name="jobs")
    async with client_of(app) as client:
        assert await place_of(client, "/sub/start") == "/jobs"
        assert await place_of(client, "/sub/start_path") == "/jobs"


@OUTER
@BY_SUB_APP
async def test_the_outer_app_keeps_to_its_own__fault_60(make: Any, outer: Any) -> None:
    """An outer app whose sub-app stands first sends to its own jobs all the same."""
    app = outer(lifespan=partial(lifespan, handlers=handlers))
    app.mount("/v1", make())
    for route in (*endpoints(), mount()):
        app.router.routes.append(route)
    async with client_of(app) as client:
        assert await place_of(client, "/start") == "/jobs"
        assert await place_of(client, "/start_path") == "/jobs"
        assert await place_of(client, "/v1/start") == "/v1/jobs"


@BY_SUB_APP
async def test_apps_in_apps_in_apps__fault_60(make: Any) -> None:
    """At any depth it is the innermost app that has them."""
    app = Starlette(lifespan=partial(lifespan, handlers=handlers))
    for region in ("eu", "us"):
        versions: list[BaseRoute] = [Mount(f"/{each}", make()) for each in ("v1", "v2")]
        app.mount(f"/{region}", FastAPI(routes=versions))
    async with client_of(app) as client:
        for path in ("/eu/v1", "/eu/v2", "/us/v1", "/us/v2"):
            assert await place_of(client, f"{path}/start") == f"{path}/jobs"


async def test_mounts_of_one_app__fault_60() -> None:
    """Lists of routes that are mounted, without an app of their own, are told apart as well."""
    versions = [Mount(f"/{each}", routes=[*endpoints(), mount()]) for each in ("v1", "v2")]
    deep = Mount("/deep", routes=[Mount("/er", routes=endpoints()), mount()])
    app = Starlette(
        routes=[Mount("/api", routes=versions), deep],
        lifespan=partial(lifespan, handlers=handlers),
    )
    async with client_of(app) as client:
        assert await place_of(client, "/api/v1/start") == "/api/v1/jobs"
        assert await place_of(client, "/api/v2/start") == "/api/v2/jobs"
        assert await place_of(client, "/deep/er/start") == "/deep/jobs"


async def test_an_endpoint_in_a_mount_of_a_sub_app__fault_60() -> None:
    """A path is counted from the sub-app, also for an endpoint in a mount within it."""
    sub = [Mount("/deep", routes=endpoints()), mount()]
    app = Starlette(
        routes=[Mount("/v1", Starlette(routes=sub)), Mount("/v2", Starlette(routes=sub))],
        lifespan=partial(lifespan, handlers=handlers),
    )
    async with client_of(app) as client:
        for version in ("v1", "v2"):
            for start in ("start", "start_path"):
                place = await place_of(client, f"/{version}/deep/{start}")
                assert place == f"/{version}/jobs"


@pytest.mark.parametrize("nested", [False, True])
async def test_routers_with_prefixes__fault_60(nested: bool) -> None:
    """Routers of FastAPI are told apart by their prefixes, also in another router."""
    app = FastAPI(lifespan=partial(lifespan, handlers=handlers))
    parent: Any = APIRouter() if nested else app
    for version in ("v1", "v2"):
        router = APIRouter()
        router.add_api_route("/start", by_name, methods=["POST"], response_model=None)
        router.include_router(jobs_router(authorize=allow_all), prefix="/jobs")
        parent.include_router(router, prefix=f"/{version}")
    if nested:
        app.include_router(parent, prefix="/api")
    base = "/api" if nested else ""
    async with client_of(app) as client:
        assert await place_of(client, f"{base}/v1/start") == f"{base}/v1/jobs"
        assert await place_of(client, f"{base}/v2/start") == f"{base}/v2/jobs"


@pytest.mark.parametrize("prefix", ["/proxied", "/proxied/twice", "/b%C3%BCro"])
async def test_below_the_prefix_of_a_proxy__fault_60(prefix: str) -> None:
    """What a proxy strips is in front of the place, once, in a sub-app as in the outer one."""
    app = FastAPI(lifespan=partial(lifespan, handlers=handlers))
    app.mount("/v1", starlette_app())
    app.mount("/v2", fastapi_with_router())
    for route in (*endpoints(), mount()):
        app.router.routes.append(route)
    root = httpx.URL(f"http://test{prefix}").path
    async with client_of(app, root_path=root) as client:
        for base in ("", "/v1", "/v2"):
            for start in ("start", "start_path"):
                place = await place_of(client, f"{prefix}{base}/{start}")
                assert place == f"{prefix}{base}/jobs"


async def test_a_mount_with_parameters__fault_60() -> None:
    """A place below a parameter has what the request has there."""
    tenant = Mount("/{tenant}", routes=[*endpoints(), mount()])
    sub_app = Mount("/apps/{number:int}", starlette_app())
    app = Starlette(routes=[sub_app, tenant], lifespan=partial(lifespan, handlers=handlers))
    async with client_of(app) as client:
        assert await place_of(client, "/acme/start") == "/acme/jobs"
        assert await place_of(client, "/apps/7/start") == "/apps/7/jobs"
        assert await place_of(client, "/apps/7/start_path") == "/apps/7/jobs"


async def test_a_router_with_parameters__fault_60() -> None:
    """Parameters of a router's prefix are those of the request too."""
    app = FastAPI(lifespan=partial(lifespan, handlers=handlers))
    app.router.routes.append(Route("/{tenant}/start", by_name, methods=["POST"]))
    app.include_router(jobs_router(authorize=allow_all), prefix="/{tenant}/jobs")
    async with client_of(app) as client:
        assert await place_of(client, "/acme/start") == "/acme/jobs"


async def test_a_mount_that_has_a_name__fault_60() -> None:
    """What is in a mount with a name is named through it from outside, and without from inside."""

    async def from_outside(request: Request) -> Response:
        return accepted(request, await work.submit(get_queue(request)), jobs="two:jobs")

    app = Starlette(
        routes=[
            Mount("/one", starlette_app(), name="one"),
            Mount("/two", starlette_app(), name="two"),
            Route("/start", from_outside, methods=["POST"]),
        ],
        lifespan=partial(lifespan, handlers=handlers),
    )
    async with client_of(app) as client:
        assert await place_of(client, "/start") == "/two/jobs"
        assert await place_of(client, "/one/start") == "/one/jobs"
        assert await place_of(client, "/two/start") == "/two/jobs"


async def test_a_mount_in_a_router__fault_60() -> None:
    """Jobs that are mounted in a router of FastAPI are below the router's prefix."""
    app = FastAPI(lifespan=partial(lifespan, handlers=handlers))
    for version in ("v1", "v2"):
        router = APIRouter(routes=[*endpoints(), mount()])
        app.include_router(router, prefix=f"/{version}")
    async with client_of(app) as client:
        assert await place_of(client, "/v2/start") == "/v2/jobs"


async def test_from_one_host_of_an_app__fault_60() -> None:
    """Routes of a host, without an app of their own, are told from those of others."""

    async def named(request: Request) -> Response:
        return accepted(request, await work.submit(get_queue(request)), jobs="named:jobs")

    of_host: list[BaseRoute] = [
        Route("/v2/start_named", named, methods=["POST"]),
        *[Mount(f"/{each}", routes=[*endpoints(), mount()]) for each in ("v1", "v2")],
    ]
    app = Starlette(
        routes=[Host("test", Router(routes=of_host), name="named"), Mount("/v1", routes=[mount()])],
        lifespan=partial(lifespan, handlers=handlers),
    )
    async with client_of(app) as client:
        assert await place_of(client, "/v2/start_named") == "/v2/jobs"


async def test_below_a_host__fault_60() -> None:
    """Apps by host have their own jobs."""
    app = Starlette(
        routes=[Host("other", starlette_app()), Host("test", starlette_app())],
        lifespan=partial(lifespan, handlers=handlers),
    )
    async with client_of(app) as client:
        assert await place_of(client, "/start") == "/jobs"
        assert await place_of(client, "/start_path") == "/jobs"


async def test_jobs_that_a_middleware_wraps__fault_60() -> None:
    """Jobs that are mounted in a middleware are found by their path."""
    sub = [*endpoints(), Mount("/jobs", CORSMiddleware(jobs_app(authorize=allow_all)))]
    app = Starlette(
        routes=[Mount("/v1", Starlette(routes=sub)), Mount("/v2", Starlette(routes=sub))],
        lifespan=partial(lifespan, handlers=handlers),
        middleware=[Middleware(CORSMiddleware)],
    )
    async with client_of(app) as client:
        assert await place_of(client, "/v2/start_path") == "/v2/jobs"


async def test_litestar_below_starlette__fault_60() -> None:
    """A sub-app of another framework is below its mount, too."""

    @litestar.post("/start")
    async def start(request: litestar.Request[Any, Any, Any]) -> Response:
        return accepted(request, "an-id", jobs="/jobs")

    face = asgi("/jobs", is_mount=True, copy_scope=True)(jobs_app(authorize=allow_all))
    sub: Any = litestar.Litestar([start, face], logging_config=None)
    app = Starlette(routes=[Mount("/v1", sub)], lifespan=partial(lifespan, handlers=handlers))
    async with client_of(app) as client:
        answer = await client.post("/v1/start")
        assert answer.headers["location"] == "/v1/jobs/an-id", answer.text


@pytest.mark.parametrize("make", [Starlette, FastAPI])
async def test_a_name_that_only_a_sibling_has__fault_60(make: Any) -> None:
    """Where the own app has none of this name, one that the outer app knows by it is taken."""
    app = Starlette(lifespan=partial(lifespan, handlers=handlers))
    app.mount("/with", starlette_app())
    app.mount("/without", make(routes=endpoints()))
    async with client_of(app) as client:
        assert await place_of(client, "/without/start") == "/with/jobs"


async def test_where_no_routes_are_known__fault_60() -> None:
    """Without a router of Starlette around it, a name is refused with the remedy."""
    scope: dict[str, Any] = {"type": "http", "path": "/start", "method": "POST", "headers": []}
    for more in ({}, {"app": object()}, {"app": None, "root_path": "/x"}):
        with pytest.raises(RuntimeError, match=r'accepted\(request, ref, jobs="/jobs"\)'):
            accepted(Request({**scope, **more}), "an-id")
        place = accepted(Request({**scope, **more}), "an-id", jobs="/jobs").headers["location"]
        assert place == f"{more.get('root_path', '')}/jobs/an-id"


async def test_a_catch_all_beside_the_jobs__fault_60() -> None:
    """An app that answers everything else as well is no nearer than the jobs."""

    async def page(request: Request) -> Response:
        return PlainTextResponse("a page")

    sub = [*endpoints(), mount(), Route("/{path:path}", page)]
    app = Starlette(
        routes=[Mount("/v1", Starlette(routes=sub)), Mount("/v2", Starlette(routes=sub))],
        lifespan=partial(lifespan, handlers=handlers),
    )
    async with client_of(app) as client:
        assert await place_of(client, "/v2/start") == "/v2/jobs"
        assert await place_of(client, "/v2/start_path") == "/v2/jobs"
