"""A list of jobs has rows, and what was seen is not made again, however large results are."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel, model_serializer

from stoat_jobs import JobContext, JobPage
from stoat_jobs.http import JobRecord

from ..support import SAFETY_NET
from ..support.mounted import BOTH_FACES, HOSTS, OPEN, Face, serving
from .test_openapi import described

BY_FACE = pytest.mark.parametrize("host", BOTH_FACES, ids=lambda host: host.__name__)


class Large(BaseModel):
    """A result that tells how often its JSON was made."""

    made: list[None] = []

    @model_serializer
    def _json(self) -> str:
        self.made.append(None)
        return "large"


async def finished_large(face: Face) -> tuple[str, Large]:
    """Where a job is that has ended, and its result, of which no JSON was made since."""
    result = Large()

    async def large(ctx: JobContext) -> Any:
        return result

    face.works.handlers.register("large", large)
    place = await face.finished("large")
    del result.made[:]
    return place, result


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.__name__)
async def test_a_list_has_no_results__fault_70(host: Any) -> None:
    """A row of a list is the record without its result, which is not even looked at."""
    async with serving(host, **OPEN) as face:
        place, result = await finished_large(face)
        rows = (await face.get("/")).json()
        assert result.made == []
        record = (await face.get(place)).json()
        assert (record.pop("result"), record.pop("result_error")) == ("large", None)
        assert rows == [record]


@BY_FACE
async def test_what_was_seen_is_not_made_again__fault_70(host: Any) -> None:
    """Who polls and has what there is costs no JSON of a result: of lists, records and streams."""
    async with serving(host, **OPEN) as face:
        place, result = await finished_large(face)
        for path in ("/", place):
            tag = (await face.get(path)).headers["etag"]
            del result.made[:]
            for _ in range(3):
                answer = await face.get(path, headers={"if-none-match": tag})
                assert (answer.status_code, answer.headers["etag"]) == (304, tag)
        seen = {"last-event-id": tag.strip('"')}
        assert (await face.get(f"{place}/events", headers=seen)).status_code == 204
        assert result.made == []
        assert (await face.get(place, headers={"if-none-match": '"other"'})).json()["result"]
        assert len(result.made) == 1


@BY_FACE
async def test_a_long_list_leaves_others_their_turn__fault_70(host: Any) -> None:
    """A list of a thousand jobs holds the event loop no longer than a short one does."""
    async with serving(host, **OPEN) as face:
        place = await face.finished("double", n=1)
        record = await face.works.queue.get_result(place.rpartition("/")[2])
        listed = asyncio.Event()
        turns = 0

        async def a_thousand(**_: Any) -> Any:
            listed.set()
            return JobPage([record] * 1_000)

        async def count() -> None:
            nonlocal turns
            await listed.wait()
            while True:
                turns += 1
                await asyncio.sleep(0)

        face.works.queue.list_jobs = a_thousand  # type: ignore[method-assign]
        counting = asyncio.ensure_future(count())
        answer = await asyncio.wait_for(face.get("/?limit=1000"), SAFETY_NET)
        counting.cancel()
        assert len(answer.json()) == 1_000
        assert turns > 10


def test_a_list_is_documented_as_rows__fault_70() -> None:
    """The OpenAPI document has a record without its result for the list."""
    openapi = described()
    answer = openapi["paths"]["/"]["get"]["responses"]["200"]
    row = answer["content"]["application/json"]["schema"]["items"]["$ref"].rpartition("/")[2]
    assert "next" in answer["headers"]["Link"]["description"]
    properties = set(openapi["components"]["schemas"][row]["properties"])
    assert properties == set(JobRecord.model_fields) - {"result", "result_error"}
