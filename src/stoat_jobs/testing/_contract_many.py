"""Promises about keys that are kept, and about many jobs that are submitted at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from stoat_jobs import (
    InvalidPayloadError,
    JobContext,
    JobStatus,
    KeyConflictError,
    QueueClosedError,
    QueueFullError,
    UnknownJobTypeError,
)

from ._promises import Promises, needs


async def label(
    ctx: JobContext, name: str, size: int = 3, tags: frozenset[str] = frozenset()
) -> str:
    return f"{name}-{size}"


NOTHING: dict[str, Any] = {}


def raising() -> Iterator[Any]:
    yield {"name": "a"}
    raise ZeroDivisionError("no more")


class KeptKeyPromises(Promises):
    """A key with ``unique="kept"`` is held as long as the record of its job."""

    async def test_a_kept_key_gives_the_finished_job(self) -> None:
        """A repeated submit gets the job of the first one, even if that has finished."""
        async with self.bench() as bench:
            bench.handlers.register("label", label)
            record = await bench.run("label", {"name": "a"}, key="k", unique="kept")
            for unique in ("kept", "live"):
                again = await bench.put("label", {"name": "a"}, key="k", unique=unique)
                assert again == record.job_id
            assert record.key == "k"
            assert len(await bench.queue.list_jobs()) == 1

    async def test_another_payload_under_a_kept_key_is_a_conflict(self) -> None:
        """``KeyConflictError`` names key and job; a payload that validates as equal is the same."""
        async with self.bench() as bench:
            bench.handlers.register("label", label)
            first = {"name": "a", "tags": ["x", "y"]}
            record = await bench.run("label", first, key="k", unique="kept")
            with pytest.raises(KeyConflictError) as conflict:
                await bench.queue.submit("label", {"name": "b"}, key="k", unique="kept")
            assert (conflict.value.key, conflict.value.job_id) == ("k", record.job_id)
            same = {"tags": ["y", "x", "y"], "size": "3", "name": "a"}
            assert await bench.put("label", same, key="k", unique="kept") == record.job_id

    async def test_a_kept_key_is_held_by_a_job_that_was_told_to_stop(self) -> None:
        """A cancelled job holds it too, while it stops and afterwards."""
        async with self.bench() as bench:
            call = await bench.begin("deaf", key="k", unique="kept")
            await bench.queue.cancel(call.job_id)
            assert await bench.put("deaf", key="k") == call.job_id
            call.finish()
            record = await bench.queue.wait(call.job_id)
            assert record.status is JobStatus.CANCELLED
            assert await bench.put("deaf", key="k", unique="kept") == call.job_id

    async def test_a_live_job_may_be_asked_to_keep_its_key(self) -> None:
        """A kept submit that finds a live job gets that one, which holds its key from then on."""
        async with self.bench() as bench:
            call = await bench.begin("hold", {"n": 1}, key="k")
            with pytest.raises(KeyConflictError):
                await bench.queue.submit("hold", {"n": 2}, key="k", unique="kept")
            assert await bench.put("hold", {"n": 1}, key="k", unique="kept") == call.job_id
            await bench.finish(call)
            assert await bench.put("hold", {"n": 3}, key="k") == call.job_id

    async def test_a_kept_key_is_free_when_the_record_goes(self) -> None:
        """Too many others and a deletion both let the next submit have a new job."""
        async with self.bench(max_results=2) as bench:
            bench.handlers.register("label", label)
            options: dict[str, Any] = {"key": "k", "unique": "kept"}
            ids = [(await bench.run("label", {"name": "a"}, **options)).job_id]
            for _ in range(2):
                await bench.run("label", {"name": "other"})
            await bench.pruned()
            ids.append(await bench.put("label", {"name": "a"}, **options))
            assert len(set(ids)) == 2
            await bench.queue.wait(ids[-1])
            assert await bench.queue.delete(ids[-1]) is True
            ids.append(await bench.put("label", {"name": "a"}, **options))
            assert len(set(ids)) == 3

    @needs("own_clock")
    async def test_a_kept_key_is_free_when_the_record_is_too_old(self) -> None:
        """After ``result_ttl`` the next submit has a new job."""
        async with self.bench(result_ttl=60) as bench:
            bench.handlers.register("label", label)
            options: dict[str, Any] = {"key": "k", "unique": "kept"}
            first = await bench.run("label", {"name": "a"}, **options)
            await bench.clock.advance(59)
            assert await bench.put("label", {"name": "a"}, **options) == first.job_id
            await bench.clock.advance(2)
            assert await bench.put("label", {"name": "a"}, **options) != first.job_id

    @pytest.mark.parametrize(
        ("options", "error"),
        [
            ({"unique": "kept"}, ValueError),
            ({"unique": "once", "key": "k"}, ValueError),
            ({"unique": None, "key": "k"}, TypeError),
            ({"unique": True}, TypeError),
        ],
        ids=["no key", "unknown", "None", "bool"],
    )
    async def test_a_bad_unique_is_refused(
        self, options: dict[str, Any], error: type[Exception]
    ) -> None:
        """What is no word of the contract, or has no effect, is an error that names it."""
        async with self.bench() as bench:
            with pytest.raises(error, match="unique"):
                await bench.queue.submit("hold", {}, **options)
            assert not await bench.queue.list_jobs()

    async def test_a_kept_key_goes_on_to_the_resubmitted_job(self) -> None:
        """The new job holds it; if the resubmission is refused, the old one has it still."""
        async with self.bench(max_pending=1, concurrency=1) as bench:
            bench.handlers.register("kept", bench.hold, keep_payload=True)
            call = await bench.begin("kept", {"n": 1}, key="k", unique="kept")
            await bench.finish(call)
            blocking = await bench.begin()
            waiting = await bench.put()
            with pytest.raises(QueueFullError):
                await bench.queue.resubmit(call.job_id)
            blocking.finish()
            await bench.finish(await bench.call(waiting))
            assert await bench.put("kept", {"n": 1}, key="k") == call.job_id
            again = bench.resubmit(call.job_id)
            await bench.clock.settle()
            following = await bench.call_number(len(bench.calls) - 1)
            await bench.finish(following)
            assert await again == following.job_id != call.job_id
            assert await bench.put("kept", {"n": 1}, key="k", unique="kept") == following.job_id


class ManyPromises(Promises):
    """``submit_many`` accepts all jobs or none."""

    async def test_many_are_accepted_in_order(self) -> None:
        """Each payload is a job of its own, with the options, started in the order of payloads."""
        async with self.bench(concurrency=1) as bench:
            bench.open_gates()
            payloads: Iterator[Any] = ({"n": each} for each in range(250))
            ids = await bench.queue.submit_many("hold", payloads, metadata={"by": "Ada"}, timeout=5)
            for job_id in ids:
                await bench.queue.wait(job_id)
            assert [call.job_id for call in bench.calls] == ids
            assert [call.payload["n"] for call in bench.calls] == list(range(250))
            assert {call.ctx.metadata["by"] for call in bench.calls} == {"Ada"}
            assert len(set(ids)) == 250

    async def test_none_of_many_is_none(self) -> None:
        """No payloads are no jobs."""
        async with self.bench() as bench:
            assert await bench.queue.submit_many("hold", []) == []
            assert not await bench.queue.list_jobs()

    async def test_if_one_of_many_does_not_fit_none_is_accepted(self) -> None:
        """The error says which payload it is: its places begin with the index."""
        async with self.bench() as bench:
            bench.handlers.register("label", label)
            payloads: list[dict[str, Any]] = [{"name": "a"}, {"name": "b"}, {"name": 5}]
            with pytest.raises(InvalidPayloadError) as error:
                await bench.queue.submit_many("label", payloads)
            assert [each["loc"] for each in error.value.errors] == [(2, "name")]
            assert not await bench.queue.list_jobs()

    @needs("submit_returns_early")
    async def test_if_there_is_no_room_for_all_none_is_accepted(self) -> None:
        """More than may wait are refused, with those that wait already."""
        async with self.bench(concurrency=1, max_pending=3) as bench:
            await bench.begin()
            await bench.put()
            for number in (3, 1_000):
                with pytest.raises(QueueFullError):
                    await bench.queue.submit_many("hold", [NOTHING] * number)
            assert len(await bench.queue.list_jobs()) == 2
            assert len(await bench.queue.submit_many("hold", [NOTHING] * 2)) == 2

    @pytest.mark.parametrize("payloads", ["ab", {"name": "a"}, 7, None], ids=repr)
    async def test_what_is_no_iterable_of_payloads_is_refused(self, payloads: Any) -> None:
        """One payload in the place of many, or no iterable at all, is an error by name."""
        async with self.bench() as bench:
            bench.handlers.register("label", label)
            with pytest.raises(TypeError, match="payloads"):
                await bench.queue.submit_many("label", payloads)

    async def test_an_iterable_that_raises_accepts_none(self) -> None:
        """What reading the payloads raises is the cause of an error by name."""
        async with self.bench() as bench:
            bench.handlers.register("label", label)
            with pytest.raises(TypeError, match="payloads") as error:
                await bench.queue.submit_many("label", raising())
            assert isinstance(error.value.__cause__, ZeroDivisionError)
            assert not await bench.queue.list_jobs()

    async def test_many_for_nobody_are_refused(self) -> None:
        """A closed queue and an unknown job type are errors before a payload is read."""
        read: list[str] = []

        def payloads() -> Iterator[Any]:
            read.append("first")
            yield {}

        async with self.bench() as bench:
            with pytest.raises(UnknownJobTypeError):
                await bench.queue.submit_many("nobody", payloads())
            await bench.close()
            with pytest.raises(QueueClosedError):
                await bench.queue.submit_many("nobody", payloads())
        assert read == []

    @needs("waits_for_delays", "own_clock")
    async def test_many_may_be_delayed(self) -> None:
        """They become due together, and start in their order."""
        async with self.bench() as bench:
            bench.open_gates()
            ids = await bench.queue.submit_many("hold", [NOTHING] * 3, delay=5)
            await bench.clock.advance(4)
            assert bench.calls == []
            await bench.clock.advance(2)
            assert [call.job_id for call in bench.calls] == ids
