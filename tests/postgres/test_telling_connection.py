"""A connection that is lost is replaced, and the close leaves nobody asleep."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from stoat_jobs import JobStatus

from .fake_clock import clock, on_a_fake_clock
from .telling_stand_in import ENGINE, JOBS, Server, events, started

# The connection


@on_a_fake_clock
async def test_a_lost_connection_is_replaced_and_all_is_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After a cut it listens anew, asks for work, and reads everything that is waited for."""
    server = Server()
    server.put("a")
    telling = await started(server)
    subscription = telling.subscribe("a")
    await clock().settle()
    server.work = 0
    changed = server.put("a", progress=0.5)
    server.connections[0].terminate()
    await clock().settle()
    assert len(server.connections) == 2
    assert subscription.record == changed
    assert server.work == 1
    server.notify(JOBS, "j:a")
    await clock().settle()
    assert subscription.count == 3
    assert events(caplog) == ["listener_lost"]
    await telling.close()


@on_a_fake_clock
@pytest.mark.parametrize(
    "error", [ConnectionError("away"), asyncpg.InternalClientError("got result for unknown state")]
)
async def test_a_server_that_is_away_is_asked_again(
    caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """Whatever the driver raises after a cut, it goes on, with growing pauses and one line."""
    server = Server()
    telling = await started(server)
    server.error = error
    server.connections[0].terminate()
    await clock().advance(60)
    assert len(server.connections) == 1
    server.error, server.work = None, 0
    await clock().advance(2)
    assert len(server.connections) == 2
    assert server.work >= 1
    assert events(caplog).count("side_task_failed") == 1
    await telling.close()


@on_a_fake_clock
async def test_a_silent_connection_is_tested(caplog: pytest.LogCaptureFixture) -> None:
    """One that is half open is noticed by a notice to itself, and replaced."""
    server = Server()
    server.put("a")
    telling = await started(server)
    subscription = telling.subscribe("a")
    await clock().settle()
    server.connections[0].is_deaf = True
    await clock().advance(7)
    assert server.connections[0].is_closed()
    assert len(server.connections) == 2
    server.notify(JOBS, "j:a")
    before = subscription.count
    await clock().settle()
    assert subscription.count == before + 1
    assert events(caplog) == ["listener_lost"]
    await telling.close()


@on_a_fake_clock
async def test_a_slow_server_is_not_taken_for_a_pooler(caplog: pytest.LogCaptureFixture) -> None:
    """A notice that comes late comes before the next answer; only what never comes is missing."""
    server = Server()
    server.is_slow = True
    telling = await started(server)
    server.is_slow = False
    await clock().advance(60)
    assert events(caplog) == []
    assert len(server.connections) == 1
    await telling.close()


@on_a_fake_clock
async def test_notices_save_the_tests() -> None:
    """Where anything is heard nothing is tested: so many processes need no more than one."""
    server = Server()
    telling = await started(server)
    server.statements = 0
    for _ in range(60):
        await clock().advance(1)
        server.notify(ENGINE, "{}")
    assert server.statements == 0
    await clock().advance(60)
    assert 10 <= server.statements <= 13
    await telling.close()


@on_a_fake_clock
async def test_idle_a_submitter_asks_the_server_nothing() -> None:
    """A process that runs no jobs, and waits for none, makes no transaction."""
    server = Server()
    telling = await started(server, is_worker=False)
    server.statements = 0
    await clock().advance(600)
    assert (server.statements, server.reads) == (0, [])
    subscription = telling.subscribe("a")
    server.connections[0].is_deaf = True
    await clock().advance(12)
    assert subscription.count
    assert len(server.connections) == 2
    await telling.close()


@on_a_fake_clock
async def test_a_start_without_hope_fails() -> None:
    """A listen_url that is wrong is an error of the start; a server that restarts is not."""
    server = Server()
    server.error = ValueError("no such database")
    with pytest.raises(ValueError, match="no such database"):
        await server.telling().start(10.0)
    server.error = ConnectionError("away")
    telling = server.telling()
    await telling.start(10.0)
    server.error = None
    await clock().advance(2)
    assert len(server.connections) == 1
    await telling.close()


@on_a_fake_clock
async def test_listen_is_bounded() -> None:
    """A server that takes the connection, and answers nothing, is given up."""
    server = Server()
    telling = server.telling()
    server.connect_gate = asyncio.Event()
    starting = asyncio.create_task(telling.start(10.0))
    await clock().settle()
    first, silent = server.connect_gate, asyncio.Event()
    server.connect_gate = silent
    first.set()
    await clock().drive(starting)
    assert server.connections[0].is_closed()
    silent.set()
    await clock().advance(2)
    assert len(server.connections) == 2
    await telling.close()


@on_a_fake_clock
async def test_a_start_is_bounded() -> None:
    """Where nobody answers in the time that the start has left, it goes on without notices."""
    server = Server()
    telling = server.telling()
    server.connect_gate = asyncio.Event()
    began = clock().time()
    await clock().drive(telling.start(0.5))
    assert clock().time() - began <= 0.5
    server.connect_gate.set()
    await clock().advance(6)
    server.notify(ENGINE, '"insert"')
    before = server.work
    await clock().settle()
    assert server.work == before + 1
    await telling.close()


# The end


@on_a_fake_clock
async def test_the_close_tells_once_more_what_is_known() -> None:
    """What finished in the drain is told, and the others that nothing more will come."""
    server = Server()
    server.put("a"), server.put("b")
    telling = await started(server)
    ended, going = telling.subscribe("a"), telling.subscribe("b")
    await clock().settle()
    done = server.put("a", JobStatus.COMPLETED)
    waits = [asyncio.create_task(each.next()) for each in (ended, going)]
    await clock().settle()
    await telling.close()
    await clock().settle()
    assert all(each.done() for each in waits)
    assert (ended.record, ended.is_closed) == (done, False)
    assert going.is_closed
    await going.next()
    late = telling.subscribe("b")
    assert late.is_closed
    await late.next()
    assert server.connections[0].is_closed()
    assert len(asyncio.all_tasks()) == 1
    work = server.work
    await clock().advance(60)
    assert server.work == work


@on_a_fake_clock
@pytest.mark.parametrize("is_reading", [True, False])
async def test_the_close_is_bounded(is_reading: bool) -> None:
    """A server that does not answer holds it up for less than a second."""
    server = Server()
    server.put("a")
    telling = await started(server)
    server.read_gate = asyncio.Event()
    subscription = telling.subscribe("a")
    if is_reading:
        await clock().settle()
    began = clock().time()
    await clock().drive(telling.close())
    assert clock().time() - began < 1
    assert subscription.is_closed
    await clock().settle()
    assert len(asyncio.all_tasks()) == 1


@on_a_fake_clock
async def test_a_close_that_is_cancelled_wakes_all() -> None:
    """Nobody is left asleep, and no connection open."""
    server = Server()
    server.put("a")
    telling = await started(server)
    subscription = telling.subscribe("a")
    await clock().settle()
    server.read_gate = asyncio.Event()
    closing = asyncio.create_task(telling.close())
    await clock().settle()
    closing.cancel()
    await clock().settle()
    assert closing.cancelled()
    assert subscription.is_closed
    assert server.connections[0].is_closed()
    await clock().advance(2)
    assert len(asyncio.all_tasks()) == 1


@on_a_fake_clock
async def test_a_close_without_a_start() -> None:
    """A queue whose start failed is closed like any other."""
    telling = Server().telling()
    subscription = telling.subscribe("a")
    await telling.close()
    assert subscription.is_closed


@on_a_fake_clock
async def test_a_wait_can_be_cut_short() -> None:
    """A waiter that has a time limit of its own is woken without having been told."""
    server = Server()
    server.put("a")
    telling = await started(server)
    subscription = telling.subscribe("a")
    await clock().settle()
    waiting = [asyncio.create_task(subscription.next()) for _ in "12"]
    await clock().settle()
    waiting[0].cancel()
    await clock().settle()
    assert not waiting[1].done()
    subscription.wake_waiters()
    await clock().settle()
    assert waiting[1].done()
    assert subscription.count == 1
    await telling.close()
