"""Writes what changes into a store, without the event loop waiting for it.

- A thread writes. What comes meanwhile is the next write: many submits share a transaction, and
  so do the end of a job and the start of the one that gets its slot.
- A new job is refused if it cannot be written. A change of an accepted job is kept, and written
  again until that succeeds. Of several changes of one job only the last is written.
- A write of several that fails is tried again one by one, so that one job that cannot be written
  holds up no other. After two such failures it is the store that fails.
- Whoever waits is told on the event loop, after the write, in the order of what was written.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from .._events.log import log_event
from .._run.calls import call_threadsafe, wake
from .._text import describe
from .brief_thread import BriefThread
from .store import JobStore, StoredJob

# Seconds between tries of a store that fails: they double.
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 1.0

# How many jobs one write has at most, so that no one waits long for it.
_MOST_AT_ONCE = 2_000

# How many are told in one turn of the event loop: a millisecond or two, with their log lines.
_TOLD_A_TURN = 50

# So many pieces that fail one by one are the store's fault.
_MOST_FAILURES = 2


@dataclass(slots=True)
class Piece:
    """What is written as a whole or not at all."""

    new: Sequence[StoredJob] = ()
    changed: StoredJob | None = None
    gone: str | None = None
    told: list[Callable[[Exception | None], None]] = field(default_factory=list)
    """Called at the end with None, or why a new job is refused."""

    @property
    def is_new(self) -> bool:
        """Whether it is refused if it cannot be written."""
        return bool(self.new)

    @property
    def job_id(self) -> str:
        """Whose change it is."""
        return self.changed.job_id if self.changed is not None else self.gone or ""


Written = deque[tuple[Piece, Exception | None]]


class StoreWriter:
    """Writes for one life of a queue; everything but the writing itself is on the event loop."""

    def __init__(
        self, name: str, store: JobStore, thread: BriefThread, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._name = name
        self._store = store
        self._thread = thread
        self._loop = loop
        self._new: list[Piece] = []
        self._changes: dict[str, Piece] = {}
        self._under_way: dict[str, Piece] = {}
        """The changes that are being written."""
        self._written: Future[Written] | None = None
        self._ended: deque[tuple[Piece, Exception | None]] = deque()
        """What was written, or refused, and is yet to be told."""
        self._pause = 0.0
        """Seconds to the next try; 0 while the store works."""
        self._soon: asyncio.Handle | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self._is_closed = False

    # What is to be written.

    def add(self, jobs: Sequence[StoredJob], told: Callable[[Exception | None], None]) -> None:
        """Write new *jobs*, all or none; *told* gets None, or why not."""
        self._new.append(Piece(new=jobs, told=[told]))
        self._begin_soon()

    def save(self, job: StoredJob, told: Callable[[], None] | None = None) -> None:
        """Write what became of *job*; *told* is called when that is done."""
        self._change(job.job_id, Piece(changed=job), told)

    def drop(self, job_id: str, told: Callable[[], None] | None = None) -> None:
        """Drop a job; *told* is called when that is done."""
        self._change(job_id, Piece(gone=job_id), told)

    def _change(self, job_id: str, piece: Piece, told: Callable[[], None] | None) -> None:
        earlier = self._changes.get(job_id)
        if earlier is not None:
            piece.told = [*earlier.told]  # a Ctrl-C in here leaves the earlier one as it is
        if told is not None:
            piece.told.append(lambda _: told())
        self._changes[job_id] = piece
        self._begin_soon()

    # Writing.

    def _begin_soon(self) -> None:
        """Write what waits after this turn of the event loop, which may bring more."""
        if self._loop.is_closed():
            return  # under a queue that nobody left: close() writes it
        if self._soon is None and self._written is None:
            self._soon = self._loop.call_soon(self._begin, context=contextvars.Context())

    def _begin(self) -> None:
        """Write what waits, unless a write is under way: then that follows."""
        self._soon = None
        if self._written is not None or not (self._new or self._changes):
            return
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._under_way = dict(islice(self._changes.items(), _MOST_AT_ONCE))
        pieces = [*self._under_way.values(), *self._new]
        self._written = self._thread.call(_write, self._store, pieces)
        self._let_go(pieces)  # afterwards: a Ctrl-C in between must lose none
        self._written.add_done_callback(self._tell_loop)

    def _let_go(self, pieces: Iterable[Piece]) -> None:
        """Let *pieces* wait no longer, as far as they still do."""
        given = set(map(id, pieces))
        self._new = [piece for piece in self._new if id(piece) not in given]
        for piece in pieces:
            if self._changes.get(piece.job_id) is piece:
                del self._changes[piece.job_id]

    def _tell_loop(self, written: Future[Any]) -> None:
        call_threadsafe(self._loop, self._end, written)

    def _end(self, written: Future[Written]) -> None:
        """A write has ended: tell whoever waits, and begin the next one.

        A Ctrl-C may come at any line; then :meth:`close` does the rest.
        """
        if written is not self._written:
            return  # it was ended by close()
        ended = written.result()
        self._let_go([piece for piece, _ in ended])
        self._note(next((error for _, error in ended if error is not None), None))
        is_telling = bool(self._ended)
        while ended:
            self._sort(*ended[0])
            ended.popleft()
        self._under_way, self._written = {}, None
        if not is_telling:
            self._tell_some()
        self._go_on()

    def _sort(self, piece: Piece, error: Exception | None) -> None:
        """Let *piece* be told, or wait again unless something newer does."""
        if error is None or piece.is_new:
            self._ended.append((piece, error))
            return
        newer = self._changes.pop(piece.job_id, piece)
        if newer is not piece:
            newer.told = piece.told + newer.told
        self._changes[piece.job_id] = newer

    def _tell_some(self) -> None:
        """Tell some of those who wait for what has ended; the others in a later turn."""
        self._tell(_TOLD_A_TURN)
        if self._ended:
            self._loop.call_soon(self._tell_some, context=contextvars.Context())
        else:
            self._wake_waiters()

    def _tell(self, most: float) -> None:
        while self._ended and most > 0:
            _tell(*self._ended[0])
            self._ended.popleft()  # last: after a Ctrl-C in between it is told again
            most -= 1

    def _note(self, error: Exception | None) -> None:
        """Log when the store begins to fail, and when it works again."""
        if error is None:
            if self._pause:
                log_event(logging.WARNING, "store_recovered", backend=self._name)
            self._pause = 0.0
            return
        if not self._pause:
            reason = describe(error)
            log_event(logging.ERROR, "store_failed", backend=self._name, error=reason)
        self._pause = min(max(2 * self._pause, _FIRST_PAUSE), _LONGEST_PAUSE)

    def _go_on(self) -> None:
        if self._new or not self._pause:
            self._begin()
        elif self._changes and self._alarm is None:
            no_variables = contextvars.Context()  # not those of a job, which it would keep
            self._alarm = self._loop.call_later(self._pause, self._try_again, context=no_variables)

    def _try_again(self) -> None:
        self._alarm = None
        self._begin()

    # Waiting for it.

    @property
    def is_idle(self) -> bool:
        """Whether everything is written."""
        return self._written is None and not (self._new or self._changes or self._ended)

    def has(self, job_id: str) -> bool:
        """Whether a change of this job is not written, or not told, yet."""
        return (
            job_id in self._changes
            or job_id in self._under_way
            or any(piece.job_id == job_id for piece, _ in self._ended)
        )

    async def attempted(self, job_id: str) -> None:
        """Wait until the change of this job is written, or the store fails or is closed."""
        while self.has(job_id) and not (self._pause or self._is_closed):
            await self._next_end()

    async def all_attempted(self) -> None:
        """Wait until every change so far is written, or the store fails."""
        for job_id in [*self._under_way, *self._changes]:
            await self.attempted(job_id)

    async def flush(self, seconds: float) -> None:
        """Wait until everything is written or the store fails; at most so many *seconds*."""
        deadline = self._loop.time() + seconds
        while not self.is_idle and not self._pause and self._loop.time() < deadline:
            await self._next_end(deadline)

    async def _next_end(self, deadline: float | None = None) -> None:
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.append(waiter)
        alarm = None if deadline is None else self._loop.call_at(deadline, wake, waiter)
        try:
            await waiter
        finally:
            if alarm is not None:
                alarm.cancel()

    def _wake_waiters(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            wake(waiter)

    # The end.

    def close(self, seconds: float) -> None:
        """End without the event loop: what waits is written if that takes at most *seconds*.

        A job that is not written by then is as it was, and what waited for that is never told.
        """
        for handle in (self._alarm, self._soon):
            if handle is not None:
                handle.cancel()
        for _ in range(2):  # the write that is under way, and all that came meanwhile
            self._begin()
            if (written := self._written) is not None:
                try:
                    written.result(seconds)
                except TimeoutError:
                    break
                self._end(written)
        self._tell(math.inf)
        if self._alarm is not None:  # of a write that has failed just now
            self._alarm.cancel()
        self._written = None  # what ends later is told to nobody
        self._is_closed = True  # so nobody waits for it either
        self._wake_waiters()


def _tell(piece: Piece, error: Exception | None) -> None:
    for told in piece.told:
        try:
            told(error)
        except Exception as failure:  # one job's end must not cost that of another
            log_event(logging.ERROR, "store_told_failed", exc_info=failure)


def _write(store: JobStore, pieces: list[Piece]) -> Written:
    """Write *pieces*, at once or one by one; each with None or why it is not written."""
    error = _try(store, pieces)
    if error is None or len(pieces) == 1:
        return deque((piece, error) for piece in pieces)
    written: Written = deque()
    failures = 0
    for piece in pieces:
        failure = error if failures >= _MOST_FAILURES else _try(store, [piece])
        failures += failure is not None
        written.append((piece, failure))
    return written


def _try(store: JobStore, pieces: list[Piece]) -> Exception | None:
    try:
        store.write(
            [job for piece in pieces for job in piece.new],
            [piece.changed for piece in pieces if piece.changed is not None],
            [piece.gone for piece in pieces if piece.gone is not None],
        )
    except Exception as error:
        return error
    return None
