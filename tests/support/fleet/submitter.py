"""``python -m tests.support.fleet.submitter URL LEDGER``: submits and follows jobs until SIGTERM.

A submit is noted before, and when it is acknowledged: between is what an answer may be lost of.
Each wait is noted before and after. When told to stop, it goes on until everything that it waits
for has come.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import signal
import traceback
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from stoat_jobs import (
    BackendError,
    JobBackend,
    JobNotFoundError,
    JobNotKeptError,
    JobQueueSettings,
    JobResult,
    QueueFullError,
    create_queue,
)

from .hearing import Hearing, LogToLedger, seen
from .jobs import handlers_of
from .ledger import Ledger

REFUSALS = (BackendError, JobNotKeptError, QueueFullError)
"""What a queue may answer while its server is away."""

ODD: list[Any] = [None, "", "\0", "a\0b", 1e22, -0.0, 2**63, [], {"": "\u2028"}, "😀", "'; --"]

Order = tuple[str, dict[str, Any]]


def order_of(rng: random.Random) -> Order:
    """A job type and its arguments."""
    draw = rng.random()
    if draw < 0.70:
        return "sleep", {"seconds": rng.choice((0, 0, 0.01, 0.1, 0.5))}
    if draw < 0.78:
        return "sleep_sync", {"seconds": rng.choice((0, 0.1))}
    if draw < 0.83:
        return "report", {"steps": rng.randrange(20)}
    if draw < 0.88:
        return "fail", {"text": "chaos"}
    if draw < 0.92:
        return "flaky", {}
    if draw < 0.97:
        return "echo", {"value": rng.choice(ODD)}
    if draw < 0.98:
        return "block", {"seconds": 0.2}
    return "sleep", {"seconds": rng.choice((2.0, 5.0))}


class Client:
    """Submits one thing after the other."""

    def __init__(self, queue: JobBackend, ledger: Ledger, rng: random.Random) -> None:
        self._queue = queue
        self._ledger = ledger
        self._rng = rng
        self._following: set[asyncio.Task[None]] = set()
        self._acts = {
            self._one: 50,
            self._delayed: 8,
            self._keyed: 12,
            self._many: 6,
            self._look: 4,
        }

    async def run(self, stop: asyncio.Event, pause: float) -> None:
        acts, weights = list(self._acts), list(self._acts.values())
        while not stop.is_set():
            act = self._rng.choices(acts, weights)[0]
            await self._guarded(act(), act.__name__)
            await asyncio.sleep(self._rng.random() * pause)
        while self._following:
            await asyncio.wait(self._following)

    async def _guarded(self, act: Awaitable[Any], name: str) -> None:
        """Note what a server that is away explains, and as a fault what it does not."""
        try:
            await act
        except REFUSALS as error:
            self._ledger.note("refused", act=name, error=repr(error))
        except Exception:
            self._ledger.note("fault", act=name, traceback=traceback.format_exc())

    # Submitting.

    async def _one(self) -> None:
        await self._submit()

    async def _delayed(self) -> None:
        await self._submit(delay=self._rng.random() * 3)

    async def _keyed(self) -> None:
        key = f"key {self._rng.randrange(4)}"
        await self._submit(("sleep", {"seconds": self._rng.random()}), key=key)

    async def _submit(self, order: Order | None = None, **options: Any) -> None:
        name, arguments = order or order_of(self._rng)
        job_ids = await self._sure(self._queue.submit(name, arguments, **options), 1)
        self._acknowledged([job_ids], name, options.get("key"))
        self._follow(job_ids, is_shared="key" in options)

    async def _many(self) -> None:
        number = self._rng.randrange(1, 60)
        payloads = [{"n": n} for n in range(number)]
        job_ids = await self._sure(self._queue.submit_many("number", payloads), number)
        self._acknowledged(job_ids, "number", None)

    async def _sure(self, submit: Awaitable[Any], number: int) -> Any:
        self._ledger.note("submitting", number=number)
        return await submit

    def _acknowledged(self, job_ids: list[str], name: str, key: str | None) -> None:
        for job_id in job_ids:
            self._ledger.note("acknowledged", job=job_id, type=name, key=key)

    async def _look(self) -> None:
        await self._queue.stats()
        for record in await self._queue.list_jobs(limit=50):
            if record.status.is_terminal:
                self._ledger.note("saw", **seen(record))

    # Following.

    def _follow(self, job_id: str, *, is_shared: bool) -> None:
        follow = self._rng.choices(
            [None, self._wait, self._watch, self._cancel, self._delete], [60, 15, 10, 10, 5]
        )[0]
        if follow == self._delete and is_shared:  # somebody else may wait for it
            follow = self._wait
        if follow is not None:
            task = asyncio.create_task(self._guarded(follow(job_id), follow.__name__))
            self._following.add(task)
            task.add_done_callback(self._following.discard)

    async def _wait(self, job_id: str) -> None:
        await self._told(job_id, lambda: self._queue.wait(job_id))

    async def _watch(self, job_id: str) -> None:
        await self._told(job_id, lambda: self._last(job_id))

    async def _last(self, job_id: str) -> JobResult[Any]:
        records = [record async for record in self._queue.watch(job_id)]
        if any(record.status.is_terminal for record in records[:-1]):
            self._ledger.note("fault", act="watch", job=job_id, records=str(records))
        return records[-1]

    async def _told(self, job_id: str, wait: Callable[[], Awaitable[JobResult[Any]]]) -> None:
        name = uuid.uuid4().hex
        self._ledger.note("waiting", job=job_id, wait=name)
        while True:
            try:
                record = await wait()
            except BackendError as error:  # the server is away for longer than it waits for it
                self._ledger.note("refused", act="wait", error=repr(error))
            else:
                break
        self._ledger.note("told", wait=name, **seen(record))

    async def _cancel(self, job_id: str) -> None:
        await asyncio.sleep(self._rng.choice((0, 0.05, 0.5)))
        answer = await self._queue.cancel(job_id)
        self._ledger.note("cancel", job=job_id, answer=answer)
        await self._wait(job_id)

    async def _delete(self, job_id: str) -> None:
        await self._wait(job_id)
        self._ledger.note("deleting", job=job_id)
        try:
            answer = await self._queue.delete(job_id)
        except JobNotFoundError:  # the answer to a first try was lost
            answer = True
        self._ledger.note("deleted", job=job_id, answer=answer)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("ledger", type=Path)
    parser.add_argument("--seed", default="0")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--pause", type=float, default=0.1)
    parser.add_argument("--settings", type=json.loads, default={})
    return parser.parse_args()


async def submit(given: argparse.Namespace, ledger: Ledger) -> None:
    settings = JobQueueSettings(backend="postgres", url=given.url, **given.settings)
    queue = create_queue(handlers_of(given.ledger), settings, [Hearing(ledger)])
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    rngs = [random.Random(f"{given.seed} {number}") for number in range(given.clients)]
    async with queue:
        ledger.note("up")
        await asyncio.gather(*(Client(queue, ledger, rng).run(stop, given.pause) for rng in rngs))
        ledger.note("stopping")
    ledger.note("down")


def main() -> None:
    given = arguments()
    ledger = Ledger(given.ledger)
    logging.getLogger().addHandler(LogToLedger(ledger))
    asyncio.run(submit(given, ledger))


if __name__ == "__main__":
    main()
