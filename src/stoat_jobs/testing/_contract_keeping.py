"""Promises about memory: which records are kept, and what finished jobs release."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import math
import weakref
from typing import Any

import pytest

from stoat_jobs import JobContext, JobNotFoundError, JobStatus

from ._promises import Promises, needs

REQUEST: contextvars.ContextVar[object] = contextvars.ContextVar("REQUEST", default=None)


class KeepingPromises(Promises):
    """How long a job is kept, and how much of it."""

    @needs("own_clock")
    async def test_finished_records_go_after_result_ttl_counted_from_the_finish__fault_29(
        self,
    ) -> None:
        """A record is kept for ``result_ttl`` seconds after the job finishes, and then dropped."""
        async with self.bench(result_ttl=60) as bench:
            call = await bench.begin(timeout=math.inf)
            await bench.clock.advance(100)
            done = await bench.finish(call)
            await bench.clock.advance(59)
            assert await bench.record(done.job_id) == done
            await bench.clock.advance(2)
            with pytest.raises(JobNotFoundError):
                await bench.queue.get_result(done.job_id)
            assert await bench.queue.list_jobs() == []
            assert (await bench.queue.stats()).by_status[JobStatus.COMPLETED] == 0

    async def test_an_infinite_result_ttl_keeps_records(self) -> None:
        """With ``result_ttl=inf`` a finished record is kept as long as there is room."""
        async with self.bench(result_ttl=math.inf) as bench:
            done = await bench.finish(await bench.begin())
            await bench.clock.settle()
            bench.clock.jump(500_000)
            assert await bench.record(done.job_id) == done

    async def test_soon_at_most_max_results_are_kept(self) -> None:
        """Of those that finished first all but ``max_results`` go, in ten seconds at most."""
        async with self.bench(max_results=2) as bench:
            bench.open_gates()
            ids = [await bench.put() for _ in range(5)]
            await bench.clock.advance(10)
            kept = [record.job_id for record in await bench.queue.list_jobs()]
            assert kept == [ids[4], ids[3]]

    @needs("prunes_at_once")
    async def test_at_most_max_results_are_kept_and_the_oldest_finish_goes__fault_29(self) -> None:
        """Beyond ``max_results`` the record that finished first is dropped."""
        async with self.bench(max_results=2) as bench:
            first = await bench.begin()
            cancelled = await bench.put()
            await bench.queue.cancel(cancelled)
            await bench.finish(first)
            last = await bench.finish(await bench.begin())
            kept = [record.job_id for record in await bench.queue.list_jobs()]
            assert kept == [last.job_id, first.job_id]

    async def test_live_jobs_are_never_dropped__fault_29(self) -> None:
        """A pending or running job is kept, whatever its age and the number of other jobs."""
        async with self.bench(max_results=1, result_ttl=10, timeout=math.inf) as bench:
            running = await bench.begin()
            pending = [await bench.put() for _ in range(5)]
            await bench.clock.advance(100)
            live = {record.job_id for record in await bench.queue.list_jobs()}
            assert live == {running.job_id, *pending}
            await bench.finish(running)
            assert await bench.status(pending[-1]) is JobStatus.PENDING

    async def test_who_waited_before_the_end_gets_it_even_if_it_is_dropped_at_once(self) -> None:
        """Those who wait for a job get its record even if retention drops it at once."""
        async with self.bench(max_results=1) as bench:
            call = await bench.begin()
            wait = asyncio.ensure_future(bench.queue.wait(call.job_id))
            watch = bench.watching(call.job_id)
            victims = [await bench.put() for _ in range(3)]
            call.finish(1)
            await asyncio.sleep(0)
            if not bench.capabilities.prunes_at_once:  # on a server, a cancel may be faster
                await bench.clock.settle()
            for victim in victims:
                await bench.queue.cancel(victim)
            await bench.clock.settle()
            assert wait.result().result == 1
            assert (watch.over, watch.seen[-1].result) == (True, 1)
            await bench.queue.cancel(await bench.put())  # a server may have heard of its end last
            await bench.clock.settle()
            await bench.pruned()
            with pytest.raises(JobNotFoundError):
                await bench.queue.get_result(call.job_id)

    async def test_memory_is_flat_under_endless_load__fault_29(self) -> None:
        """When a record is dropped, its result and its handler's arguments are freed."""
        async with self.bench(max_results=3) as bench:
            contexts = weakref.WeakSet[Any]()

            class Marker:
                """Stands for the content of a context variable."""

            @bench.handlers.job
            async def leave(ctx: JobContext) -> None:
                ctx.app = marker = Marker()
                contexts.add(marker)

            for _ in range(50):
                await bench.run("leave")
            await bench.pruned()
            assert (await bench.queue.stats()).by_status[JobStatus.COMPLETED] == 3
            gc.collect()
            assert len(contexts) <= 1

    async def test_a_finished_job_lets_go_of_its_submitters_context__fault_29(self) -> None:
        """A kept record keeps no object of the request alive that submitted the job."""
        async with self.bench() as bench:

            class Request:
                """Stands for the content of a request."""

            request = Request()
            gone = weakref.ref(request)
            token = REQUEST.set(request)
            call = await bench.begin()
            REQUEST.reset(token)
            await bench.finish(call)
            await bench.clock.advance(10)  # also timers that were cancelled keep a context
            bench.submissions.clear()
            bench.calls.clear()
            del request, token, call
            gc.collect()
            assert gone() is None
            assert len(await bench.queue.list_jobs()) == 1

    async def test_a_waiting_coroutine_is_not_collected__fault_7(self) -> None:
        """A handler to which only its job refers survives garbage collection."""
        async with self.bench() as bench:

            @bench.handlers.job
            async def lonely(ctx: JobContext) -> str:
                gate = bench.clock.create_future()
                bench.clock.call_later(5, gate.set_result, 1)
                await gate
                return "alive"

            job_id = await bench.put("lonely")
            gc.collect()
            await bench.clock.advance(6)
            assert (await bench.record(job_id)).result == "alive"
