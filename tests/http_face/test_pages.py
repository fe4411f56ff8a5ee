"""Lists by pages, and of which jobs."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request

from stoat_jobs.http import HttpLimits, allow_all, jobs_app
from stoat_jobs.http._queries import link_to_next

from ..support.mounted import BOTH_FACES, HOSTS, JOBS, OPEN, SETTINGS, Face, Works, serving
from .test_routes import is_problem

BY_FACE = pytest.mark.parametrize("host", BOTH_FACES, ids=lambda host: host.__name__)
NEXT = re.compile(r'<([^<>"\s]+)>; rel="next"')


def next_of(answer: httpx.Response) -> str | None:
    """Where the page after this one is."""
    link = answer.headers.get("link")
    found = link and NEXT.fullmatch(link)
    return found[1] if found else None


async def pages(face: Face, path: str) -> list[list[str]]:
    """The ids on each page, from *path* on."""
    found = []
    place: str | None = JOBS + path
    while place is not None:
        answer = await face.client.get(place)
        assert answer.status_code == 200, answer.text
        found.append([job["job_id"] for job in answer.json()])
        place = next_of(answer)
    return found


async def submitted(face: Face, number: int, **metadata: Any) -> list[str]:
    """The ids of so many new jobs, the newest first."""
    submit = face.works.queue.submit
    ids = [await submit("held", metadata={"n": str(n), **metadata}) for n in range(number)]
    return ids[::-1]


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.__name__)
async def test_a_list_goes_on_at_its_link(host: Any) -> None:
    """Each page links to the next, up to the last, which has no link; each job is there once."""
    async with serving(host, **OPEN) as face:
        ids = await submitted(face, 5)
        assert await pages(face, "/?limit=2") == [ids[:2], ids[2:4], ids[4:]]
        assert await pages(face, "/?limit=5") == [ids]
        assert await pages(face, "/") == [ids]


@BY_FACE
async def test_a_page_stays_where_it_was(host: Any) -> None:
    """Jobs that come and go between two pages neither repeat nor hide any that stays."""
    async with serving(host, **OPEN) as face:
        ids = await submitted(face, 4)
        first = await face.get("/?limit=2")
        await submitted(face, 3)
        await face.works.queue.cancel(ids[1])
        await face.works.queue.wait(ids[1])
        assert await face.works.queue.delete(ids[1])
        after = await face.client.get(str(next_of(first)))
        assert [job["job_id"] for job in after.json()] == ids[2:]


@BY_FACE
async def test_a_link_keeps_the_filters(host: Any) -> None:
    """The next page is of the same jobs, whatever characters the filters have."""
    async with serving(host, **OPEN) as face:
        await submitted(face, 2)
        mine = await submitted(face, 3, tag='ä "&>/')
        query = {
            "status": ["running", "pending"],
            "job_type": ["held", "double"],
            "metadata.tag": 'ä "&>/',
            "limit": "2",
        }
        assert await pages(face, f"/?{httpx.QueryParams(query)}") == [mine[:2], mine[2:]]


async def test_a_link_is_where_clients_are() -> None:
    """The link has the path that clients know, with what a proxy or a mount puts before it."""
    works = Works(SETTINGS)
    app = Starlette()
    app.mount("/{tenant}", jobs_app(authorize=allow_all, queue=works.queue), name="jobs")
    transport = httpx.ASGITransport(app, root_path="/proxy")
    async with works.queue, httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        for _ in range(2):
            await works.queue.submit("held")
        answer = await client.get('/proxy/a%20"b/?limit=1')
        link = next_of(answer)
        assert link is not None and link.startswith("/proxy/a%20%22b/?limit=1&before=")


def test_a_link_is_one_link() -> None:
    """Whatever a path has, its link ends where it should."""
    path = '/a>; rel="x", <b%20ä/'
    scope = {"type": "http", "path": path, "raw_path": path.encode(), "headers": []}
    link = link_to_next(Request({**scope, "query_string": b"limit=1&limit=%3E"}), "cursor")
    path = "/a%3E;%20rel=%22x%22,%20%3Cb%20%C3%A4/"
    assert link == f'<{path}?limit=1&limit=%3E&before=cursor>; rel="next"'


@BY_FACE
async def test_several_statuses_and_types(host: Any) -> None:
    """A status or a job type that is repeated means each of them."""
    async with serving(host, **OPEN) as face:
        double = (await face.finished("double", n=1)).rpartition("/")[2]
        fails = (await face.finished("fails")).rpartition("/")[2]
        (held,) = await submitted(face, 1)

        async def listed(query: str) -> list[str]:
            return [job["job_id"] for job in (await face.get(f"/?{query}")).json()]

        assert await listed("status=failed&status=completed") == [fails, double]
        assert await listed("status=failed") == [fails]
        assert await listed("job_type=held&job_type=double") == [held, double]
        assert await listed("job_type=held&job_type=double&status=completed") == [double]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("metadata.user=ada", ["text"]),
        ('metadata.user="ada"', ["text"]),
        ("metadata.tries=3", ["number"]),
        ("metadata.tries=3.0", ["number"]),
        ('metadata.tries="3"', ["text"]),
        ("metadata.done=true", ["bool"]),
        ('metadata.done="true"', ["text"]),
        ("metadata.done=1", []),
        ("metadata.null=null", ["text"]),
        ("metadata.big=1e999", ["text"]),
        ("metadata.odd=[1]", ["text"]),
        ("metadata.a.b=c", ["text"]),
        ("metadata.=empty", ["text"]),
        ("metadata.user=ada&metadata.tries=3", []),
        ('metadata.user=ada&metadata.tries="3"', ["text"]),
    ],
)
async def test_items_of_the_metadata(query: str, found: list[str]) -> None:
    """A value that JSON has as a number, a bool or text in quotes is that, any other is text."""
    texts = {"tries": "3", "done": "true", "null": "null", "big": "1e999", "odd": "[1]"}
    async with serving(BOTH_FACES[0], **OPEN) as face:
        of_all_kinds: dict[str, dict[str, Any]] = {
            "text": {"user": "ada", "a.b": "c", "": "empty", **texts},
            "number": {"tries": 3},
            "bool": {"done": True},
        }
        for kind, metadata in of_all_kinds.items():
            await face.works.queue.submit("held", metadata={**metadata, "kind": kind})
        answer = await face.get(f"/?{query}")
        assert [job["metadata"]["kind"] for job in answer.json()] == found


@BY_FACE
@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("before=misspelt", "before"),
        ("before=", "before"),
        ("before=a&before=b", "before"),
        ("status=misspelt", "status"),
        ("status=failed&status=", "status"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=1&limit=2", "limit"),
        ("metadata=x", "metadata"),
        ("metadata.a=1&metadata.a=2", "metadata.a"),
        ("metadata.a=1&metadata=x", "metadata"),
        ("all=true", "all"),
    ],
)
async def test_a_query_that_is_wrong(host: Any, query: str, name: str) -> None:
    """What is wrong in the query of a list is refused by its name, and not repeated."""
    async with serving(host, **OPEN) as face:
        answer = await face.get(f"/?{query}")
        assert is_problem(answer, 422, "invalid-request")
        assert {tuple(error["loc"][:2]) for error in answer.json()["errors"]} == {("query", name)}
        assert "misspelt" not in answer.text


@BY_FACE
async def test_a_page_that_was_seen(host: Any) -> None:
    """A page is answered with 304, its link with it, until it or its link changes."""
    async with serving(host, **OPEN) as face:
        ids = await submitted(face, 3)
        tags = {}
        for path in ("/?limit=2", "/?limit=3"):
            first = await face.get(path)
            tags[path] = first.headers["etag"]
            again = await face.get(path, headers={"if-none-match": tags[path]})
            assert (again.status_code, again.content) == (304, b"")
            assert next_of(again) == next_of(first)
            assert (next_of(first) is None) is (path == "/?limit=3")
        other = await face.get("/?limit=3", headers={"if-none-match": tags["/?limit=2"]})
        assert other.status_code == 200
        # The rows stay as they are, and are the last now.
        await face.works.queue.cancel(ids[2])
        await face.works.queue.wait(ids[2])
        await face.works.queue.delete(ids[2])
        last = await face.get("/?limit=2", headers={"if-none-match": tags["/?limit=2"]})
        assert (last.status_code, next_of(last)) == (200, None)


async def test_a_short_limit_of_the_application() -> None:
    """Where lists are short, a page without a limit is, and goes on."""
    async with serving(BOTH_FACES[0], **OPEN, limits=HttpLimits(max_listed=2)) as face:
        ids = await submitted(face, 3)
        assert await pages(face, "/") == [ids[:2], ids[2:]]
        assert is_problem(await face.get("/?limit=3"), 422, "invalid-request")


@pytest.mark.parametrize("exposed", [False, True])
@BY_FACE
async def test_payloads_are_shown_where_the_application_says_so(host: Any, exposed: bool) -> None:
    """A kept payload is in records, rows and events with expose_payload=True, else nowhere."""
    limits = HttpLimits(max_stream_age=0.1)
    async with serving(host, **OPEN, expose_payload=exposed, limits=limits) as face:
        place = await face.finished("double", n=9_071_963)
        assert (await face.works.queue.get_result(place.rpartition("/")[2])).payload is not None
        answers = [await face.get(path) for path in (place, "/", f"{place}/events", "/events")]
        assert [answer.text.count("9071963") > 0 for answer in answers] == [exposed] * 4
        record = (await face.get(place)).json()
        assert record["payload"] == ({"n": 9_071_963} if exposed else None)


async def test_a_key_and_metadata_are_shown() -> None:
    """A record has its key, and its metadata as the JSON that it is."""
    async with serving(BOTH_FACES[0], **OPEN) as face:
        metadata = {"user": {"id": 7, "tags": ["a", None, True]}}
        await face.works.queue.submit("held", key="report", metadata=metadata)
        (row,) = (await face.get("/")).json()
        assert (row["key"], row["metadata"]) == ("report", metadata)


@BY_FACE
async def test_stats_by_type(host: Any) -> None:
    """The counts are there by job type, with what its jobs waited and took."""
    async with serving(host, **OPEN) as face:
        await face.finished("double", n=1)
        await face.begun("held")
        by_type = (await face.get("/stats")).json()["by_type"]
        assert set(by_type) == {"double", "held"}
        assert by_type["double"]["by_status"]["completed"] == 1
        assert by_type["double"]["duration_median_s"] >= 0
        assert by_type["held"]["duration_median_s"] is None
