"""The page as it is served; ``tests/browser`` looks at it in a browser."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest

import stoat_jobs.http

from ..support.mounted import HOSTS, JOBS, OPEN, Face, serving
from .test_routes import is_problem

STATIC = Path(stoat_jobs.http.__file__).parent / "static"
FILES = {path.name: path.read_text(encoding="utf-8") for path in STATIC.iterdir()}
SCRIPTS = [name for name in FILES if name.endswith(".js")]


@pytest.fixture(params=HOSTS, ids=lambda host: host.__name__)
async def face(request: Any) -> AsyncIterator[Face]:
    async with serving(request.param, **OPEN) as served:
        yield served


async def test_the_page_and_all_its_parts(face: Face) -> None:
    """The page is there under every framework, and so is all that it and its parts ask for."""
    answer = await face.get("/dashboard")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    links = [urljoin(f"{JOBS}/dashboard", link) for link in linked(answer.text)]
    for link in links:
        part = await face.get(link)
        imports = (urljoin(link, name) for name in imported(part.text))
        links += [name for name in dict.fromkeys(imports) if name not in links]
        assert part.status_code == 200
        kind = "text/css" if link.endswith(".css") else "text/javascript"
        assert part.headers["content-type"] == f"{kind}; charset=utf-8"
        assert part.headers["x-content-type-options"] == "nosniff"
    assert set(links) == {f"{JOBS}/dashboard/{name}" for name in FILES if name != "dashboard.html"}


def linked(page: str) -> list[str]:
    """What a page loads."""
    links = re.findall(r'<(?:script|link)\b[^>]*\b(?:src|href)="([^"]+)"', page)
    return [link for link in links if not link.startswith("data:")]


def imported(script: str) -> list[str]:
    return re.findall(r'^import [^;]+ from "([^"]+)";$', script, re.MULTILINE)


async def test_the_policy_of_the_page__fault_49(face: Face) -> None:
    """By the page's policy nothing runs or is asked for but its own files, and nobody frames it."""
    headers = (await face.get("/dashboard")).headers
    policy = dict(each.split(" ", 1) for each in headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_put_in_but_as_text__fault_49(name: str) -> None:
    """No part makes elements or code out of text, and the page has no script or style inside."""
    ways = r"innerHTML|outerHTML|insertAdjacent|document\.write|DOMParser|setHTML|eval\(|Function\("
    ways += r"|createContextualFragment|srcdoc|javascript:|import\(|\bstyle=|\bon\w+=\"|<style"
    assert re.findall(ways, FILES[name]) == []
    assert re.findall(r"<script(?![^>]* src=)", FILES[name]) == []


@pytest.mark.parametrize("name", FILES)
def test_no_address_outside(name: str) -> None:
    """The page asks nobody but its own server; what looks like an address is SVG's name."""
    found = set(re.findall(r"(?:https?:)?//[\w.-]+\.[\w./-]+", FILES[name]))
    assert found <= {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_short(name: str) -> None:
    """The scripts have the size of our modules."""
    assert len(FILES[name].splitlines()) < 350


async def test_a_part_that_the_browser_has(face: Face) -> None:
    """A part is asked for each time and sent once, until it changes."""
    path = "/dashboard/dashboard.js"
    first = await face.get(path)
    assert first.headers["cache-control"] == "no-cache"
    again = await face.get(path, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await face.get(path, headers={"if-none-match": '"old"'})).status_code == 200


@pytest.mark.parametrize("name", ["nothing.js", "dashboard.html", "..%2f_app.py", "%00", "a.b"])
async def test_no_such_part(face: Face, name: str) -> None:
    """There are no other parts, and no way out of their folder."""
    answer = await face.get(f"/dashboard/{name}")
    assert answer.status_code == 404
    assert "import" not in answer.text


async def test_the_page_without_authorize() -> None:
    """Without authorize there is no page; its parts hold no secret, and are there."""
    async with serving(HOSTS[0]) as face:
        assert is_problem(await face.get("/dashboard"), 403, "operation-closed")
        assert (await face.get("/dashboard/dashboard.css")).status_code == 200


async def test_the_page_with_a_slash_behind_it() -> None:
    """Where the address has a slash too many, the browser is sent to the page."""
    async with serving(HOSTS[0], **OPEN) as face:
        answer = await face.get("/dashboard/")
        assert answer.status_code == 308
        assert urljoin(f"{JOBS}/dashboard/", answer.headers["location"]) == f"{JOBS}/dashboard"
