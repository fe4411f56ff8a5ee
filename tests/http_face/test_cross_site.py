"""A page of another site has somebody's browser change something here."""

from __future__ import annotations

from typing import Any

import pytest

from stoat_jobs.http import jobs_app, jobs_router

from ..support.mounted import BOTH_FACES, OPEN, serving
from .test_routes import is_problem

BY_FACE = pytest.mark.parametrize("host", BOTH_FACES, ids=lambda host: host.__name__)
APP = "https://app.example.com"

OF_THIS_SITE: list[dict[str, str]] = [
    {},  # no browser
    {"sec-fetch-site": "same-origin", "origin": "http://test"},
    {"sec-fetch-site": "none"},  # typed in by hand
    {"origin": "http://test"},  # a browser over plain HTTP
    {"origin": "https://test"},  # behind a proxy that ends TLS
    {"sec-fetch-site": "same-origin", "origin": "https://public.example", "host": "inside:8000"},
]
OF_ANOTHER: list[dict[str, str]] = [
    {"sec-fetch-site": "cross-site", "origin": APP},
    {"sec-fetch-site": "same-site", "origin": APP},
    {"sec-fetch-site": "cross-site"},
    {"origin": APP},
    {"origin": "null"},  # a sandboxed frame, or a file
    {"origin": "http://test:81"},
    {"origin": "http://test.example.com"},
    {"origin": ""},
    {"origin": "http://[no"},  # no address at all
]


async def all_changes(
    host: Any, headers: dict[str, str], **options: Any
) -> tuple[list[Any], list[str]]:
    """The answers to each request that changes something, and what the jobs are like then."""
    async with serving(host, **OPEN, **options) as face:
        ended = await face.finished("double", n=1)
        place = await face.begun("held")
        answers = [
            await face.post("/", json={"job_type": "held"}, headers=headers),
            await face.post(f"{place}/cancel", headers=headers),
            await face.post("/cancel?status=pending", headers=headers),
            await face.post(f"{ended}/resubmit", headers=headers),
            await face.client.delete(ended, headers=headers),
        ]
        records = await face.works.queue.list_jobs()
        return answers, [str(record.cancel_requested) for record in records]


@BY_FACE
@pytest.mark.parametrize("headers", OF_THIS_SITE, ids=str)
async def test_what_is_no_page_of_another_site(host: Any, headers: dict[str, str]) -> None:
    """Programs, and pages of the site itself, submit and cancel."""
    answers, asked_to_stop = await all_changes(host, headers)
    assert [answer.status_code for answer in answers] == [202, 202, 202, 202, 204]
    assert asked_to_stop == ["False", "False", "True"]


@BY_FACE
@pytest.mark.parametrize("headers", OF_ANOTHER, ids=str)
async def test_a_page_of_another_site_changes_nothing(host: Any, headers: dict[str, str]) -> None:
    """What a page of another site has a browser post is refused with the remedy; nothing happens."""
    answers, asked_to_stop = await all_changes(host, headers)
    assert all(is_problem(answer, 403, "cross-site-request") for answer in answers)
    assert "trusted_origins=" in answers[0].json()["detail"]
    assert asked_to_stop == ["False", "False"]


@BY_FACE
@pytest.mark.parametrize("headers", [{}, {"sec-fetch-site": "cross-site"}], ids=["", "fetch"])
async def test_a_site_that_is_trusted(host: Any, headers: dict[str, str]) -> None:
    """The pages of a site that the application names may submit and cancel; no others may."""
    for origin, refused in ((APP, False), (f"{APP}.evil.example", True), (APP.upper(), True)):
        sent = {**headers, "origin": origin}
        answers, _ = await all_changes(host, sent, trusted_origins=[APP])
        assert [answer.status_code == 403 for answer in answers] == [refused] * 5


@pytest.mark.parametrize("make", [jobs_app, jobs_router])
@pytest.mark.parametrize("origin", ["app.example.com", f"{APP}/", f"{APP}/path", "*", "null", ""])
def test_what_is_no_origin(make: Any, origin: str) -> None:
    """An origin in another form than browsers send, which would never match, is an error."""
    with pytest.raises(ValueError, match=r"https://app\.example\.com"):
        make(trusted_origins=[origin])


def test_origins_are_several() -> None:
    """One origin by itself, which would be taken for its letters, is refused with the remedy."""
    with pytest.raises(TypeError, match=r"\['https://a\.example'\]"):
        jobs_app(trusted_origins="https://a.example")
