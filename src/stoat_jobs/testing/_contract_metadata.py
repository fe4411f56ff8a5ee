"""Promises about a job's metadata: what the submitter says, and what the handler finds out."""

from __future__ import annotations

import asyncio
import math
import threading
from typing import Any

import pytest

from stoat_jobs import JobContext, JobObserver, JobStatus

from ._promises import Promises, needs

NESTED = {"user": {"id": 7, "roles": ["admin", "ops"]}, "dry": True, "ratio": 0.5, "note": None}


def deep(levels: int) -> Any:
    """A list with so many levels."""
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


WITHOUT_JSON: dict[str, tuple[Any, type[Exception]]] = {
    "bytes": (b"secret", TypeError),
    "tuple": (("secret",), TypeError),
    "set": ({"secret"}, TypeError),
    "object": (object(), TypeError),
    "nan": (math.nan, ValueError),
    "infinity": ([math.inf], ValueError),
    "name": ({1: "secret"}, TypeError),
    "surrogate": ("secret\ud800", ValueError),
    "surrogate in a name": ({"\ud800": "secret"}, ValueError),
    "inside": ({"a": [{"b": b"secret"}]}, TypeError),
    "digits": (10**5000, ValueError),
    "depth": (deep(64), ValueError),
    "size": ("secret" * 20_000, ValueError),
    "number of values": ([None] * 40_000, ValueError),
}


class Meddler(JobObserver):
    """Changes what it can reach."""

    def __init__(self) -> None:
        self.told = 0

    def _meddle(self, event: Any) -> None:
        self.told += 1
        event.metadata["user"]["roles"].append("root")

    submitting = submitted = started = _meddle


class MetadataPromises(Promises):
    """Metadata is a JSON object on the record; handlers add to it, and nobody else can."""

    async def test_metadata_may_be_any_json_object(self) -> None:
        """Objects, lists, numbers, bools and None are kept, on the record and in the context."""
        async with self.bench() as bench:
            call = await bench.begin(metadata=NESTED)
            assert dict(call.ctx.metadata) == NESTED
            assert (await bench.record(call.job_id)).metadata == NESTED
            assert (await bench.finish(call)).metadata == NESTED

    @pytest.mark.parametrize(("value", "error"), WITHOUT_JSON.values(), ids=WITHOUT_JSON)
    async def test_metadata_without_json_is_refused_by_its_name(
        self, value: Any, error: type[Exception]
    ) -> None:
        """An item that has no JSON, or is too large or too deep, is named, and never shown."""
        async with self.bench() as bench:
            with pytest.raises(error, match="metadata") as caught:
                await bench.queue.submit("hold", {}, metadata={"ok": 1, "wrong": value})
            assert "secret" not in str(caught.value)
            assert "wrong" in str(caught.value) or "max_metadata_bytes" in str(caught.value)
            assert list(await bench.queue.list_jobs()) == []

    async def test_the_limit_of_metadata_is_in_bytes_of_its_json(self) -> None:
        """``max_metadata_bytes`` of JSON are accepted, and one byte more is not."""
        async with self.bench(max_metadata_bytes=20) as bench:
            call = await bench.begin(metadata={"a": "é" * 6})  # {"a":"..."} is 8 bytes more
            assert dict(call.ctx.metadata) == {"a": "é" * 6}
            with pytest.raises(ValueError, match=r"max_metadata_bytes \(20\)"):
                await bench.queue.submit("hold", {}, metadata={"a": "é" * 6 + "x"})

    async def test_nobody_changes_the_metadata_of_a_job(self) -> None:
        """What is given, shown to observers, in a context or on a record is a copy."""
        meddler = Meddler()
        async with self.bench([meddler]) as bench:
            given = {"user": {"roles": ["admin"]}}
            call = await bench.begin(metadata=given)
            given["user"]["roles"].append("root")
            call.ctx.metadata["user"]["roles"].append("root")
            (await bench.record(call.job_id)).metadata["user"]["roles"].append("root")
            assert meddler.told == 3
            assert dict(call.ctx.metadata) == {"user": {"roles": ["admin"]}}
            assert (await bench.finish(call)).metadata == {"user": {"roles": ["admin"]}}
            with pytest.raises(TypeError):
                call.ctx.metadata["user"] = "eve"  # type: ignore[index]

    # Updates.

    async def test_a_handler_updates_the_metadata_on_the_record(self) -> None:
        """``update_metadata`` sets fields; others stay, and the record and the context show all."""
        async with self.bench() as bench:
            call = await bench.begin(metadata={"user": "ada", "pages": 0})
            call.ctx.update_metadata(pages=3, sizes=[1, 2])
            expected = {"user": "ada", "pages": 3, "sizes": [1, 2]}
            assert dict(call.ctx.metadata) == expected
            assert (await bench.record(call.job_id)).metadata == expected
            assert (await bench.finish(call)).metadata == expected

    @needs("shows_each_report")
    async def test_a_watcher_sees_updates_of_metadata(self) -> None:
        """Each update of a handler on the loop is a change that is watched."""
        async with self.bench() as bench:
            call = await bench.begin()
            watching = bench.watching(call.job_id)
            for page in (1, 2):
                await bench.clock.settle()
                call.ctx.update_metadata(page=page)
            await bench.clock.settle()
            assert [record.metadata for record in watching.seen][-2:] == [{"page": 1}, {"page": 2}]
            await bench.finish(call)

    async def test_updates_from_threads_and_the_loop_all_count(self) -> None:
        """No update undoes another, also if the loop has yet to hear of it."""
        async with self.bench() as bench:

            @bench.handlers.job
            async def gather(ctx: JobContext) -> dict[str, Any]:
                for number in range(0, 20, 2):
                    fields = {f"f{number}": number}
                    thread = threading.Thread(target=ctx.update_metadata, kwargs=fields)
                    thread.start()
                    thread.join()  # the loop is held meanwhile
                    ctx.update_metadata(**{f"f{number + 1}": number + 1})
                return dict(ctx.metadata)

            record = await bench.run("gather")
            assert record.metadata == {f"f{number}": number for number in range(20)}
            assert record.result == record.metadata

    async def test_a_thread_reads_what_it_has_updated(self) -> None:
        """In a sync handler the context shows an update at once, and the record all at the end."""
        async with self.bench() as bench:

            @bench.handlers.job
            def count(ctx: JobContext) -> list[int]:
                seen = []
                for page in range(1, 100):
                    ctx.update_metadata(page=page)
                    seen.append(ctx.metadata["page"])
                return seen

            record = await bench.run("count", metadata={"user": "ada"})
            assert record.result == list(range(1, 100))
            assert record.metadata == {"user": "ada", "page": 99}

    @pytest.mark.parametrize("job_type", ["hold", "work"])
    async def test_an_update_after_the_end_is_ignored(self, job_type: str) -> None:
        """A terminal record never changes: updates are checked, and change nothing."""
        async with self.bench() as bench:
            call = await bench.begin(job_type, metadata={"a": 1})
            call.ctx.update_metadata(b=2)
            before = await bench.finish(call)
            call.ctx.update_metadata(a=2)
            thread = threading.Thread(target=call.ctx.update_metadata, kwargs={"c": 3})
            thread.start()
            thread.join()
            with pytest.raises(TypeError):
                call.ctx.update_metadata(d=b"")
            assert await bench.record(call.job_id) == before
            assert before.metadata == dict(call.ctx.metadata) == {"a": 1, "b": 2}

    @pytest.mark.parametrize(("value", "error"), WITHOUT_JSON.values(), ids=WITHOUT_JSON)
    async def test_an_update_without_json_is_refused_at_the_call(
        self, value: Any, error: type[Exception]
    ) -> None:
        """The handler gets the error that the submitter would get, and nothing changes."""
        async with self.bench() as bench:
            call = await bench.begin(metadata={"a": 1})
            with pytest.raises(error, match="metadata"):
                call.ctx.update_metadata(ok=1, wrong=value)
            assert (await bench.finish(call)).metadata == dict(call.ctx.metadata) == {"a": 1}

    async def test_updates_count_towards_the_limit_with_the_rest(self) -> None:
        """All metadata together may have ``max_metadata_bytes``; more is an error at the call."""
        async with self.bench(max_metadata_bytes=30) as bench:
            call = await bench.begin(metadata={"a": "x" * 10})
            with pytest.raises(ValueError, match=r"max_metadata_bytes \(30\)"):
                call.ctx.update_metadata(b="x" * 10)
            call.ctx.update_metadata(a="", b="x" * 10)
            assert (await bench.finish(call)).metadata == {"a": "", "b": "x" * 10}

    async def test_a_further_attempt_has_the_updates(self) -> None:
        """What an attempt found out is there for the next one."""
        async with self.bench() as bench:
            call = await bench.begin("retrying", metadata={"user": "ada"})
            call.ctx.update_metadata(offset=5)
            call.fail(ValueError("try again"))
            await bench.clock.advance(1.0)
            second = await bench.call_number(1)
            assert dict(second.ctx.metadata) == {"user": "ada", "offset": 5}
            second.ctx.update_metadata(offset=9)
            assert (await bench.finish(second)).metadata == {"user": "ada", "offset": 9}

    async def test_an_update_as_the_job_is_told_to_stop_counts(self) -> None:
        """Until its end a cancelled job may say how far it came."""
        async with self.bench() as bench:

            @bench.handlers.job
            async def tidy(ctx: JobContext) -> None:
                try:
                    await asyncio.sleep(60)
                finally:
                    ctx.update_metadata(tidied=True)

            job_id = await bench.put("tidy")
            await bench.queue.cancel(job_id)
            record = await bench.record(job_id)
            assert (record.status, record.metadata) == (JobStatus.CANCELLED, {"tidied": True})

    @needs("durable")
    async def test_the_next_queue_has_the_updates(self) -> None:
        """The record of a finished job has its updates in the next queue, too."""
        async with self.bench() as old:
            call = await old.begin(metadata={"user": {"id": 1}})
            call.ctx.update_metadata(pages=[3])
            before = await old.finish(call)
            await old.close()
        async with self.bench() as bench:
            (await bench.record(call.job_id)).metadata["pages"].append(4)
            assert await bench.record(call.job_id) == before
            assert before.metadata == {"user": {"id": 1}, "pages": [3]}
