"""The connections of a queue: bounded, on one event loop, and as good as new after every failure."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import asyncpg
import pytest

from ..support import SAFETY_NET
from ..support.loops import ON_UVLOOP
from ..support.postgres.cluster import Cluster, name_in
from ..support.postgres.opened import connections, opened, value

PID = "SELECT pg_backend_pid()"


async def pid_of(used: Any) -> int:
    number: int = await value(used, PID)
    return number


async def until_gone(used: Any, pid: int) -> None:
    """Return when the server has no such process any more."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1"
    async with asyncio.timeout(SAFETY_NET):
        while await value(used, query, pid):
            pass


async def test_connections_are_kept(url: str) -> None:
    """One after the other uses the same; it is not asked to reset it."""
    async with opened(url) as used:
        assert await pid_of(used) == await pid_of(used)


async def test_no_more_than_the_pool_has(url: str) -> None:
    """Others wait until one is free."""
    async with opened(url, pool_size=2) as used:
        pids = await asyncio.gather(*(pid_of(used) for _ in range(20)))
        assert 1 <= len(set(pids)) <= 2


async def test_a_statement_is_bounded(url: str) -> None:
    """By a third of the lease, or by what is said; then its connection is gone."""
    async with opened(url, lease=3.0) as used:
        pid = await pid_of(used)
        with pytest.raises(TimeoutError, match="has not answered for 1.0 s"):
            await used.fetch("SELECT pg_sleep(60)")
        with pytest.raises(TimeoutError, match="has not answered for 0.1 s"):
            await used.fetch("SELECT pg_sleep(60)", seconds=0.1)
        with pytest.raises(TimeoutError, match="has not answered"):
            async with used.transaction() as connection:
                await connection.execute("SELECT pg_sleep(60)")
        assert await pid_of(used) != pid


async def test_a_server_that_does_not_answer_is_left(own_cluster: Cluster) -> None:
    """Statements, new connections and the close are bounded; when it answers, all is well."""
    used = connections(own_cluster.url, lease=3.0)
    await used.open()
    await used.fetch("SELECT 1")
    own_cluster.freeze()
    for _ in range(2):  # on the connection that it has, and on a new one
        with pytest.raises(TimeoutError):
            await used.fetch("SELECT 1")
    with pytest.raises(TimeoutError):
        await used.connect()
    own_cluster.thaw()
    await used.fetch_retried("SELECT 1", seconds=SAFETY_NET)
    own_cluster.freeze()
    await asyncio.wait_for(used.close(0.1), SAFETY_NET)
    own_cluster.thaw()


async def test_who_finds_no_connection_free_is_told_so(url: str) -> None:
    """Then it is not the server that has not answered; and the others go on."""
    async with opened(url, pool_size=2, lease=3600.0) as used:
        sleeping = [asyncio.create_task(used.fetch("SELECT pg_sleep(1)")) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError, match="no connection was free .* pool_size is too small"):
            await used.fetch("SELECT 1", seconds=0.2)
        await asyncio.gather(*sleeping)


@pytest.mark.parametrize("is_made_first", [True, False])
async def test_a_connection_that_is_made_as_its_asker_leaves_is_cut(is_made_first: bool) -> None:
    """Whichever of the two is the first in one turn of the loop, nothing stays open."""
    used = connections("postgresql://h/x")
    made: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    cut = asyncio.Event()

    class Made:
        def terminate(self) -> None:
            cut.set()

    async def connect(seconds: float) -> Any:
        try:
            return await made
        except asyncio.CancelledError:
            cut.set()
            raise

    used._server.connect = connect  # type: ignore[method-assign]
    asking = asyncio.create_task(used.fetch("SELECT 1"))
    for _ in range(5):
        await asyncio.sleep(0)
    if is_made_first:
        made.set_result(Made())
        await asyncio.sleep(0)  # now it is made, and whoever asked for it does not know yet
    asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled()
    await asyncio.wait_for(cut.wait(), SAFETY_NET)


async def test_a_close_that_is_cancelled_cuts_all(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was to be said goodbye to is not left open."""
    used = connections(url)
    await used.open()
    pid = await pid_of(used)
    closing = asyncio.Event()

    async def close(self: Any) -> None:
        closing.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncpg.Connection, "close", close)
    task = asyncio.create_task(used.close(3600))
    await closing.wait()
    task.cancel()
    await asyncio.wait([task])
    monkeypatch.undo()
    assert task.cancelled()
    await until_gone(used, pid)


async def test_a_cancelled_statement_frees_its_place(url: str) -> None:
    """Who is cancelled leaves nothing behind, and the others do not notice."""
    async with opened(url, pool_size=2) as used:
        other = await pid_of(used)
        sleeping = [asyncio.create_task(used.fetch("SELECT pg_sleep(60)")) for _ in range(2)]
        activity = "SELECT pid FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'"
        watching = await used.connect()
        found: list[Any] = []
        async with asyncio.timeout(SAFETY_NET):
            while len(found) < 2:
                found = await watching.fetch(activity)
        for task in sleeping:
            task.cancel()
        await asyncio.wait(sleeping)
        assert await pid_of(used) not in {row[0] for row in found} - {other}
        await watching.close()


async def test_a_cut_connection_is_replaced(cluster: Cluster, url: str) -> None:
    """What was idle when it was cut is noticed; what was tried again succeeds."""
    async with opened(url) as used:
        pids = await asyncio.gather(*(pid_of(used) for _ in range(8)))
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'"
        cluster.sql(cut.format(name_in(url)))
        (row,) = await used.fetch_retried(PID)
        assert row["pg_backend_pid"] not in pids


async def test_an_error_of_the_server_costs_no_connection(url: str) -> None:
    """A statement that it refuses leaves the connection as it was; so does a failed block."""
    async with opened(url) as used:
        pid = await pid_of(used)
        with pytest.raises(asyncpg.DivisionByZeroError):
            await used.fetch("SELECT 1 / 0")
        with pytest.raises(LookupError):
            async with used.transaction() as connection:
                await connection.execute("CREATE TABLE x ()")
                raise LookupError
        assert await value(used, "SELECT to_regclass('x')") is None
        assert await pid_of(used) == pid


async def test_what_is_transient_is_tried_again(url: str) -> None:
    """And nothing else is: a deadlock, but not a division by zero."""
    count = "SELECT nextval('tries') AS tries"
    async with opened(url) as used:
        await used.fetch("CREATE SEQUENCE tries")
        fail = "CREATE FUNCTION fail(code text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN"
        fail += " IF nextval('tries') < 3 THEN RAISE EXCEPTION USING ERRCODE = code; END IF;"
        await used.fetch(f"{fail} RETURN 1; END $$")
        await used.fetch_retried("SELECT fail('40P01')")
        assert await value(used, count) == 4
        await used.fetch("SELECT setval('tries', 1)")
        with pytest.raises(asyncpg.DivisionByZeroError):
            await used.fetch_retried("SELECT fail('22012')")
        assert await value(used, count) == 3
        await used.fetch("SELECT setval('tries', 1)")
        with pytest.raises(asyncpg.SerializationError):
            await used.fetch_retried("SELECT fail('40001')", seconds=0.0)


async def test_another_event_loop_is_refused(url: str) -> None:
    """asyncpg would crash the interpreter; the error says how to call it."""
    async with opened(url) as used:
        errors: list[BaseException] = []

        def elsewhere() -> None:
            for doing in (used.fetch("SELECT 1"), used.fetch_retried("SELECT 1"), enter()):
                try:
                    asyncio.run(doing)
                except RuntimeError as error:
                    errors.append(error)

        async def enter() -> None:
            async with used.transaction():
                pass

        await asyncio.to_thread(elsewhere)
        assert len(errors) == 3
        for error in errors:
            assert "outside the event loop that runs the queue" in str(error)
        await used.fetch("SELECT 1")


async def test_another_thread_has_a_connection_of_its_own(url: str) -> None:
    """As the heartbeat has, on its own loop."""
    async with opened(url) as used:
        answers: list[Any] = []

        async def beat() -> None:
            connection = await used.connect()
            answers.append(await connection.fetchval(PID))
            await connection.close()

        thread = threading.Thread(target=asyncio.run, args=(beat(),))
        thread.start()
        await asyncio.to_thread(thread.join)
        assert answers[0] != await pid_of(used)


async def test_what_is_not_open_reads_on_a_connection_of_its_own(url: str) -> None:
    """Before the start and after the stop, and leaves none behind."""
    used = connections(url)
    first = await pid_of(used)
    await used.open()
    await until_gone(used, first)
    await used.close(1)
    assert await pid_of(used) != first


@pytest.mark.parametrize("run", [asyncio.run, pytest.param("uvloop", marks=ON_UVLOOP)])
def test_it_is_opened_again_on_another_loop(run: Any, url: str) -> None:
    """As an application that is started anew in one process does; asyncio's loop or uvloop."""
    if run == "uvloop":
        import uvloop

        run = uvloop.run
    used = connections(url, lease=6.0)

    async def life() -> None:
        await used.open()
        await asyncio.gather(*(used.fetch("SELECT 1") for _ in range(20)))
        with pytest.raises(TimeoutError):
            await used.fetch("SELECT pg_sleep(60)")
        async with used.transaction() as connection:
            assert await connection.fetchval("SELECT 2") == 2
        await used.close(1)
        assert await value(used, "SELECT 3") == 3

    run(life())
    run(life())
    gc.collect()


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # what that loop left open is collected
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_that_ended_before_the_close_is_forgotten(url: str) -> None:
    """A queue that nobody could leave, as after a Ctrl-C, can be opened on a new loop."""
    used = connections(url)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(used.open())
    loop.close()

    async def life() -> None:
        await used.open()
        await used.fetch("SELECT 1")
        await used.close(1)

    asyncio.run(life())
    del loop
    gc.collect()
