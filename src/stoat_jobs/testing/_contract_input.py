"""Promises about what is submitted: ids, payloads, options, and what is refused."""

from __future__ import annotations

import asyncio
import math
import uuid
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from stoat_jobs import (
    InvalidPayloadError,
    JobContext,
    JobNotFoundError,
    JobStatus,
    QueueClosedError,
    QueueFullError,
    UnknownJobTypeError,
)

from ._bench import Bench
from ._promises import Promises, needs


class Colour(Enum):
    RED = "red"


class Area(BaseModel):
    name: str
    mask: bytes = b""


def circular() -> list[Any]:
    """A list that holds itself."""
    circle: list[Any] = []
    circle.append(circle)
    return circle


def deep() -> list[Any]:
    """A list nested deeper than any encoder follows."""
    nested: list[Any] = []
    for _ in range(5000):
        nested = [nested]
    return nested


def add_echo(bench: Bench) -> list[dict[str, Any]]:
    """A job type ``echo`` of one number and anything else; what it was called with."""
    received: list[dict[str, Any]] = []

    @bench.handlers.job
    async def echo(ctx: JobContext, number: int, anything: Any = None) -> None:
        received.append({"number": number, "anything": anything})

    return received


class InputPromises(Promises):
    """What ``submit`` accepts, and what it refuses before anything is queued."""

    async def test_an_id_is_a_random_uuid4_in_its_usual_text_form__fault_47(self) -> None:
        """Job ids cannot be guessed: random UUID4s, each used once."""
        async with self.bench() as bench:
            ids = [(await bench.finish(await bench.begin())).job_id for _ in range(3)]
            assert len(set(ids)) == 3
            assert [str(uuid.UUID(job_id)) for job_id in ids] == ids
            assert {uuid.UUID(job_id).version for job_id in ids} == {4}

    @needs("submit_returns_early")
    async def test_submit_never_waits_for_a_slot(self) -> None:
        """A submission returns while every slot is taken."""
        async with self.bench() as bench:
            await bench.begin()
            waiting = await asyncio.wait_for(bench.queue.submit("hold", {}), 1)
            assert await bench.status(waiting) is JobStatus.PENDING

    async def test_a_payload_reaches_the_handler_as_the_types_it_declares(self) -> None:
        """Text, as HTTP brings it, becomes what the handler's annotations say."""
        async with self.bench() as bench:

            @bench.handlers.job
            async def typed(
                ctx: JobContext, path: Path, when: datetime, colour: Colour, area: Area, *, n: int = 7
            ) -> bool:
                return (path, when, colour, area, n) == (
                    Path("/srv"),
                    datetime(2024, 5, 6, tzinfo=timezone.utc),
                    Colour.RED,
                    Area(name="north"),
                    7,
                )

            payload = {
                "path": "/srv",
                "when": "2024-05-06T00:00:00Z",
                "colour": "red",
                "area": {"name": "north"},
            }
            record = await bench.run("typed", payload)
            assert record.result is True, record.error

    async def test_bytes_arrive_intact_in_nested_models_too(self) -> None:
        """Bytes that are not text travel unharmed, at any depth."""
        async with self.bench() as bench:
            received: list[Any] = []

            @bench.handlers.job
            async def store(ctx: JobContext, data: bytes, areas: list[Area]) -> None:
                received.extend([data, areas[0].mask])

            area = Area(name="south", mask=b"\x00\xfe")
            await bench.run("store", {"data": b"\xff\x00", "areas": [area]})
            assert received == [b"\xff\x00", b"\x00\xfe"]

    async def test_a_payload_is_isolated_from_the_caller_at_every_depth__fault_33(self) -> None:
        """What the caller changes after submitting, the job does not see."""
        async with self.bench() as bench:
            seen: list[Any] = []

            @bench.handlers.job
            async def look(ctx: JobContext, plain: Any, area: Area) -> None:
                seen.extend([plain, area.name])

            blocker = await bench.begin()
            plain, area = {"list": [1, {"deep": [2]}]}, Area(name="north")
            job_id = await bench.put("look", {"plain": plain, "area": area})
            plain["list"][1]["deep"].append(3)  # type: ignore[index]
            area.name = "changed"
            blocker.finish()
            await bench.queue.wait(job_id)
            assert seen == [{"list": [1, {"deep": [2]}]}, "north"]

    async def test_defaults_are_frozen_at_submit(self) -> None:
        """A default that one job changes is as declared in the next."""
        async with self.bench() as bench:
            seen: list[list[int]] = []

            @bench.handlers.job
            async def collect(ctx: JobContext, into: list[int] = []) -> None:  # noqa: B006
                seen.append(list(into))
                into.append(1)

            await bench.run("collect")
            await bench.run("collect")
            assert seen == [[], []]

    async def test_a_payload_may_be_left_out(self) -> None:
        """A handler without arguments needs no payload."""
        async with self.bench() as bench:
            submission = asyncio.ensure_future(bench.queue.submit("hold"))
            await bench.clock.settle()
            assert [call.payload for call in bench.calls] == [{}]
            await bench.finish(bench.calls[0])
            assert await submission == bench.calls[0].job_id

    @pytest.mark.parametrize(
        ("payload", "place"),
        [
            (None, ()),
            ([1], ()),
            ("text", ()),
            ({}, ("number",)),
            ({"number": "many"}, ("number",)),
            ({"number": 1, "nmber": 2}, ("nmber",)),
        ],
        ids=["none", "list", "text", "missing", "wrong type", "unknown name"],
    )
    async def test_a_wrong_payload_is_refused_and_nothing_queued__fault_34(
        self, payload: Any, place: tuple[str, ...]
    ) -> None:
        """A payload that does not fit the handler is refused at submit, saying where."""
        async with self.bench() as bench:
            received = add_echo(bench)
            with pytest.raises(InvalidPayloadError) as caught:
                await bench.queue.submit("echo", payload)
            assert [error["loc"] for error in caught.value.errors] == [place]
            assert "echo" in str(caught.value)
            assert isinstance(caught.value, ValueError)
            await bench.clock.settle()
            assert (received, await bench.queue.list_jobs()) == ([], [])

    async def test_a_refused_payload_carries_pydantics_error__fault_34(self) -> None:
        """The refusal has pydantic's own error as its cause, for a web framework to show."""
        async with self.bench() as bench:
            add_echo(bench)
            with pytest.raises(InvalidPayloadError) as caught:
                await bench.queue.submit("echo", {"number": "many"})
            assert isinstance(caught.value.__cause__, ValidationError)
            assert caught.value.errors[0]["type"] == "int_parsing"

    @pytest.mark.parametrize(
        "value",
        [
            pytest.param(math.nan, id="NaN"),
            pytest.param(math.inf, id="infinity"),
            pytest.param((1, 2), id="tuple"),
            pytest.param({1: "one"}, id="key that is no text"),
            pytest.param(datetime(2024, 1, 1), id="datetime"),  # noqa: DTZ001
            pytest.param(SecretStr("hidden"), id="SecretStr"),
            pytest.param(Area(name="north"), id="model"),
            pytest.param("\ud800", id="lone surrogate"),
            pytest.param({"\udfff": 1}, id="lone surrogate in a key"),
            pytest.param(circular(), id="circular"),
            pytest.param(deep(), id="deep"),
            pytest.param(object(), id="object"),
        ],
    )
    async def test_what_does_not_survive_json_is_refused_by_field(self, value: Any) -> None:
        """What the handler would see changed, or not at all, is refused by its name."""
        async with self.bench() as bench:
            received = add_echo(bench)
            with pytest.raises(InvalidPayloadError) as caught:
                await bench.queue.submit("echo", {"number": 1, "anything": value})
            assert {error["loc"][:1] for error in caught.value.errors} == {("anything",)}
            assert (received, await bench.queue.list_jobs()) == ([], [])

    async def test_an_unknown_job_type_is_refused_with_the_nearest_names__fault_34(self) -> None:
        """A mistyped job type is refused at submit, and the error shows the right one first."""
        async with self.bench() as bench:
            with pytest.raises(UnknownJobTypeError) as caught:
                await bench.queue.submit("retryin", {})
            assert caught.value.known[0] == "retrying"
            assert isinstance(caught.value, LookupError)
            assert await bench.queue.list_jobs() == []

    async def test_payload_keys_named_like_ours_arrive_intact__fault_35(self) -> None:
        """The user's names never clash with the queue's."""
        async with self.bench() as bench:
            payload = dict.fromkeys(
                ["timeout", "key", "metadata", "status", "job_id", "job_type", "payload", "queue"], "x"
            )
            call = await bench.begin("hold", payload)
            assert call.payload == payload

    # Options.

    @pytest.mark.parametrize("timeout", [0, -1, math.nan])
    async def test_a_timeout_that_is_no_limit_is_refused__fault_18(self, timeout: float) -> None:
        """A timeout of 0, less, or NaN is an error, and nothing is queued."""
        async with self.bench() as bench:
            with pytest.raises(ValueError, match=r"more than 0.*math\.inf"):
                await bench.queue.submit("hold", {}, timeout=timeout)
            assert await bench.queue.list_jobs() == []

    @pytest.mark.parametrize(
        ("metadata", "error"),
        [
            ({"a": 1}, TypeError),
            ({1: "a"}, TypeError),
            ({"a": "x" * 5000}, ValueError),
            ({"a": "é" * 2100}, ValueError),
        ],
        ids=["number", "number as name", "too large", "too large in bytes"],
    )
    async def test_metadata_that_is_not_small_text_is_refused(
        self, metadata: Any, error: type[Exception]
    ) -> None:
        """Metadata is text pairs of at most 4 KiB in all; other is refused, nothing queued."""
        async with self.bench() as bench:
            with pytest.raises(error, match="metadata"):
                await bench.queue.submit("hold", {}, metadata=metadata)
            assert await bench.queue.list_jobs() == []

    async def test_metadata_is_kept_and_seen_by_the_handler(self) -> None:
        """Who asked is on the record from the beginning, and in the handler's context."""
        async with self.bench() as bench:
            given = {"user": "ada"}
            call = await bench.begin(metadata=given)
            given["user"] = "changed"
            assert dict(call.ctx.metadata) == {"user": "ada"}
            assert (await bench.record(call.job_id)).metadata == {"user": "ada"}
            assert (await bench.finish(call)).metadata == {"user": "ada"}

    async def test_metadata_on_a_record_is_the_callers_own(self) -> None:
        """Changing the metadata of a record changes no other record."""
        async with self.bench() as bench:
            call = await bench.begin(metadata={"user": "ada"})
            (await bench.record(call.job_id)).metadata["user"] = "eve"
            assert (await bench.record(call.job_id)).metadata == {"user": "ada"}

    async def test_a_key_gives_the_job_that_is_pending_or_running(self) -> None:
        """Pressing the button twice gives the first job's id, and its payload stands."""
        async with self.bench() as bench:
            call = await bench.begin("hold", {"n": 1}, key="/srv")
            again = bench.submit("hold", {"n": 2}, key="/srv")
            waiting = await bench.put("work", {"n": 3}, key="w")
            waiting_again = bench.submit("work", {"n": 4}, key="w")
            await bench.clock.settle()
            assert len(await bench.queue.list_jobs()) == 2
            await bench.finish(call)
            (await bench.call(waiting)).finish()
            assert (await again, await waiting_again) == (call.job_id, waiting)
            assert [each.payload for each in bench.calls] == [{"n": 1}, {"n": 3}]

    async def test_a_key_is_one_job_types_own(self) -> None:
        """Two job types may use the same key at one time."""
        async with self.bench() as bench:
            first = await bench.begin("hold", key="same")
            second = await bench.put("polite", key="same")
            assert second != first.job_id

    @pytest.mark.parametrize("end", ["finish", "fail"])
    async def test_a_key_is_free_when_its_job_has_ended(self, end: str) -> None:
        """A finished job does not stand in the way of the next one with its key."""
        async with self.bench() as bench:
            call = await bench.begin(key="k")
            if end == "finish":
                call.finish()
            else:
                call.fail(ValueError("no"))
            await bench.queue.wait(call.job_id)
            assert (await bench.begin(key="k")).job_id != call.job_id

    async def test_a_key_is_free_as_soon_as_its_pending_job_is_cancelled(self) -> None:
        """A cancelled job that never ran gives its key back at once."""
        async with self.bench() as bench:
            await bench.begin()
            first = await bench.put(key="k")
            await bench.queue.cancel(first)
            assert await bench.put(key="k") != first

    async def test_a_key_is_free_while_its_job_is_being_stopped(self) -> None:
        """A job that was asked to stop no longer answers for its key; its end harms no other."""
        async with self.bench() as bench:
            stopping = await bench.begin("deaf", key="k")
            await bench.queue.cancel(stopping.job_id)
            fresh = await bench.put("deaf", key="k")
            assert fresh != stopping.job_id
            await bench.finish(stopping)
            again = bench.submit("deaf", key="k")
            await bench.clock.settle()
            assert len(await bench.queue.list_jobs()) == 2
            await bench.finish(await bench.call(fresh))
            assert await again == fresh

    async def test_an_empty_key_is_refused(self) -> None:
        """An empty key, most likely a mistake, is an error."""
        async with self.bench() as bench:
            with pytest.raises(ValueError, match="key"):
                await bench.queue.submit("hold", {}, key="")
            assert await bench.queue.list_jobs() == []

    # Refusals.

    async def test_a_full_queue_refuses_at_once__fault_30(self) -> None:
        """With ``max_pending`` jobs waiting, one more is refused, and one fewer lets it in."""
        async with self.bench(max_pending=2) as bench:
            await bench.begin()
            first, _ = await bench.put(), await bench.put()
            with pytest.raises(QueueFullError, match="2 jobs wait"):
                await bench.queue.submit("hold", {})
            assert (await bench.queue.stats()).by_status[JobStatus.PENDING] == 2
            await bench.queue.cancel(first)
            assert await bench.status(await bench.put()) is JobStatus.PENDING

    async def test_a_handler_that_submits_to_a_full_queue_is_refused_not_blocked__fault_30(
        self,
    ) -> None:
        """A bounded backlog never deadlocks the handler that adds to it."""
        async with self.bench(max_pending=1) as bench:
            refused: list[Exception] = []

            @bench.handlers.job
            async def parent(ctx: JobContext) -> None:
                await ctx.queue.submit("hold", {})
                try:
                    await ctx.queue.submit("hold", {})
                except QueueFullError as error:
                    refused.append(error)

            bench.submit("parent")
            await bench.clock.settle()
            parents = await bench.queue.list_jobs(job_type="parent")
            assert [job.status for job in parents] == [JobStatus.COMPLETED]
            assert len(refused) == 1

    async def test_submit_checks_type_payload_key_and_room_in_this_order(self) -> None:
        """The first thing wrong is what the error is about."""
        async with self.bench(max_pending=1) as bench:
            add_echo(bench)
            call = await bench.begin(key="k")
            await bench.put()
            with pytest.raises(UnknownJobTypeError):
                await bench.queue.submit("nobody", None)  # type: ignore[arg-type]
            with pytest.raises(InvalidPayloadError):
                await bench.queue.submit("echo", {}, key="k")
            again = bench.submit(key="k")
            await bench.clock.settle()
            with pytest.raises(QueueFullError):
                await bench.queue.submit("hold", {}, key="other")
            await bench.finish(call)
            assert await again == call.job_id

    async def test_a_closed_queue_refuses_before_it_looks_at_anything_else__fault_21(self) -> None:
        """A submission after the stop is an error that says so, never silence."""
        bench = await self.new_bench()
        async with bench:
            pass
        with pytest.raises(QueueClosedError, match="closed"):
            await bench.queue.submit("nobody", {})
        assert await bench.queue.list_jobs() == []

    async def test_an_unknown_id_is_a_job_not_found_error_everywhere(self) -> None:
        """Every method that takes an id says that it is unknown, and why that may be."""
        async with self.bench() as bench:
            queue, job_id = bench.queue, str(uuid.uuid4())
            asks = (queue.get_status, queue.get_result, queue.cancel, queue.wait)
            for ask in asks:
                with pytest.raises(JobNotFoundError, match="--workers"):
                    await ask(job_id)
            watch = queue.watch(job_id)
            with pytest.raises(KeyError):
                await watch.__anext__()

    async def test_submit_from_a_foreign_thread_names_the_way__fault_40(self) -> None:
        """A submission that would never wake the loop is an error that names the remedy."""
        async with self.bench(concurrency=1) as bench:

            @bench.handlers.job
            def misled(ctx: JobContext) -> str:
                with pytest.raises(RuntimeError, match="from_thread") as caught:
                    asyncio.run(ctx.queue.submit("hold", {}))
                return type(caught.value).__name__

            record = await bench.run("misled")
            assert record.status is JobStatus.COMPLETED, record.error
            assert [job.job_type for job in await bench.queue.list_jobs()] == ["misled"]

    async def test_from_thread_submits_from_a_sync_handler__fault_40(self) -> None:
        """A sync handler submits more work through its context."""
        async with self.bench() as bench:

            @bench.handlers.job
            def parent(ctx: JobContext) -> str:
                return ctx.from_thread(ctx.queue.submit, "hold", {"n": 1})

            submission = bench.submit("parent")
            (await bench.call_number(0)).finish()
            record = await bench.queue.wait(await submission)
            assert (record.result, bench.calls[0].payload) == (bench.calls[0].job_id, {"n": 1})
