"""Promises about U+0000 in text, and about how large a result may be."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stoat_jobs import JobContext, JobObserver, JobStatus

from ._bench import Bench
from ._promises import Promises, needs, unless

NUL = "one\0two"

PLACES: dict[str, tuple[dict[str, Any], str]] = {
    "value": ({"user": NUL}, "'user'"),
    "name": ({NUL: 1}, "one"),
    "value in a list": ({"user": {"roles": ["é", NUL]}}, "'roles'"),
    "name in an object": ({"user": {NUL: None}}, "'user'"),
}


class Adds(JobObserver):
    """Adds an item to the metadata of each job."""

    def submitting(self, event: Any) -> dict[str, str]:
        return {"trace": NUL}


def add_echo(bench: Bench) -> None:
    """Register ``echo``, which returns its arguments, whose record has them, too."""

    async def echo(ctx: JobContext, /, **payload: Any) -> Any:
        return payload

    bench.handlers.register("echo", echo, keep_payload=True)


class TextPromises(Promises):
    """U+0000 is refused where an engine compares text, and kept where it does not."""

    async def test_a_key_with_u0000_is_refused(self) -> None:
        """A key that contains U+0000 is an error that says so, and nothing is queued."""
        async with self.bench() as bench:
            both: list[Any] = ["live", "kept"]
            for unique in both:
                with pytest.raises(ValueError, match=r"key .*U\+0000"):
                    await bench.queue.submit("hold", {}, key=NUL, unique=unique)
            assert await bench.queue.list_jobs() == []

    @pytest.mark.parametrize(("metadata", "place"), PLACES.values(), ids=PLACES)
    async def test_metadata_with_u0000_is_refused_by_its_place(
        self, metadata: dict[str, Any], place: str
    ) -> None:
        """Metadata that contains U+0000, in a name or a value at any depth, is refused by name."""
        async with self.bench() as bench:
            with pytest.raises(ValueError, match=r"metadata.*U\+0000") as caught:
                await bench.queue.submit("hold", {}, metadata=metadata)
            assert place in str(caught.value)
            with pytest.raises(ValueError, match=r"metadata.*U\+0000"):
                await bench.queue.submit_many("hold", [{}], metadata=metadata)
            assert await bench.queue.list_jobs() == []

    @pytest.mark.parametrize(("metadata", "place"), PLACES.values(), ids=PLACES)
    async def test_an_update_with_u0000_is_refused_at_the_call(
        self, metadata: dict[str, Any], place: str
    ) -> None:
        """A handler that adds U+0000 to its metadata gets the same error, and nothing changes."""
        async with self.bench() as bench:
            call = await bench.begin(metadata={"a": 1})
            with pytest.raises(ValueError, match=r"metadata.*U\+0000") as caught:
                call.ctx.update_metadata(**metadata)
            assert place in str(caught.value)
            assert (await bench.finish(call)).metadata == {"a": 1}

    async def test_an_observer_that_adds_u0000_is_dropped(self) -> None:
        """What an observer adds is refused too, as that observer's fault, and the job runs."""
        async with self.bench([Adds()]) as bench:
            call = await bench.begin(metadata={"a": 1})
            assert (await bench.finish(call)).metadata == {"a": 1}

    async def test_a_filter_with_u0000_matches_nothing(self) -> None:
        """No job has U+0000 in its type or its metadata, so a list of such jobs is empty."""
        async with self.bench() as bench:
            await bench.begin(metadata={"a": "one"})
            assert await bench.queue.list_jobs(job_type=f"hold{NUL}") == []
            assert await bench.queue.list_jobs(metadata={"a": NUL}) == []
            assert await bench.queue.list_jobs(metadata={NUL: "one"}) == []

    async def test_u0000_arrives_intact_in_payloads_and_results(self) -> None:
        """A payload and a result may contain U+0000, in names and values; it is not changed."""
        async with self.bench() as bench:
            add_echo(bench)
            payload = {"text": NUL, NUL: [{NUL: "\0"}, "\\u0000"]}
            record = await bench.run("echo", payload)
            assert (record.error, record.result) == (None, payload)
            assert record.payload == payload

    async def test_u0000_in_messages_and_errors_is_escaped(self) -> None:
        """In a message and in an error it is escaped, as any control character, and is kept so."""
        async with self.bench() as bench:
            call = await bench.begin()
            call.ctx.set_progress(0.5, NUL)
            assert (await bench.record(call.job_id)).message == "one\\x00two"
            call.fail(ValueError(NUL))
            record = await bench.queue.wait(call.job_id)
            assert (record.status, record.error) == (JobStatus.FAILED, "one\\x00two")
            assert record.message == "one\\x00two"

    @needs("durable")
    async def test_u0000_is_in_the_next_life_what_it_was(self) -> None:
        """Payloads that wait and results that are kept contain it in the next queue, too."""
        payload = {"text": NUL, NUL: ["\\u0000"]}
        async with self.bench() as old:
            add_echo(old)
            finished = await old.run("echo", payload)
            await old.begin()
            waiting = await old.put("hold", payload)
            await old.close()
        async with self.bench() as bench:
            add_echo(bench)
            assert await bench.record(finished.job_id) == finished
            bench.open_gates()
            assert (await bench.call(waiting)).payload == payload


class ResultSizePromises(Promises):
    """A result that is kept as JSON has at most ``max_result_bytes`` of it."""

    @unless("keeps_any_result")
    async def test_a_result_over_its_limit_fails_the_job_by_name(self) -> None:
        """A result larger than ``max_result_bytes`` fails its job; the error says what to do."""
        async with self.bench(max_result_bytes=20) as bench:
            call = await bench.begin()
            call.ctx.set_progress(1.0)
            record = await bench.finish(call, "é" * 9 + "x")
            assert (record.status, record.error_type) == (JobStatus.FAILED, "ResultTooLargeError")
            for part in ("21 bytes", "max_result_bytes (20)", "return the path"):
                assert part in str(record.error)
            assert (record.result, record.progress) == (None, None)
            assert await bench.record(call.job_id) == record

    @unless("keeps_any_result")
    async def test_a_result_at_its_limit_is_kept(self) -> None:
        """``max_result_bytes`` are bytes of JSON, and as many are allowed."""
        async with self.bench(max_result_bytes=20) as bench:
            record = await bench.finish(await bench.begin(), "é" * 9)  # and two quotes
            assert (record.status, record.result) == (JobStatus.COMPLETED, "é" * 9)

    @unless("keeps_any_result")
    async def test_partial_work_over_the_limit_is_dropped(self) -> None:
        """A cancelled job whose handler returns too much still ends as ``cancelled``."""
        async with self.bench(max_result_bytes=20) as bench:

            @bench.handlers.job
            async def tidy(ctx: JobContext) -> str:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    return "x" * 100
                return "whole"

            job_id = await bench.put("tidy")
            await bench.queue.cancel(job_id)
            record = await bench.record(job_id)
            assert (record.status, record.error_type) == (JobStatus.CANCELLED, "Cancelled")
            assert record.result is None
