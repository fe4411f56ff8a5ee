"""The stream of all jobs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from httpx_sse import ServerSentEvent, aconnect_sse

from stoat_jobs import AsyncioJobQueue, BackendError, JobQueueSettings, QueueClosedError
from stoat_jobs.backends import JobFilter
from stoat_jobs.http import HttpLimits
from stoat_jobs.http._feed import _KEPT, Feeds
from stoat_jobs.http._feed_rows import Rows

from ..support import SAFETY_NET
from ..support.mounted import BOTH_FACES, JOBS, OPEN, SETTINGS, Face, Works, serving
from .test_routes import is_problem
from .test_streams import Caller, answered, on_uvicorn, status

BY_FACE = pytest.mark.parametrize("host", BOTH_FACES, ids=lambda host: host.__name__)
SOON = 0.01  # between two looks at the queue


class Reader:
    """What somebody who follows the stream knows of the jobs."""

    def __init__(self, events: AsyncIterator[ServerSentEvent]) -> None:
        self._events = events
        self.jobs: dict[str, dict[str, Any]] = {}
        self.stats: dict[str, Any] = {}
        self.names: list[str] = []
        self.last: dict[str, Any] = {}

    async def read(self) -> None:
        """One event."""
        event = await anext(self._events)
        self.last = json.loads(event.data)
        self.names.append(event.event)
        if event.event == "snapshot":
            self.jobs.clear()
        for job_id in self.last["gone"]:
            del self.jobs[job_id]
        self.jobs.update({job["job_id"]: job for job in self.last["jobs"]})
        self.stats = self.last["stats"]

    async def until(self, seen: Any) -> None:
        """Read until what *seen* says of this reader is true."""

        async def read() -> None:
            while not seen(self):
                await self.read()

        await asyncio.wait_for(read(), SAFETY_NET)

    def statuses(self) -> list[str]:
        return [job["status"] for job in self.jobs.values()]


def reading(chunks: AsyncIterator[bytes]) -> Reader:
    """A reader of a feed itself, without a server."""

    async def events() -> AsyncIterator[ServerSentEvent]:
        async for chunk in chunks:
            for text in chunk.decode().removesuffix("\n\n").split("\n\n"):
                fields = dict(line.split(": ", 1) for line in text.splitlines())
                yield ServerSentEvent(event=fields["event"], data=fields["data"])

    return Reader(events())


@asynccontextmanager
async def following(face: Face) -> AsyncIterator[Reader]:
    async with aconnect_sse(face.client, "GET", f"{JOBS}/events") as source:
        yield Reader(source.aiter_sse())


async def nobody_is_asked() -> JobFilter:
    """A check that lets everybody through."""
    return JobFilter()


@asynccontextmanager
async def feeding(
    queue: AsyncioJobQueue | None = None, **limits: Any
) -> AsyncIterator[tuple[Works, Feeds, Reader]]:
    """A queue that runs, its feed, and somebody who follows it."""
    works = Works(SETTINGS)
    if queue is not None:
        works.queue = queue
    feeds = Feeds(HttpLimits(watch_interval=SOON, **limits), expose_errors=True)
    async with works.queue:
        chunks = feeds.follow(works.queue, nobody_is_asked)
        try:
            yield works, feeds, reading(chunks)
        finally:
            await chunks.aclose()


@BY_FACE
async def test_jobs_are_followed_from_start_to_end(host: Any) -> None:
    """First come the jobs that are there, the newest first, then each change of any, and counts."""
    async with on_uvicorn(host, watch_interval=SOON) as face, following(face) as reader:
        await reader.read()
        assert (reader.names, reader.jobs) == (["snapshot"], {})
        ids = [(await face.begun("held", message=name)).rpartition("/")[2] for name in "ab"]
        await reader.until(lambda it: it.statuses() == ["running"] * 2)
        async with following(face) as late:
            await late.read()
            assert [job["job_id"] for job in late.last["jobs"]] == ids[::-1]
        face.works.gate.set()
        await reader.until(lambda it: it.statuses() == ["completed"] * 2)
        assert [reader.jobs[job_id]["message"] for job_id in ids] == ["a", "b"]
        assert reader.stats["by_status"]["completed"] == 2
        assert set(reader.names[1:]) == {"changes"}


async def test_a_row_is_the_record_without_its_result() -> None:
    """A row says what reading the job says, but for the result; what did not change is not sent."""
    async with on_uvicorn(BOTH_FACES[0], watch_interval=SOON) as face:
        place = await face.finished("double", n=21)
        record = (await face.get(place)).json()
        async with following(face) as reader:
            await reader.read()
            await face.begun("held")
            await reader.read()
            assert [job["job_type"] for job in reader.last["jobs"]] == ["held"]
        del record["result"], record["result_error"]
        assert reader.jobs[record["job_id"]] == record


@pytest.mark.parametrize("expose_errors", [False, True])
async def test_errors_are_shown_to_whom_they_may_be__fault_48(expose_errors: bool) -> None:
    """The text of an error is on this stream where it is on the others."""
    limits = HttpLimits(max_stream_age=0.1)
    async with serving(BOTH_FACES[0], **OPEN, expose_errors=expose_errors, limits=limits) as face:
        await face.finished("fails")
        answer = await face.get("/events")
        assert ("hunter2" in answer.text) is expose_errors
        assert '"error_type":"PermissionError"' in answer.text


async def test_what_is_kept_no_longer_goes() -> None:
    """Jobs that the queue drops are named as gone, in whichever order they were submitted."""
    async with feeding(
        AsyncioJobQueue(works_handlers(), SETTINGS.model_copy(update={"max_results": 1}))
    ) as (works, _, reader):
        first = await works.queue.submit("held")
        for _ in range(3):
            last = await works.queue.submit("double", {"n": 1})
            await reader.until(lambda it, last=last: set(it.jobs) == {first, last})
        assert reader.statuses() == ["running", "completed"]


async def test_what_ended_first_goes_first() -> None:
    """Of jobs that did not end as they were submitted, that one is found to be gone that is."""
    settings = SETTINGS.model_copy(update={"max_results": 3})
    async with feeding(AsyncioJobQueue(works_handlers(), settings)) as (works, _, reader):
        longest, lives = [await works.queue.submit("held") for _ in range(2)]
        kept = [await works.queue.submit("double", {"n": n}) for n in range(2)]
        await asyncio.gather(*map(works.queue.wait, kept))
        await works.queue.cancel(longest)
        await works.queue.wait(longest)
        await reader.until(lambda it: len(it.jobs) == 4)
        for gone in (*kept, longest):
            lives = await works.queue.submit("held")  # looks at which nothing goes
            await reader.until(lambda it, lives=lives: lives in it.jobs)
            await works.queue.wait(await works.queue.submit("double", {"n": 1}))
            await reader.until(lambda it, gone=gone: gone not in it.jobs)


async def test_an_ended_job_that_is_read_again_keeps_its_turn() -> None:
    """The job that ended first is the first to be looked for, however often it is found."""
    works = Works(SETTINGS)
    async with works.queue:
        ids = [await works.queue.submit("double", {"n": n}) for n in range(2)]
        records = [await works.queue.wait(job_id) for job_id in ids]
    rows = Rows(10, lambda record: record.job_id.encode())
    for record in (*records, records[0]):
        rows.put(record)
    assert list(rows.ended) == ids


def works_handlers() -> Any:
    return Works(SETTINGS).handlers


ONE_SLOT = JobQueueSettings(concurrency=1, drain_timeout=0, cancel_grace=0.2)


async def test_a_job_that_is_cancelled_out_of_turn() -> None:
    """A waiting job that is cancelled before older ones is seen, too."""
    async with feeding(AsyncioJobQueue(works_handlers(), ONE_SLOT)) as (works, _, reader):
        ids = [await works.queue.submit("held") for _ in range(5)]
        await reader.until(lambda it: it.statuses().count("pending") == 4)
        await works.queue.cancel(ids[3])
        await reader.until(lambda it: "cancelled" in it.statuses())
        assert reader.jobs[ids[3]]["status"] == "cancelled"


async def test_jobs_that_end_between_two_looks() -> None:
    """More jobs than one look reads at first, all over before the next, are all seen."""
    async with feeding() as (works, _, reader):
        await reader.read()
        ids = [await works.queue.submit("double", {"n": n}) for n in range(300)]
        await asyncio.gather(*map(works.queue.wait, ids))
        await reader.until(lambda it: it.statuses() == ["completed"] * 300)
        assert set(reader.jobs) == set(ids)


async def test_the_newest_and_those_that_run() -> None:
    """Of more jobs than may be shown it shows the newest, and old ones as long as they run."""
    async with feeding(max_watched=3) as (works, _, reader):
        oldest = await works.queue.submit("held")
        ids = [await works.queue.submit("double", {"n": n}) for n in range(5)]
        await asyncio.gather(*map(works.queue.wait, ids))
        await reader.read()
        assert set(reader.jobs) == {oldest, *ids[2:]}
        newest = await works.queue.submit("double", {"n": 9})
        await reader.until(lambda it: newest in it.jobs)
        assert oldest in reader.jobs
        assert ids[2] not in reader.jobs


class Counting(AsyncioJobQueue):
    """A queue that counts what is read of it."""

    looks = 0
    read = 0

    async def list_jobs(self, **options: Any) -> Any:
        records = await super().list_jobs(**options)
        self.looks += 1
        self.read += len(records)
        return records

    async def get_result(self, job_id: str) -> Any:
        self.read += 1
        return await super().get_result(job_id)


async def test_a_look_costs_what_has_changed() -> None:
    """With thousands kept, a look reads a small part of them."""
    queue = Counting(works_handlers(), SETTINGS)
    async with feeding(queue) as (works, _, reader):
        ids = [await queue.submit("double", {"n": n}) for n in range(2_000)]
        await asyncio.gather(*map(queue.wait, ids))
        await reader.read()
        queue.read = 0
        await queue.submit("held")
        await reader.read()
        assert 0 < queue.read < 200
        assert len(reader.jobs) == 2_001


async def test_a_look_costs_no_more_where_many_wait() -> None:
    """With hundreds that wait, those that began and ended in turn are found without the others."""
    queue = Counting(works_handlers(), ONE_SLOT)
    async with feeding(queue) as (works, _, reader):
        first = await queue.submit("held")
        ids = [await queue.submit("double", {"n": n}) for n in range(5)]
        for _ in range(300):
            await queue.submit("held")
        await reader.until(lambda it: len(it.jobs) == 306)
        queue.read = 0
        await queue.cancel(first)
        await reader.until(lambda it: it.statuses().count("completed") == len(ids))
        assert 0 < queue.read < 200


async def test_one_look_serves_all_and_none_is_taken_for_nobody__fault_32() -> None:
    """However many follow, the queue is looked at once each time; with the last one it stops."""
    queue = Counting(works_handlers(), SETTINGS)
    async with feeding(queue) as (works, feeds, _):
        before = asyncio.all_tasks()
        many = [feeds.follow(queue, nobody_is_asked) for _ in range(20)]
        readers = [reading(chunks) for chunks in many]
        await asyncio.gather(*(reader.read() for reader in readers))
        assert queue.looks == 2  # the newest, and those that run
        for chunks in many:
            await chunks.aclose()
        assert asyncio.all_tasks() == before
        assert not feeds._feeds


async def test_a_reader_that_is_slow() -> None:
    """Who does not keep up is sent what it missed, or, when that is too much, all anew."""
    async with feeding() as (works, feeds, quick):
        slow = reading(feeds.follow(works.queue, nobody_is_asked))
        await asyncio.gather(quick.read(), slow.read())
        for missed, names in ((_KEPT, ["changes"] * _KEPT), (_KEPT + 1, ["snapshot"])):
            del slow.names[:]
            for _ in range(missed):
                ended = await works.queue.submit("double", {"n": 1})
                await works.queue.wait(ended)
                await quick.until(lambda it, ended=ended: ended in it.jobs)
            await slow.until(lambda it: it.jobs == quick.jobs)
            assert slow.names == names


async def test_the_stream_of_all_jobs_ends_with_the_queue__faults_25_51() -> None:
    """When the queue closes, those who follow its jobs are not left waiting."""
    async with feeding() as (works, feeds, reader):
        await reader.read()
        waiting = asyncio.create_task(reader.read())
        await works.queue.__aexit__(None, None, None)
        with pytest.raises(QueueClosedError):
            await asyncio.wait_for(waiting, SAFETY_NET)
        await works.queue.__aenter__()
        again = reading(feeds.follow(works.queue, nobody_is_asked))
        await again.read()
        assert again.names == ["snapshot"]


async def test_a_queue_that_fails() -> None:
    """Where the queue cannot be read, the stream is refused with 503, and works when it can."""
    async with serving(BOTH_FACES[0], **OPEN, limits=HttpLimits(max_stream_age=0.1)) as face:
        queue: Any = face.works.queue
        whole = queue.list_jobs

        async def broken(**_: Any) -> Any:
            raise BackendError("postgres", "the password is hunter2")

        queue.list_jobs = broken
        answer = await face.get("/events")
        assert is_problem(answer, 503, "queue-unavailable")
        assert "hunter2" not in answer.text
        queue.list_jobs = whole
        assert "event: snapshot" in (await face.get("/events")).text


@BY_FACE
async def test_its_readers_have_their_places__fault_51(host: Any) -> None:
    """The stream takes a place of those that there are, and gives it back when its client leaves."""
    async with on_uvicorn(host, max_open=2, watch_interval=SOON) as face, AsyncExitStack() as stack:
        await stack.enter_async_context(face.client.stream("GET", f"{JOBS}/events"))
        caller = await Caller.asking(face, f"{JOBS}/events")
        await caller.until(b"event: snapshot\n")
        assert await status(face, f"{JOBS}/events") == 503
        caller.leave()
        await answered(face, f"{JOBS}/events")
