"""A start that fails leaves nothing behind, and takes no longer than is promised; so does a stop."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import asyncpg
import pytest

from stoat_jobs import BackendError, BackendStartError, JobQueueSettings, create_queue
from stoat_jobs._backends.loop_watchdog import Watchdog
from stoat_jobs._postgres import life
from stoat_jobs._postgres.connections import Connections
from stoat_jobs._postgres.server import Server

from ..support import SAFETY_NET
from ..support.fleet.proxy import Proxy, through
from ..support.postgres.cluster import Cluster
from .queues import queue_on


def traces() -> set[str]:
    """What runs of a queue: tasks and threads, by their names."""
    names = [task.get_name() for task in asyncio.all_tasks()]
    names += [thread.name for thread in threading.enumerate()]
    return {name for name in names if name.startswith("stoat-jobs")} - {"stoat-jobs idle"}


async def until_nothing_is_left() -> None:
    async with asyncio.timeout(SAFETY_NET):
        while traces():
            await asyncio.sleep(0.01)


async def test_a_server_that_falls_silent_during_the_start(
    cluster: Cluster, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given up within ten seconds, in one line; here after fewer, to save time."""
    assert 5 < life._START < 10
    monkeypatch.setattr(life, "_START", 1.0)
    opening = Connections.open
    async with Proxy(cluster.port) as proxy:

        async def open_and_lose(connections: Connections) -> None:
            await opening(connections)
            proxy.swallow()

        monkeypatch.setattr(Connections, "open", open_and_lose)
        settings = JobQueueSettings(backend="postgres", url=through(proxy, url))
        with pytest.raises(BackendStartError, match="has not answered for .* tables in schema"):
            async with asyncio.timeout(SAFETY_NET), create_queue(None, settings):
                pass
    await until_nothing_is_left()


async def test_a_lock_on_the_tables_during_the_start(url: str) -> None:
    """It is waited for within the time of a start, and then the line says so."""
    connection = await asyncpg.connect(url)
    async with connection.transaction():
        await connection.execute("CREATE SCHEMA stoat_jobs")
        settings = JobQueueSettings(backend="postgres", url=url)
        with pytest.raises(BackendError, match="lock to change the tables in schema"):
            async with asyncio.timeout(SAFETY_NET), create_queue(None, settings):
                pass
    await connection.close()


async def test_a_start_makes_two_connections(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One for statements, and one that listens."""
    made = 0
    connect = Server._connect

    async def counted(server: Server, *args: Any) -> Any:
        nonlocal made
        made += 1
        return await connect(server, *args)

    monkeypatch.setattr(Server, "_connect", counted)
    async with queue_on(url, options={"worker": False}):
        pass
    assert made == 2


async def test_a_start_that_fails_leaves_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread, no task, no state: the queue can be started again."""
    queue = queue_on(url, loop_block_limit=1.0)

    def fail(*args: Any) -> Any:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Watchdog, "start", fail)
    with pytest.raises(BackendStartError, match="can't start new thread"):
        await queue.__aenter__()
    await until_nothing_is_left()
    monkeypatch.undo()
    monkeypatch.setattr(queue, "_new_life", fail)
    with pytest.raises(RuntimeError):
        await queue.__aenter__()
    monkeypatch.undo()
    async with queue:
        assert traces()
    await until_nothing_is_left()


async def test_a_stop_that_is_cancelled_closes_all(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was being closed at that moment, the rest is closed as well."""
    queue = queue_on(url)
    await queue.__aenter__()
    assert queue._life is not None
    keeping, closing = queue._life.keeper.side_task, asyncio.Event()
    close = keeping.close

    async def hang(*args: Any) -> None:
        closing.set()
        try:
            await asyncio.Event().wait()
        finally:
            await close()

    monkeypatch.setattr(keeping, "close", hang)
    stopping = asyncio.ensure_future(queue.__aexit__(None, None, None))
    await closing.wait()
    stopping.cancel()
    await asyncio.wait([stopping])
    assert stopping.cancelled()
    assert not queue.started
    await until_nothing_is_left()
