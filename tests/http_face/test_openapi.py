"""What the OpenAPI document says, and requests made up from it by the thousand.

schemathesis makes up such as fit the document and such as do not. A few hundred run with all
tests; ``nox -s fuzz`` runs many more.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any, cast

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, PlainValidator
from pydantic.errors import PydanticInvalidForJsonSchema
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from starlette.testclient import TestClient

from stoat_jobs import JobContext, JobHandlers, JobQueueSettings, lifespan, with_jobs
from stoat_jobs.http import HttpLimits, allow_all, jobs_app, jobs_router
from stoat_jobs.http._routes import PLACES

JOBS = "/api/jobs"
SETTINGS = JobQueueSettings(concurrency=2, max_pending=5, drain_timeout=0, cancel_grace=0)
OPTIONS: dict[str, Any] = {
    "authorize": allow_all,
    "submittable": ["add", "linger", "fail"],
    # Streams and long polls of jobs that go on are to end, too.
    "limits": HttpLimits(max_stream_age=0.01, wait_timeout=0, max_wait_timeout=0.01),
}
EXAMPLES = os.environ.get("FUZZ_EXAMPLES")
fuzz = settings(
    max_examples=int(EXAMPLES or 30),
    derandomize=EXAMPLES is None,  # who runs all tests looks for no new faults
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)
handlers = JobHandlers()


@handlers.job(keep_payload=True)
async def add(ctx: JobContext, left: int, right: float = 0.5) -> float:
    return left + right


@handlers.job
async def linger(ctx: JobContext) -> None:
    await asyncio.Event().wait()


@handlers.job
async def fail(ctx: JobContext, text: str = "") -> None:
    raise ValueError(text)


def routed() -> FastAPI:
    app = FastAPI(lifespan=partial(lifespan, handlers=handlers, settings=SETTINGS))
    app.include_router(jobs_router(handlers=handlers, **OPTIONS), prefix=JOBS)
    return app


def mounted() -> Any:
    """Not by Starlette's mount, which lets no path with a line break through."""
    jobs = jobs_app(**OPTIONS)

    async def mount(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await jobs({**scope, "root_path": JOBS}, receive, send)

    return with_jobs(mount, handlers=handlers, settings=SETTINGS)


SCHEMA = schemathesis.openapi.from_dict(routed().openapi())
FOUND: list[Any] = [each.ok() for each in cast(Any, SCHEMA).get_all_operations()]
OPERATIONS = {each.label: each for each in FOUND}
# What is met at least, so that the test is seen to get to the bottom of things.
SEEN = {
    f"GET {JOBS}/": {200, 422},
    f"POST {JOBS}/": {202, 422, 503},
    f"GET {JOBS}/stats": {200},
    f"GET {JOBS}/health": {200},
    f"GET {JOBS}/events": {200},
    f"GET {JOBS}/{{job_id}}": {200, 404},
    f"GET {JOBS}/{{job_id}}/wait": {202, 404, 422},
    f"GET {JOBS}/{{job_id}}/events": {200, 404},
    f"POST {JOBS}/{{job_id}}/cancel": {202, 404, 409},
    f"POST {JOBS}/cancel": {202, 422},
    f"POST {JOBS}/{{job_id}}/resubmit": {202, 404, 409},
    f"DELETE {JOBS}/{{job_id}}": {204, 404, 409},
}


@contextmanager
def with_jobs_of_all_kinds(app: Any) -> Iterator[tuple[TestClient, list[str]]]:
    """A client of *app*, and the ids of jobs that it has."""
    with TestClient(app) as client:
        bodies = [{"job_type": "add", "payload": {"left": 1}}, {"job_type": "fail"}]
        bodies += [{"job_type": "linger", "key": str(n)} for n in range(4)]
        yield client, [client.post(f"{JOBS}/", json=body).json()["job_id"] for body in bodies]


def requests_of(operation: Any) -> st.SearchStrategy[Any]:
    """Requests that fit and, where something is asked of them, such as do not."""
    fitting: st.SearchStrategy[Any] = operation.as_strategy(schemathesis.GenerationMode.POSITIVE)
    if not list(operation.iter_parameters()) and not list(operation.body):
        return fitting
    unfit: st.SearchStrategy[Any] = operation.as_strategy(schemathesis.GenerationMode.NEGATIVE)
    return fitting | unfit


def is_beyond_schemas(answer: Any) -> bool:
    """Whether it is refused for what no schema says, as that two names exclude each other."""
    if answer.status_code != 422:
        return False
    problem = answer.json()
    kinds = {error["type"] for error in problem.get("errors", ())}
    is_conflict = problem["type"].endswith(":key-conflict")
    return is_conflict or kinds in ({"cursor"}, {"no_filter"}, {"two_keys"})


@pytest.mark.parametrize("label", OPERATIONS)
@pytest.mark.parametrize("make", [mounted, routed], ids=lambda make: make.__name__)
def test_requests(make: Any, label: str) -> None:
    """Every request is answered as the document says, and none breaks the server down."""
    seen: Counter[int] = Counter()
    with with_jobs_of_all_kinds(make()) as (client, job_ids):

        @fuzz
        @given(requests_of(OPERATIONS[label]), st.sampled_from([*job_ids, None]))
        def ask(case: Any, job_id: str | None) -> None:
            if job_id is not None and "job_id" in case.path_parameters:
                case.path_parameters["job_id"] = job_id
            request = case.as_transport_kwargs(base_url="http://testserver")
            del request["cookies"]  # there are none
            if isinstance(request.get("data"), bytes):
                request["content"] = request.pop("data")
            answer = client.request(**request)
            seen[answer.status_code] += 1
            full = answer.status_code == 503 and answer.headers["retry-after"] == "1"
            assert answer.status_code < 500 or full
            excluded: list[Any] = [not_a_server_error] if full else []
            excluded += [positive_data_acceptance] if is_beyond_schemas(answer) else []
            if any(name.startswith("metadata.") for name in answer.request.url.params):
                excluded.append(negative_data_rejection)  # in a query every value is text
            case.validate_response(answer, excluded_checks=excluded)

        ask()
        assert client.get(f"{JOBS}/health").status_code == 200
    assert SEEN[label] <= set(seen), seen


class Node(BaseModel):
    """A kind that contains itself."""

    name: str
    below: list[Node] = []


class WithoutSchema:
    """A type of the user's own, of which pydantic cannot write a schema."""

    @staticmethod
    def __get_pydantic_json_schema__(*_: Any) -> Any:
        raise PydanticInvalidForJsonSchema("none")


class Report(BaseModel):
    files: int
    root: Node


def document(registry: JobHandlers | None = None, **options: Any) -> dict[str, Any]:
    """The OpenAPI document of an app with the router at its root."""
    app = FastAPI()
    app.include_router(jobs_router(handlers=registry, **options))
    return app.openapi()


def described() -> dict[str, Any]:
    registry = JobHandlers()

    @registry.job("mail.send")
    async def send(ctx: JobContext, /, to: Node, raw: bytes = b"x", **more: int) -> Report:
        raise NotImplementedError

    @registry.job
    async def opaque(
        ctx: JobContext, odd: Annotated[int, PlainValidator(int), WithoutSchema()]
    ) -> asyncio.Lock:
        raise NotImplementedError

    submittable = ["mail.send", "elsewhere", "opaque"]
    return document(registry, authorize=allow_all, submittable=submittable)


def test_the_results_of_job_types_are_described() -> None:
    """A record's result has the type that its handler declares, or any where that has no schema."""
    openapi = described()
    answer = openapi["paths"]["/{job_id}"]["get"]["responses"]["200"]
    kinds = answer["content"]["application/json"]["schema"]["anyOf"]
    names = [kind["$ref"].rpartition("/")[2] for kind in kinds]
    assert names == ["MailSendRecord", "OpaqueRecord"]
    mail, opaque = (openapi["components"]["schemas"][name]["properties"] for name in names)
    assert mail["job_type"]["const"] == "mail.send"
    assert mail["result"]["anyOf"][0] == {"$ref": "#/components/schemas/Report"}
    assert "$ref" not in str(opaque["result"])
    assert {"result_error", "progress", "metadata"} <= set(mail)


def test_what_may_be_submitted_is_described() -> None:
    """A submission's payload has the handler's arguments; of a type that is not known, any."""
    operation = described()["paths"]["/"]["post"]
    elsewhere, mail, opaque = operation["requestBody"]["content"]["application/json"]["schema"][
        "anyOf"
    ]
    for untyped in (elsewhere, opaque):
        assert untyped["properties"]["payload"]["additionalProperties"] is True
    assert mail["properties"]["job_type"] == {"const": "mail.send"}
    payload = mail["properties"]["payload"]
    assert payload["required"] == ["to"]
    assert payload["additionalProperties"] == {"type": "integer"}
    assert payload["properties"]["raw"]["default"] == "eA=="
    assert payload["properties"]["raw"]["format"] == "base64url"
    below = payload["properties"]["to"]["properties"]["below"]
    assert (below["type"], below["items"]) == ("array", {})


def test_no_reference_leads_nowhere() -> None:
    """Every reference in the document is to something in it."""
    openapi = described()
    for reference in re.findall(r"'\$ref': '#/([^']+)'", str(openapi)):
        part: Any = openapi
        for name in reference.split("/"):
            part = part[name]
    assert "$defs" not in str(openapi)


CLOSED = {"list", "submit", "stats", "cancel", "cancel_many", "resubmit", "delete", "watch_all"}


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({}, CLOSED),
        ({"submittable": ["x"]}, CLOSED),
        ({"authorize": allow_all}, {"submit"}),
        ({"authorize": allow_all, "submittable": ["x"]}, set()),
    ],
)
def test_what_is_closed_is_not_described(options: dict[str, Any], missing: set[str]) -> None:
    """The document has no operation that nobody can have."""
    paths = document(**options)["paths"].values()
    found = {operation["summary"].lower() for path in paths for operation in path.values()}
    programs = {place.operation for place in PLACES if not place.is_page}
    assert found == {name.replace("_", " ") for name in programs - missing}


def test_two_routers_in_one_app() -> None:
    """An app may have two routers, each with names of its own; FastAPI finds no fault with it."""
    app = FastAPI()
    for name in ("mine", "theirs"):
        app.include_router(jobs_router(name=name), prefix=f"/{name}")
    found = {
        operation["operationId"]
        for path in app.openapi()["paths"].values()
        for operation in path.values()
    }
    assert len(found) == 8
    assert app.url_path_for("theirs:read", job_id="x") == "/theirs/x"
