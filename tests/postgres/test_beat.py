"""A worker that runs jobs keeps their leases, and one whose event loop is wedged does not."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from stoat_jobs._postgres.beat import Beat
from stoat_jobs._postgres.connections import Connections
from stoat_jobs._postgres.options import PostgresOptions
from stoat_jobs._postgres.sql import Sql
from stoat_jobs._postgres.url import address_of
from stoat_jobs.testing import DeadlockError, run_with_fake_clock

from ..support.postgres.cluster import Cluster, name_in

OWNER = uuid4()
SAFETY = 60.0  # real seconds after which a test gives up

TABLES = """
CREATE TABLE lease (id bigint, owner uuid, beats integer DEFAULT 0);
CREATE TABLE flag (seq bigint);
GRANT ALL ON lease, flag TO stoat"""
STATEMENTS = cast(
    Sql,
    SimpleNamespace(
        beat="UPDATE lease SET beats = beats + 1 WHERE id = ANY($1::bigint[]) AND owner = $2::uuid"
        " AND $3::float8 > 0"
        " RETURNING id, EXISTS (SELECT FROM flag WHERE seq = id) AS cancel_requested",
    ),
)


class Server:
    """Connections to nothing, which count the beats and are held up or fail as the test says."""

    def __init__(self) -> None:
        self.beats = 0
        self.connects = 0
        self.lost: set[int] = set()
        self.flagged: set[int] = set()
        self.error: Exception | None = None
        self.answers = True

    async def connect(self) -> Any:
        self.connects += 1
        return _Connection(self)

    async def fetch_on(
        self, connection: _Connection, sql: str, numbers: list[int], owner: UUID, lease: float
    ) -> list[Any]:
        return await connection.fetch(numbers)


class _Connection:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._cut = asyncio.Event()

    def is_closed(self) -> bool:
        return self._cut.is_set()

    def terminate(self) -> None:
        self._cut.set()

    async def fetch(self, numbers: list[int]) -> list[Any]:
        server = self._server
        if server.error is not None:
            self.terminate()
            raise server.error
        if not server.answers:
            try:
                await self._cut.wait()
            except BaseException:
                await self._cut.wait()  # as a rollback that nobody answers
            raise ConnectionError("cut")
        server.beats += 1
        flagged = server.flagged
        kept = [each for each in numbers if each not in server.lost]
        return [{"id": each, "cancel_requested": each in flagged} for each in kept]


class Told:
    """What the beat told, on which loop and thread."""

    def __init__(self) -> None:
        self.lost: set[int] = set()
        self.cancelled: set[int] = set()
        self.thread = threading.current_thread()

    def __call__(self, lost: set[int], cancelled: set[int]) -> None:
        assert threading.current_thread() is self.thread
        self.lost |= lost
        self.cancelled |= cancelled


@contextmanager
def beating(
    connections: Any, told: Any, running: Callable[[], Any], lease: float
) -> Iterator[Beat]:
    beat = Beat(connections, STATEMENTS, OWNER, lease, running, told, nothing)
    beat.start()
    try:
        yield beat
    finally:
        beat.close()
        beat.join(SAFETY)
        assert not beat.is_alive()


def nothing() -> None: ...


async def until(is_so: Callable[[], bool]) -> None:
    limit = time.monotonic() + SAFETY
    while not is_so():
        assert time.monotonic() < limit
        await asyncio.sleep(0.005)


def block_until(is_so: Callable[[], bool]) -> None:
    """As a handler that holds the event loop."""
    limit = time.monotonic() + SAFETY
    while not is_so():
        assert time.monotonic() < limit
        time.sleep(0.005)


def names(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


@pytest.fixture
def database(cluster: Cluster, url: str) -> str:
    cluster.sql(TABLES, name_in(url))
    return url


def connections_to(url: str, lease: float) -> Connections:
    options = PostgresOptions(lease=lease)
    return Connections("postgres", address_of("postgres", url), options)


async def test_leases_are_renewed_and_what_others_did_is_told(
    cluster: Cluster, database: str
) -> None:
    """Each beat renews what is ours, and tells what is not, and what was cancelled."""
    name, told = name_in(database), Told()
    cluster.sql(f"INSERT INTO lease VALUES (1, '{OWNER}'), (2, '{uuid4()}'), (4, '{OWNER}')", name)
    cluster.sql("INSERT INTO flag VALUES (1), (3), (5)", name)
    with beating(connections_to(database, 1.0), told, lambda: {3, 1, 2}, 1.0):
        await until(lambda: bool(told.lost and told.cancelled))
        assert (told.lost, told.cancelled) == ({2, 3}, {1})
        beats = "SELECT beats > 1 FROM lease WHERE id = 1"
        await until(lambda: cluster.sql(beats, name) == "t")
    assert cluster.sql("SELECT sum(beats) FROM lease WHERE id <> 1", name) == "0"
    used = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'"
    await until(lambda: cluster.sql(used) == "0")


async def test_a_handler_that_holds_the_loop_costs_no_lease() -> None:
    """The beat goes on while the application's event loop does not turn."""
    server = Server()
    with beating(server, Told(), lambda: [1], 0.2):
        before = server.beats
        block_until(lambda: server.beats >= before + 3)


async def test_a_wedged_loop_loses_its_leases_until_it_answers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After three leases without an answer nothing is renewed, and it is said once."""
    server = Server()
    with beating(server, Told(), lambda: [1], 0.1) as beat:
        await until(lambda: server.beats > 0)
        block_until(lambda: "beat_stopped" in names(caplog))
        stopped = server.beats
        block_until(lambda: beat.age > 0.5)
        assert server.beats == stopped
        await until(lambda: server.beats > stopped)
        assert names(caplog) == ["beat_stopped"]
        block_until(lambda: names(caplog) == ["beat_stopped"] * 2)


async def test_a_series_of_failures_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """While the server is away it tries again on new connections, and says so once."""
    server = Server()
    server.error = RuntimeError("an error of the driver's own")
    with beating(server, Told(), lambda: [1], 0.1) as beat:
        await until(lambda: server.connects >= 50)  # so no pause is longer than that of a beat
        server.error = None
        await until(lambda: server.beats > 0)
        await until(lambda: len(names(caplog)) == 2)
        assert beat.age < SAFETY
    assert names(caplog) == ["side_task_failed", "side_task_recovered"]
    assert caplog.records[0].task == "beat"  # type: ignore[attr-defined]


async def test_a_silent_server_is_given_up_within_the_lease() -> None:
    """A statement that nobody answers ends its connection, though its rollback hangs too."""
    server = Server()
    server.answers = False
    with beating(server, Told(), lambda: [1], 0.2):
        await until(lambda: server.connects >= 2)
        server.answers = True
        await until(lambda: server.beats > 0)


async def test_a_server_that_was_frozen_and_restarted(own_cluster: Cluster) -> None:
    """Leases are renewed again as soon as the server answers."""
    own_cluster.sql(TABLES, "jobs")
    own_cluster.sql(f"INSERT INTO lease VALUES (1, '{OWNER}')", "jobs")
    told = Told()

    def beats() -> int:
        return int(own_cluster.sql("SELECT beats FROM lease", "jobs"))

    with beating(connections_to(own_cluster.url, 1.0), told, lambda: [1], 1.0) as beat:
        await until(lambda: beats() > 0)
        own_cluster.freeze()
        await until(lambda: beat.age > 1.5)
        own_cluster.thaw()
        await until(lambda: beat.age < 0.5)
        own_cluster.stop("immediate")
        await until(lambda: beat.age > 1.0)
        own_cluster.start()
        before = beats()
        await until(lambda: beats() > before)
        own_cluster.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename='stoat'"
        )
        before = beats()
        await until(lambda: beats() > before)
    assert told.lost == set()


async def test_idle_it_asks_the_server_nothing() -> None:
    """Without running jobs there is nothing to renew, and that is no failure."""
    server, looks = Server(), []
    with beating(server, Told(), lambda: looks.append(1) or [], 0.1) as beat:  # type: ignore[func-returns-value]
        await until(lambda: len(looks) >= 5)
        assert beat.age < SAFETY
    assert server.beats == 0


def test_it_ends_with_the_loop_that_it_serves() -> None:
    """Of a loop that was closed nothing runs any more, so nothing is renewed."""
    server = Server()

    async def start() -> Beat:
        beat = Beat(cast(Connections, server), STATEMENTS, OWNER, 0.1, lambda: [1], Told(), nothing)
        beat.start()
        return beat

    beat = asyncio.run(start())
    beat.join(SAFETY)
    assert not beat.is_alive()


async def test_it_can_be_closed_at_any_time() -> None:
    """Before its thread has begun, while it waits, while the server is silent, and twice."""
    server = Server()
    beats = [
        Beat(cast(Any, server), STATEMENTS, OWNER, 60.0, lambda: [1], Told(), nothing)
        for _ in "123"
    ]
    beats[0].close()
    for beat in beats:
        beat.start()
    await until(lambda: server.beats >= 2)
    server.answers = False
    beats[1].close()
    beats[2].close()
    beats[2].close()
    for beat in beats:
        beat.join(SAFETY)
        assert not beat.is_alive()


async def test_a_close_in_its_first_moment_is_heard() -> None:
    """Its thread has begun, and has no loop yet that could be told."""

    class ClosedAtOnce(Beat):
        async def _main(self) -> None:
            self.close()
            await super()._main()

    beat = ClosedAtOnce(cast(Any, Server()), STATEMENTS, OWNER, 60.0, lambda: [1], Told(), nothing)
    beat.start()
    beat.join(SAFETY)
    assert not beat.is_alive()


async def test_whatever_ends_its_loop_it_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """If its loop ends, that is logged, and it begins again on another one."""
    server, stops = Server(), iter([1, 2])

    def running() -> list[int]:
        if next(stops, None):
            asyncio.get_running_loop().stop()
        return [1]

    with beating(server, Told(), running, 0.1):
        await until(lambda: len(names(caplog)) == 2)
        before = server.beats
        await until(lambda: server.beats > before)
    assert names(caplog) == ["beat_restarted"] * 2


def test_a_fake_clock_does_not_wait_for_it() -> None:
    """Neither is the loop kept from being idle, nor is a deadlock taken for a wait."""

    async def main() -> None:
        server = Server()
        with beating(server, Told(), lambda: [1], 0.1):
            loop = cast(Any, asyncio.get_running_loop())
            await loop.advance(100)
            while server.beats < 2:
                time.sleep(0.005)
            await loop.settle()
            await loop.create_future()

    with pytest.raises(DeadlockError):
        run_with_fake_clock(main())


FORK = """
import asyncio, os, sys, warnings
from types import SimpleNamespace
from uuid import uuid4
from stoat_jobs._postgres.beat import Beat

warnings.simplefilter("ignore")

async def main():
    began = asyncio.Event()
    loop = asyncio.get_running_loop()
    def running():
        loop.call_soon_threadsafe(began.set)
        return []
    async def connect():
        return SimpleNamespace(is_closed=lambda: False, terminate=lambda: None)
    beat = Beat(SimpleNamespace(connect=connect), None, uuid4(), 60.0, running, print, print)
    beat.start()
    await began.wait()
    if not (child := os.fork()):
        beat.close()
        os._exit(beat.is_alive())
    assert os.waitpid(child, 0)[1] == 0
    assert beat.is_alive()
    beat.close()
    beat.join()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_after_a_fork_the_child_has_none() -> None:
    """A child neither beats nor ends the beat of its parent."""
    subprocess.run([sys.executable, "-c", FORK], check=True, timeout=SAFETY)
