"""Who waits for a job is told of its changes, and nobody of what does not concern it."""

from __future__ import annotations

import asyncio
import gc

import pytest

from stoat_jobs import JobStatus
from stoat_jobs._postgres.subscription import Subscription

from .fake_clock import clock, on_a_fake_clock
from .telling_stand_in import ENGINE, JOBS, Server, events, started

# Reading


@on_a_fake_clock
async def test_a_subscriber_is_told_what_is_and_what_becomes() -> None:
    """It is told of the record as it is, and again at each notice; of others' jobs nothing."""
    server = Server()
    telling = await started(server)
    first = server.put("a")
    subscription = telling.subscribe("a")
    await clock().settle()
    assert (subscription.count, subscription.record) == (1, first)
    second = server.put("a", progress=0.5)
    server.notify(JOBS, "j:b,a,c")
    await subscription.next()
    assert (subscription.count, subscription.record) == (2, second)
    assert server.reads == [["a"], ["a"]]
    await telling.close()


@on_a_fake_clock
async def test_what_is_not_kept_is_told_too() -> None:
    """The subscriber of a job that is unknown, or gone, is told that there is no record."""
    server = Server()
    telling = await started(server)
    subscription = telling.subscribe("a")
    await subscription.next()
    assert (subscription.count, subscription.record) == (1, None)
    await telling.close()


@on_a_fake_clock
async def test_many_are_read_at_once_but_not_too_many() -> None:
    """Ten thousand waiters are told by some reads of at most 500, one after the other."""
    server = Server()
    telling = await started(server)
    ids = [f"{number}" for number in range(10_000)]
    for each in ids:
        server.put(each)
    subscriptions = [telling.subscribe(each) for each in ids]
    await clock().settle()
    assert {each.count for each in subscriptions} == {1}
    assert [len(each) for each in server.reads] == [500] * 20
    server.read_gate = asyncio.Event()
    server.notify(JOBS, f"j:{','.join(ids[:200])}")
    server.notify(JOBS, f"j:{','.join(ids[200:400])}")
    await clock().settle()
    assert len(server.reads) == 21
    assert server.reads[-1] == ids[:200] or server.reads[-1] == ids[:400]
    server.read_gate.set()
    await clock().settle()
    assert [each.count for each in subscriptions[:401]] == [2] * 400 + [1]
    await telling.close()


@on_a_fake_clock
async def test_a_read_that_began_before_does_not_count() -> None:
    """Who subscribes while a read is under way is told by one that began afterwards."""
    server = Server()
    server.put("a")
    telling = await started(server)
    server.read_gate = asyncio.Event()
    early = telling.subscribe("a")
    await clock().settle()
    server.put("a", progress=0.5)
    late = telling.subscribe("a")
    server.read_gate.set()
    await clock().settle()
    assert (early.count, late.count) == (2, 1)
    assert late.record is not None
    assert late.record.progress == 0.5
    await telling.close()


@on_a_fake_clock
async def test_what_happened_here_is_told_without_a_read() -> None:
    """And a read that began before does not take it back, but is made up for."""
    server = Server()
    server.put("a", JobStatus.PENDING)
    telling = await started(server)
    subscription = telling.subscribe("a")
    server.read_gate = asyncio.Event()
    await clock().settle()
    telling.tell(server.put("a", progress=0.1))
    assert (subscription.count, subscription.record) == (1, server.records["a"])
    newer = server.put("a", progress=0.2)
    server.read_gate.set()
    await clock().settle()
    assert (subscription.count, subscription.record) == (2, newer)
    await telling.close()


@on_a_fake_clock
async def test_what_is_final_is_told_to_all_and_read_no_more() -> None:
    """After a terminal record nothing comes, not even from a read that began before."""
    server = Server()
    server.put("a")
    telling = await started(server)
    server.read_gate = asyncio.Event()
    subscription = telling.subscribe("a")
    await clock().settle()
    done = server.put("a", JobStatus.COMPLETED)
    telling.tell(done)
    server.read_gate.set()
    await clock().advance(60)
    assert (subscription.count, subscription.record) == (1, done)
    assert len(server.reads) == 1
    await telling.close()


@on_a_fake_clock
async def test_what_is_final_counts_for_all() -> None:
    """Who subscribes while a terminal record is being read is told of it, and needs no other."""
    server = Server()
    server.put("a", JobStatus.COMPLETED)
    telling = await started(server)
    server.read_gate = asyncio.Event()
    early = telling.subscribe("a")
    await clock().settle()
    late = telling.subscribe("a")
    server.read_gate.set()
    await clock().advance(60)
    assert (early.count, late.count) == (1, 1)
    assert late.record is early.record is not None
    await telling.close()


@on_a_fake_clock
async def test_who_has_gone_costs_nothing() -> None:
    """A subscription that nobody references is neither kept nor read."""
    server = Server()
    server.put("a")
    telling = await started(server)
    for _ in range(1000):
        telling.subscribe("a")
    await clock().settle()
    gc.collect()
    assert not [each for each in gc.get_objects() if isinstance(each, Subscription)]
    server.reads.clear()
    server.notify(JOBS, "j:a")
    await clock().advance(60)
    assert len(server.reads) <= 1
    await telling.close()


@on_a_fake_clock
async def test_a_read_that_fails_is_made_again() -> None:
    """While the server is away nobody is forgotten."""
    server = Server()
    server.put("a")
    telling = await started(server)
    server.error = ConnectionError("away")
    subscription = telling.subscribe("a")
    await clock().advance(30)
    assert subscription.count == 0
    server.error = None
    await clock().advance(2)
    assert subscription.count > 0
    await telling.close()


@on_a_fake_clock
async def test_a_slow_poll_is_the_net() -> None:
    """A change whose notice is lost is seen within five seconds, without a read for each second."""
    server = Server()
    server.put("a")
    telling = await started(server)
    subscription = telling.subscribe("a")
    await clock().settle()
    server.reads.clear()
    await clock().advance(50)
    assert len(server.reads) == 10
    assert subscription.count == 11
    await telling.close()


# Notices


@on_a_fake_clock
async def test_a_thousand_notices_are_told_once() -> None:
    """New jobs are told once for all notices of a moment, and jobs that ended not at all."""
    server = Server()
    telling = await started(server)
    server.work = 0
    new, gone = (
        f'{{"table": "pgqueuer", "operation" : "{each}"}}' for each in ("insert", "delete")
    )
    for _ in range(1000):
        server.notify(ENGINE, gone)
    await clock().settle()
    assert server.work == 0
    for _ in range(1000):
        server.notify(ENGINE, new)
    await clock().settle()
    assert server.work == 1
    server.notify(JOBS, "w:a,b")
    await clock().settle()
    assert server.work == 2
    await telling.close()


@on_a_fake_clock
async def test_cancels_are_told_one_by_one() -> None:
    """Each running job that was told to stop is named, and read for its watchers."""
    server = Server()
    server.put("b")
    telling = await started(server)
    subscription = telling.subscribe("b")
    await clock().settle()
    server.notify(JOBS, "c:a,b")
    await clock().settle()
    assert server.cancelled == ["a", "b"]
    assert subscription.count == 2
    await telling.close()


@on_a_fake_clock
async def test_what_others_write_on_the_channel_is_nothing() -> None:
    """Anybody may notify: a text of another form is left alone."""
    server = Server()
    telling = await started(server)
    server.work = 0
    for text in ("", ":", "x", "x:a", "j", "j:", ",,,", "{}", "c", "\N{SNOWMAN}:a"):
        server.notify(JOBS, text)
        server.notify(ENGINE, text)
    await clock().settle()
    assert (server.work, server.reads) == (0, [])
    assert server.cancelled in ([], [""])
    assert not clock().errors
    await telling.close()


@on_a_fake_clock
async def test_without_notices_there_is_a_poll_each_second(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Behind a pooler one warning names the remedy; if notices come after all it polls slowly."""
    server = Server()
    server.is_deaf = True
    server.put("a")
    began = clock().time()
    telling = await started(server)
    assert clock().time() - began <= 2
    subscription = telling.subscribe("a")
    await clock().advance(30)
    assert 30 <= subscription.count <= 32
    assert events(caplog) == ["notifications_missing"]
    assert "listen_url" in caplog.text
    assert len(server.connections) == 1
    server.is_deaf = False
    await clock().advance(10)
    server.reads.clear()
    await clock().advance(50)
    assert len(server.reads) == 10
    assert events(caplog) == ["notifications_missing"]
    await telling.close()
