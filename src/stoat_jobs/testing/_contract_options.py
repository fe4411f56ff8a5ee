"""Promises about the options of a submission, and about what is refused."""

from __future__ import annotations

import asyncio
import inspect
import math
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from stoat_jobs import (
    InvalidPayloadError,
    JobContext,
    JobNotFoundError,
    JobStatus,
    NoTransactionsError,
    QueueClosedError,
    QueueFullError,
    UnknownJobTypeError,
)

from ._contract_input import add_echo
from ._promises import Promises, needs, unless


class Unhashable:
    """Raises another error than TypeError when it is hashed, and has no text."""

    def __hash__(self) -> int:
        raise ZeroDivisionError

    __repr__ = __str__ = __hash__  # type: ignore[assignment]


WRONG: dict[str, Any] = {
    "none": None,
    "number": 7,
    "long": "x" * 100_000,
    "lines": "a\nforged",
    "list": [],
    "hostile": Unhashable(),
}


class OptionPromises(Promises):
    """Timeouts, metadata and keys; full and closed queues; unknown ids; other threads."""

    @pytest.mark.parametrize("timeout", [0, -1, math.nan])
    async def test_a_timeout_that_is_no_limit_is_refused__fault_18(self, timeout: float) -> None:
        """A timeout of 0, a negative one or NaN is an error, and nothing is queued."""
        async with self.bench() as bench:
            with pytest.raises(ValueError, match=r"more than 0.*math\.inf"):
                await bench.queue.submit("hold", {}, timeout=timeout)
            assert await bench.queue.list_jobs() == []

    @pytest.mark.parametrize(
        ("metadata", "error"),
        [
            ("text", TypeError),
            ([("a", "b")], TypeError),
            ({1: "a"}, TypeError),
            ({"a": "x" * 65_530}, ValueError),
            ({"a": "é" * 32_766}, ValueError),
        ],
        ids=["text", "pairs", "number as name", "too large", "too large in bytes"],
    )
    async def test_metadata_that_is_no_small_json_object_is_refused(
        self, metadata: Any, error: type[Exception]
    ) -> None:
        """Metadata other than at most 64 KiB of a JSON object is an error; nothing is queued."""
        async with self.bench() as bench:
            with pytest.raises(error, match="metadata"):
                await bench.queue.submit("hold", {}, metadata=metadata)
            assert list(await bench.queue.list_jobs()) == []

    async def test_metadata_is_kept_and_seen_by_the_handler(self) -> None:
        """The metadata is on the record from the beginning, and in the handler's context."""
        async with self.bench() as bench:
            given = {"user": "ada"}
            call = await bench.begin(metadata=given)
            given["user"] = "changed"
            assert dict(call.ctx.metadata) == {"user": "ada"}
            assert (await bench.record(call.job_id)).metadata == {"user": "ada"}
            assert (await bench.finish(call)).metadata == {"user": "ada"}

    async def test_metadata_and_keys_are_plain_text(self) -> None:
        """Of an enum or another subclass of ``str``, only the plain text is kept."""
        async with self.bench() as bench:
            call = await bench.begin(key=JobStatus.FAILED, metadata={"by": JobStatus.FAILED})
            for kept in (call.ctx.metadata, (await bench.record(call.job_id)).metadata):
                assert [type(value) for value in kept.values()] == [str]
            assert await bench.queue.submit("hold", {}, key="failed") == call.job_id

    async def test_metadata_on_a_record_is_the_callers_own(self) -> None:
        """Changing the metadata of a record changes no other record."""
        async with self.bench() as bench:
            call = await bench.begin(metadata={"user": "ada"})
            (await bench.record(call.job_id)).metadata["user"] = "eve"
            assert (await bench.record(call.job_id)).metadata == {"user": "ada"}

    async def test_a_key_gives_the_job_that_is_pending_or_running(self) -> None:
        """A second submission with the same key returns the first job's id and changes nothing."""
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
        """Two job types may use the same key at the same time."""
        async with self.bench() as bench:
            first = await bench.begin("hold", key="same")
            second = await bench.put("polite", key="same")
            assert second != first.job_id

    @pytest.mark.parametrize("end", ["finish", "fail"])
    async def test_a_key_is_free_when_its_job_has_ended(self, end: str) -> None:
        """A finished job does not block the next one with its key."""
        async with self.bench() as bench:
            call = await bench.begin(key="k")
            if end == "finish":
                call.finish()
            else:
                call.fail(ValueError("no"))
            await bench.queue.wait(call.job_id)
            assert (await bench.begin(key="k")).job_id != call.job_id

    async def test_a_key_is_free_as_soon_as_its_pending_job_is_cancelled(self) -> None:
        """A job that is cancelled while pending releases its key at once."""
        async with self.bench() as bench:
            await bench.begin()
            first = await bench.put(key="k")
            await bench.queue.cancel(first)
            assert await bench.put(key="k") != first

    async def test_a_key_is_free_while_its_job_is_being_stopped(self) -> None:
        """A job that was told to stop releases its key, and its finish does not affect the next."""
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

    @pytest.mark.parametrize("key", ["", "k" * 1025, "\ud800"], ids=["empty", "long", "surrogate"])
    async def test_a_bad_key_is_refused(self, key: str) -> None:
        """A key that is not a non-empty string of at most 1 KiB is an error."""
        async with self.bench() as bench:
            with pytest.raises(ValueError, match=r"key|surrogates"):
                await bench.queue.submit("hold", {}, key=key)
            assert await bench.queue.list_jobs() == []

    # Refusals.

    @unless("joins_transactions")
    async def test_a_connection_is_refused_where_there_is_no_transaction_to_join(self) -> None:
        """A queue without transactions refuses a ``connection``, and nothing is queued."""
        async with self.bench() as bench:
            with pytest.raises(NoTransactionsError, match=r"no transactions.*`connection`"):
                await bench.queue.submit("hold", {}, connection=object())
            with pytest.raises(TypeError, match="no transactions"):
                await bench.queue.submit_many("hold", [{}], connection=object())
            assert await bench.queue.list_jobs() == []

    async def test_a_full_queue_refuses_at_once__fault_30(self) -> None:
        """With ``max_pending`` jobs pending a submission is refused, and with fewer accepted."""
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
        """A full queue never deadlocks a handler that submits to it."""
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
        """If several things are wrong, the error is about the first."""
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
        """A submission after the shutdown is an error that says so."""
        bench = await self.new_bench()
        async with bench:
            pass
        with pytest.raises(QueueClosedError, match="closed"):
            await bench.queue.submit("nobody", {})
        assert await bench.queue.list_jobs() == []

    async def test_an_unknown_id_is_a_job_not_found_error_everywhere__fault_42(self) -> None:
        """Every method that takes an id raises for an unknown one, and says why that may be."""
        async with self.bench() as bench:
            queue, job_id = bench.queue, str(uuid.uuid4())
            asks = (queue.get_status, queue.get_result, queue.cancel, queue.wait)
            for ask in asks:
                with pytest.raises(JobNotFoundError, match="--workers") as caught:
                    await ask(job_id)
                assert caught.value.job_id == job_id
            watch = queue.watch(job_id)
            with pytest.raises(KeyError):
                await watch.__anext__()

    @pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
    async def test_what_is_no_id_is_answered_in_one_short_line__fault_53(self, wrong: Any) -> None:
        """Whatever is passed as an id or a job type, the error has the same type and is short."""
        async with self.bench() as bench:
            queue = bench.queue
            for ask in (queue.get_status, queue.get_result, queue.cancel, queue.wait, queue.submit):
                with pytest.raises((JobNotFoundError, UnknownJobTypeError)) as caught:
                    await ask(wrong)
                text = str(caught.value)
                assert text.isprintable()
                assert len(text) < 4096

    async def test_submit_from_a_foreign_thread_names_the_way__fault_40(self) -> None:
        """A submission from another thread is an error that names the remedy."""
        async with self.bench(concurrency=1) as bench:

            @bench.handlers.job
            def misled(ctx: JobContext) -> str:
                with pytest.raises(RuntimeError, match="from_thread") as caught:
                    asyncio.run(ctx.queue.submit("hold", {}))
                return type(caught.value).__name__

            record = await bench.run("misled")
            assert record.status is JobStatus.COMPLETED, record.error
            assert [job.job_type for job in await bench.queue.list_jobs()] == ["misled"]

    async def test_what_waits_or_cancels_from_a_foreign_thread_names_the_way__fault_40(
        self,
    ) -> None:
        """A live job can be awaited, watched and cancelled only in the queue's event loop."""
        async with self.bench() as bench:
            queue, job_id = bench.queue, (await bench.begin()).job_id
            for ask in (queue.cancel, queue.wait, queue.watch):
                told = await asyncio.to_thread(_told, ask, job_id)
                assert told.startswith(f"RuntimeError: {ask.__name__}() was called outside")
                assert "from_thread" in told
            assert await queue.get_status(job_id) is JobStatus.RUNNING

    @needs("reads_in_any_thread")
    async def test_a_job_that_ended_is_read_from_anywhere__fault_40(self) -> None:
        """A finished job can be awaited, watched and cancelled from any thread."""
        async with self.bench() as bench:
            job_id = (await bench.finish(await bench.begin())).job_id
            for ask in (bench.queue.cancel, bench.queue.wait, bench.queue.watch):
                assert await asyncio.to_thread(_told, ask, job_id) == "nothing"

    async def test_from_thread_submits_from_a_sync_handler__fault_40(self) -> None:
        """A sync handler can submit jobs through its context."""
        async with self.bench() as bench:

            @bench.handlers.job
            def parent(ctx: JobContext) -> str:
                job_id: str = ctx.from_thread(ctx.queue.submit, "hold", {"n": 1})
                return job_id

            submission = bench.submit("parent")
            (await bench.call_number(0)).finish()
            record = await bench.queue.wait(await submission)
            assert (record.result, bench.calls[0].payload) == (bench.calls[0].job_id, {"n": 1})


def _told(ask: Callable[[str], Any], job_id: str) -> str:
    """The type of error that a call from another event loop in this thread raises."""

    async def call() -> None:
        answer = ask(job_id)
        await (answer if inspect.isawaitable(answer) else answer.__anext__())

    try:
        asyncio.run(call())
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"
