"""Promises about a handler's context: who it is, and how it hears that it shall stop."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from stoat_jobs import JobContext, JobStatus, current_job

from ._bench import Bench
from ._contract_stopping import assert_stopped
from ._others import REAL_LIMIT
from ._promises import Promises


def where() -> JobContext | None:
    """Code of the application, which nobody passes the context to."""
    return current_job()


async def in_a_task() -> JobContext | None:
    return await asyncio.ensure_future(asyncio.sleep(0, where()))


async def tell(bench: Bench, call_id: str, how: str) -> None:
    """Tell a job of 5 seconds to stop."""
    if how == "cancel":
        await bench.queue.cancel(call_id)
    elif how == "deadline":
        await bench.clock.advance(5.1)
    else:
        closing = asyncio.ensure_future(bench.queue.__aexit__(None, None, None))
        await bench.clock.advance(1.1)
        bench.submissions.append(closing)  # type: ignore[arg-type]
    await bench.clock.settle()


class ContextPromises(Promises):
    """The context is found from anywhere in a handler, and wakes what waits for the stop."""

    async def test_the_current_job_is_the_context_of_the_handler(self) -> None:
        """``current_job()`` is the context, from functions, tasks and threads of the handler."""
        async with self.bench() as bench:

            @bench.handlers.job
            async def on_the_loop(ctx: JobContext) -> list[bool]:
                found = [where(), await in_a_task(), await asyncio.to_thread(where)]
                return [each is ctx for each in found]

            @bench.handlers.job
            def in_a_thread(ctx: JobContext) -> bool:
                return where() is ctx

            assert where() is None
            assert (await bench.run("on_the_loop")).result == [True, True, True]
            assert (await bench.run("in_a_thread")).result is True
            assert where() is None

    async def test_each_attempt_is_the_current_job(self) -> None:
        """In a further attempt ``current_job()`` is the context of that attempt."""
        async with self.bench() as bench:

            @bench.handlers.job(retries=1)
            async def twice(ctx: JobContext) -> Any:
                job = where()
                if ctx.attempt == 0:
                    raise ValueError
                return [job is ctx, job and job.attempt]

            job_id = await bench.put("twice")
            await bench.clock.advance(2)
            assert (await bench.queue.wait(job_id)).result == [True, 1]

    async def test_a_job_that_a_handler_submits_is_its_own_current_job(self) -> None:
        """A handler never sees the job that submitted its own."""
        async with self.bench() as bench:
            seen: list[tuple[str, str]] = []

            @bench.handlers.job
            async def note(ctx: JobContext, again: bool) -> None:
                if again:
                    await ctx.queue.submit("note", {"again": False})
                job = where()
                seen.append((ctx.job_id, job.job_id if job else ""))

            await bench.put("note", {"again": True})
            await bench.clock.settle()
            assert len(seen) == 2
            assert all(mine == current for mine, current in seen)

    async def test_what_outlives_a_job_still_has_its_context(self) -> None:
        """A task that a handler left sees the finished job, whose calls are ignored."""
        async with self.bench() as bench:
            gate: asyncio.Future[None] = bench.clock.create_future()
            left: list[asyncio.Task[JobContext | None]] = []

            async def linger() -> JobContext | None:
                await gate
                if job := where():
                    job.set_progress(1.0)
                    job.update_metadata(late=True)
                return job

            @bench.handlers.job
            async def leave(ctx: JobContext) -> None:
                left.append(asyncio.ensure_future(linger()))

            record = await bench.run("leave")
            gate.set_result(None)
            job = await left[0]
            assert (job and job.job_id) == record.job_id
            assert await bench.record(record.job_id) == record

    # Being told to stop.

    @pytest.mark.parametrize("how", ["cancel", "deadline", "shutdown"])
    async def test_a_cooperative_handler_waits_until_it_is_told_to_stop(self, how: str) -> None:
        """``wait_cancelled`` returns at once when a cancel, the deadline or the shutdown comes."""
        async with self.bench(cancel_grace=50, drain_timeout=1) as bench:
            heard: list[bool] = []

            @bench.handlers.job(cooperative=True, timeout=5)
            async def wait(ctx: JobContext) -> str:
                await ctx.wait_cancelled()
                heard.append(ctx.cancelled)
                await ctx.wait_cancelled()  # again: it returns at once
                return "in order"

            job_id = await bench.put("wait")
            await bench.clock.advance(0.5)
            assert heard == []
            await tell(bench, job_id, how)
            assert heard == [True]
            record = await bench.record(job_id)
            if how == "shutdown":
                assert_stopped(bench, record)
            else:
                assert record.status.is_terminal

    async def test_a_task_beside_the_handler_hears_of_the_stop(self) -> None:
        """A task that waits beside an async handler goes on; the handler is cancelled as ever."""
        async with self.bench() as bench:
            heard: list[str] = []

            async def beside(ctx: JobContext) -> None:
                await ctx.wait_cancelled()
                heard.append("beside")

            @bench.handlers.job
            async def serve(ctx: JobContext) -> None:
                task = asyncio.ensure_future(beside(ctx))
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    heard.append("handler")
                    await task
                    raise

            job_id = await bench.put("serve")
            await bench.queue.cancel(job_id)
            assert await bench.status(job_id) is JobStatus.CANCELLED
            assert sorted(heard) == ["beside", "handler"]

    async def test_an_async_handler_that_waits_for_the_stop_is_cancelled(self) -> None:
        """A handler that is not cooperative gets ``CancelledError`` where it waits, as anywhere."""
        async with self.bench() as bench:
            heard: list[str] = []

            @bench.handlers.job
            async def wait(ctx: JobContext) -> None:
                try:
                    await ctx.wait_cancelled()
                except asyncio.CancelledError:
                    heard.append("cancelled")
                    raise

            job_id = await bench.put("wait")
            await bench.queue.cancel(job_id)
            assert await bench.status(job_id) is JobStatus.CANCELLED
            assert heard == ["cancelled"]

    @pytest.mark.parametrize("job_type", ["hold", "work"])
    async def test_what_waits_for_a_stop_that_never_comes_is_cancelled(self, job_type: str) -> None:
        """When a job ends by itself, ``wait_cancelled`` is cancelled: nothing waits for ever."""
        async with self.bench() as bench:
            call = await bench.begin(job_type)
            waiting = asyncio.ensure_future(call.ctx.wait_cancelled())
            await bench.clock.settle()
            assert not waiting.done()
            await bench.finish(call)
            await asyncio.wait([waiting])
            assert waiting.cancelled()
            with pytest.raises(asyncio.CancelledError):
                await call.ctx.wait_cancelled()

    async def test_waiting_after_a_job_that_was_told_to_stop_returns(self) -> None:
        """The answer of ``wait_cancelled`` stays, also once the job has finished."""
        async with self.bench() as bench:
            call = await bench.begin()
            await bench.queue.cancel(call.job_id)
            assert await bench.status(call.job_id) is JobStatus.CANCELLED
            await call.ctx.wait_cancelled()

    @pytest.mark.parametrize("told", [True, False], ids=["told", "not told"])
    async def test_a_thread_may_wait_on_a_loop_of_its_own(self, told: bool) -> None:
        """``wait_cancelled`` works on any event loop, and ends there as on the queue's."""
        async with self.bench(cancel_grace=50) as bench:
            waits = threading.Event()
            call = await bench.begin("work")
            ended: list[str] = []

            async def wait() -> None:
                asyncio.get_running_loop().call_soon(waits.set)
                try:
                    await call.ctx.wait_cancelled()
                    ended.append("told")
                except asyncio.CancelledError:
                    ended.append("cancelled")

            thread = threading.Thread(target=lambda: asyncio.run(wait()), daemon=True)
            thread.start()
            waits.wait(REAL_LIMIT)
            if told:
                await bench.queue.cancel(call.job_id)
            else:
                await bench.finish(call)
            thread.join(REAL_LIMIT)
            assert ended == ["told" if told else "cancelled"]
