"""Who waits for a job is told of its changes, whatever becomes of the notices."""

from __future__ import annotations

import asyncio
import gc
from typing import Any, cast

import asyncpg
import pytest

from stoat_jobs import JobResult, JobStatus
from stoat_jobs._postgres.schema import engine_channel, jobs_channel
from stoat_jobs._postgres.telling import Subscription, Telling

from .fake_clock import clock, on_a_fake_clock

SCHEMA = "stoat_jobs"
JOBS, ENGINE = jobs_channel(SCHEMA), engine_channel(SCHEMA)


class Connection:
    """A connection that listens to :class:`Server`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.listeners: dict[str, Any] = {}
        self._ends: list[Any] = []
        self._is_closed = False
        self.is_deaf = False

    async def add_listener(self, channel: str, callback: Any) -> None:
        await self._server.pass_gate()
        self.listeners[channel] = callback

    def add_termination_listener(self, callback: Any) -> None:
        self._ends.append(callback)

    def is_closed(self) -> bool:
        return self._is_closed

    def terminate(self) -> None:
        self._is_closed = True
        for callback in self._ends:
            clock().call_soon(callback, self)
        self._ends = []


class Server:
    """Records, notices, and who listens; no real server."""

    def __init__(self) -> None:
        self.records: dict[str, JobResult[Any]] = {}
        self.reads: list[list[str]] = []
        self.read_gate: asyncio.Event | None = None
        self.connect_gate: asyncio.Event | None = None
        self.error: Exception | None = None
        self.connections: list[Connection] = []
        self.statements = 0
        self.is_deaf = False
        self.work = 0
        self.cancelled: list[str] = []

    def telling(self, *, is_worker: bool = True) -> Telling:
        return Telling(
            cast(Any, self),
            SCHEMA,
            self.read,
            on_work=self.on_work if is_worker else None,
            on_cancel=self.cancelled.append,
        )

    def on_work(self) -> None:
        self.work += 1

    async def pass_gate(self) -> None:
        if self.error is not None:
            raise self.error
        if self.connect_gate is not None:
            await self.connect_gate.wait()

    async def connect(self, *, listening: bool) -> Connection:
        assert listening
        await self.pass_gate()
        self.connections.append(Connection(self))
        return self.connections[-1]

    async def fetch(self, sql: str, channel: str) -> None:
        assert sql == "SELECT pg_notify($1::text, 'echo')"
        self.statements += 1
        await self.pass_gate()
        self.notify(channel, "echo")

    def notify(self, channel: str, payload: str) -> None:
        for connection in self.connections:
            if not (self.is_deaf or connection.is_deaf or connection.is_closed()):
                if callback := connection.listeners.get(channel):
                    clock().call_soon(callback, connection, 1, channel, payload)

    async def read(self, ids: list[str]) -> dict[str, JobResult[Any]]:
        self.reads.append(ids)
        if self.error is not None:
            raise self.error
        known = {each: self.records[each] for each in ids if each in self.records}
        if self.read_gate is not None:
            await self.read_gate.wait()
        return known

    def put(
        self, job_id: str, status: JobStatus = JobStatus.RUNNING, **fields: Any
    ) -> JobResult[Any]:
        record = JobResult.model_construct(job_id=job_id, status=status, **fields)
        self.records[job_id] = record
        return record


async def started(server: Server, *, is_worker: bool = True) -> Telling:
    telling = server.telling(is_worker=is_worker)
    await clock().drive(telling.start())
    await clock().settle()
    server.reads.clear()
    return telling


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


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
        await server.telling().start()
    server.error = ConnectionError("away")
    telling = server.telling()
    await telling.start()
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
    starting = asyncio.create_task(telling.start())
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
    subscription.wake()
    await clock().settle()
    assert waiting[1].done()
    assert subscription.count == 1
    await telling.close()
