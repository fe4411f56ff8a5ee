"""Who waits for a change of a job, and how it gets to know: one LISTEN connection a process.

- A subscriber reads the record after it has subscribed, so no change is missed.
- A notice carries ids of jobs. Those that somebody here waits for are read, many at once.
- What was read counts only for those who had subscribed before the read began, and who have not
  been told of something newer meanwhile. A record that is final counts for all.
- A connection that is lost is made anew, and everything is read once more. A slow poll is the
  net below; behind a pooler that delivers no notices it is a poll each second, and one warning.
- A connection that is silent is tested by a notice to itself now and then, because it may be half
  open. Any notice will do, so many processes together need no more of them than one. One that
  nobody depends on is not tested: a process that only submits is silent while it is idle.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from itertools import islice
from typing import Any
from weakref import WeakSet

from .._events.log import log_event
from .._model.records import JobResult
from .._run.calls import wake
from .connections import Connection, Connections
from .reasons import is_transient
from .schema import engine_channel, jobs_channel
from .side_tasks import SideTask
from .subscription import Subscription

Read = Callable[[list[str]], Awaitable[dict[str, JobResult[Any]]]]

_MOST_AT_ONCE = 500

# Seconds between two reads of all that is waited for: where notices come, and where they do not.
_POLL = 5.0
_POLL_UNTOLD = 1.0

# Seconds of silence after which a connection is tested, and how long the test may take.
_SILENCE = 5.0
_ECHO = 1.5

# Seconds for the two LISTEN.
_LISTEN = 5.0

# Seconds for the close, which tells once more what is known.
_CLOSE = 0.9

_MISSING = (
    "no notification of the server arrives here, as behind a pooler in transaction mode; changes"
    " are looked for each second. Give the option listen_url, a url of the server itself"
)


class Telling:
    """The subscriptions of one queue, and the connection that listens for it."""

    def __init__(
        self,
        connections: Connections,
        schema: str,
        read: Read,
        *,
        on_work: Callable[[], None] | None,
        on_cancel: Callable[[str], None],
        on_silence: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Have no subscriber yet.

        *on_work* is called when there may be new jobs, *on_cancel* with the id of a running job
        that was told to stop; both on the event loop. *on_work* is None if nothing runs here.
        *on_silence* is awaited each second while no notices come.
        """
        self._connections = connections
        self._schema = schema
        self._read = read
        self._on_work = on_work
        self._on_cancel = on_cancel
        self._on_silence = on_silence
        self._is_closed = False

        self._subscriptions: dict[str, WeakSet[Subscription]] = {}
        self._due: dict[str, None] = {}  # to be read, the oldest first
        self._being_read: list[str] = []
        self._reads = 0  # how many have begun
        self._next_poll = 0.0

        self._connection: Connection | None = None
        self._hears: bool | None = None  # unknown until a notice comes, or should have
        self._heard_at = 0.0
        self._echo: asyncio.Future[None] | None = None
        self._has_warned = False
        self._is_work_told = False

        self._listener = SideTask("listen", self._listen)
        self._reader = SideTask("read", self._read_some)
        self.side_tasks = (self._listener, self._reader)
        """Its listener and its reader."""

    async def start(self, seconds: float) -> None:
        """Listen; returns when notices come, or it is clear that they never will.

        After so many *seconds* it goes on without that.
        """
        self._loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                await self._listen()
        except Exception as error:
            if not is_transient(error):
                raise
        for task in self.side_tasks:
            task.start()

    # Subscribers

    def subscribe(self, job_id: str) -> Subscription:
        """Be told of a job, as long as the subscription is referenced."""
        subscription = Subscription(self._reads, is_closed=self._is_closed)
        if not self._is_closed:
            self._subscriptions.setdefault(job_id, WeakSet()).add(subscription)
            self.look([job_id])
        return subscription

    def is_awaited(self, job_id: str) -> bool:
        """Whether a job may have subscribers; most have none in the process that runs them."""
        return job_id in self._subscriptions

    def tell(self, record: JobResult[Any]) -> None:
        """Tell the subscribers of a job what became of it here."""
        self._tell(record.job_id, record, self._reads + 1)
        if record.job_id in self._being_read:
            self.look([record.job_id])  # that read may know more, but does not count now

    def look(self, job_ids: Iterable[str]) -> None:
        """Read the records of those of these jobs that have subscribers."""
        due = [job_id for job_id in job_ids if job_id in self._subscriptions]
        if due:
            self._due.update(dict.fromkeys(due))
            self._reader.wake()

    def _look_at_all(self) -> None:
        for job_id in [key for key, waiting in self._subscriptions.items() if not waiting]:
            del self._subscriptions[job_id]
        self.look(self._subscriptions)

    def _tell(self, job_id: str, record: JobResult[Any] | None, read: int) -> None:
        is_final = record is not None and record.status.is_terminal
        waiting = self._subscriptions.get(job_id, ())
        for subscription in list(waiting):
            if subscription.read < read or is_final:
                subscription.record, subscription.read = record, self._reads
                subscription.tell()
        if is_final or not waiting:
            self._subscriptions.pop(job_id, None)

    # Reading

    async def _read_some(self) -> float:
        now = self._loop.time()
        if now >= self._next_poll:
            self._look_at_all()
            self._next_poll = now + (_POLL if self._hears else _POLL_UNTOLD)
            if self._on_silence is not None and not self._hears:
                await self._on_silence()
        if self._due:
            await self._read_due()
        if self._due:
            self._reader.wake()
        return max(0.0, self._next_poll - self._loop.time())

    async def _read_due(self) -> None:
        self._being_read = ids = list(islice(self._due, _MOST_AT_ONCE))
        for job_id in ids:
            del self._due[job_id]
        self._reads = read = self._reads + 1
        try:
            records = await self._read(ids)
        except BaseException:
            self._due = dict.fromkeys([*ids, *self._due])
            raise
        finally:
            self._being_read = []
        for job_id in ids:
            self._tell(job_id, records.get(job_id), read)

    # Listening

    async def _listen(self) -> float:
        if self._connection is None or self._connection.is_closed():
            await self._connect()
        elif not self._is_test_due():
            return _SILENCE
        connection = self._connection
        if connection is not None and not await self._test(connection):
            self._miss_echo(connection)
        return _SILENCE

    async def _connect(self) -> None:
        self._drop()
        with self._connections.asking():
            await self._listen_anew()
        self._look_at_all()
        self._note_work()

    async def _listen_anew(self) -> None:
        connection = await self._connections.connect(listening=True)
        self._connection, self._hears = connection, None
        connection.add_termination_listener(self._lose)
        try:
            async with asyncio.timeout(_LISTEN):
                await connection.add_listener(jobs_channel(self._schema), self._hear_of_jobs)
                await connection.add_listener(engine_channel(self._schema), self._hear_of_work)
        except BaseException:
            self._drop()
            raise

    def _is_test_due(self) -> bool:
        is_needed = self._on_work is not None or bool(self._subscriptions)
        return is_needed and self._loop.time() - self._heard_at >= _SILENCE

    async def _test(self, connection: Connection) -> bool:
        """Whether a notice that is sent on another connection arrives.

        On the same one it would also come through a pooler.
        """
        self._echo = echo = self._loop.create_future()
        self._heard_at = self._loop.time()
        channel = jobs_channel(self._schema)
        with self._connections.asking():
            await self._connections.fetch("SELECT pg_notify($1::text, 'echo')", channel)
            for _ in range(2):  # it may have come while the loop was held up
                if not echo.done():
                    await asyncio.wait([echo], timeout=_ECHO / 2)
            if not echo.done() and not self._hears:
                await self._pass_notices(connection)
        return echo.done()

    async def _pass_notices(self, connection: Connection) -> None:
        """Return when all notices that were sent by now must have arrived.

        The server sends them before the answer to a statement, however slow it is.
        """
        try:
            async with asyncio.timeout(_LISTEN):
                await connection.execute("SELECT 1")
        except BaseException:
            connection.terminate()
            raise

    def _miss_echo(self, connection: Connection) -> None:
        if connection is not self._connection:
            return  # it was lost meanwhile, which is known
        if self._hears:  # it is half open
            log_event(logging.WARNING, "listener_lost", error="the connection is silent")
            self._drop()
            self._listener.wake()
            return
        self._hears = False
        if not self._has_warned:
            self._has_warned = True
            log_event(logging.WARNING, "notifications_missing", error=_MISSING)

    def _lose(self, connection: Connection) -> None:
        if connection is self._connection:
            log_event(logging.WARNING, "listener_lost", error="the connection was closed")
            self._drop()
            self._listener.wake()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
        if self._echo is not None:
            wake(self._echo)

    # Notices

    def _hear(self, connection: Connection) -> None:
        if connection is self._connection:
            self._hears = True
            self._heard_at = self._loop.time()
            if self._echo is not None:
                wake(self._echo)

    def _hear_of_work(self, connection: Connection, pid: int, channel: str, payload: str) -> None:
        """The engine's own notice, which is of rows that ended as well."""
        self._hear(connection)
        if '"insert"' in payload:
            self._note_work()

    def _hear_of_jobs(self, connection: Connection, pid: int, channel: str, payload: str) -> None:
        self._hear(connection)
        letter, _, rest = payload.partition(":")
        ids = rest.split(",")
        if letter == "w":
            self._note_work()
        elif letter == "c":
            for job_id in ids:
                self._on_cancel(job_id)
        self.look(ids)

    def _note_work(self) -> None:
        if self._on_work is not None and not self._is_work_told:
            self._is_work_told = True
            self._loop.call_soon(self._tell_of_work, self._on_work)

    def _tell_of_work(self, on_work: Callable[[], None]) -> None:
        self._is_work_told = False
        on_work()

    # The end

    async def close(self, seconds: float = _CLOSE) -> None:
        """Read once more for those who wait, and tell the others that nothing will come.

        It takes at most so many *seconds*, whatever the server does.
        """
        ending = asyncio.ensure_future(self._read_for_the_last_time())
        try:
            await asyncio.wait([ending], timeout=seconds)
        finally:
            self._is_closed = True
            ending.cancel()
            self._drop()
            for waiting in self._subscriptions.values():
                for subscription in list(waiting):
                    subscription.is_closed = True
                    subscription.wake_waiters()
            self._subscriptions.clear()

    async def _read_for_the_last_time(self) -> None:
        await asyncio.gather(*(task.close() for task in self.side_tasks))
        self._look_at_all()
        with suppress(Exception):  # the server is away: they are told of the close
            while self._due:
                await self._read_due()
