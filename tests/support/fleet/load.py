"""A load on a queue, and ways to see how it is."""

from __future__ import annotations

import asyncio
import time

import asyncpg

from stoat_jobs import JobBackend

from .fleet import Fleet, Member, until
from .verdict import Verdict, stored

FAST = 0.3
"""Seconds that a job takes from submit to result if its worker is told, and does not poll."""


async def is_quiet(queue: JobBackend) -> bool:
    """Whether all that was submitted has ended."""
    by_status = (await queue.stats()).by_status
    return not any(count for status, count in by_status.items() if not status.is_terminal)


async def settled(fleet: Fleet, *submitters: Member, calm: bool) -> Verdict:
    """Let the submitters end, wait until every job has ended, and judge."""
    for submitter in submitters:
        submitter.terminate()
    for submitter in submitters:
        assert await submitter.ended() == 0
    async with fleet.queue() as queue:
        await until(lambda: is_quiet(queue), what="the end of every job")
        return Verdict(fleet.books.entries(), await stored(queue), calm=calm)


async def submitters(fleet: Fleet, number: int = 2) -> list[Member]:
    """Processes that submit, read, wait, watch, cancel and delete."""
    begun = [fleet.begin_submitter(str(seed)) for seed in range(number)]
    for member in begun:
        await fleet.up(member)
    return begun


async def acknowledged(fleet: Fleet, more: int) -> None:
    """Wait until so many more jobs were submitted."""
    before = len(fleet.books.entries("acknowledged"))
    await until(lambda: len(fleet.books.entries("acknowledged")) >= before + more)


async def cut(url: str, which: str = "true") -> int:
    """End the connections of others to the database; how many."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE datname = current_database() AND pid <> pg_backend_pid() AND {which}"
        )
        return len(rows)
    finally:
        await connection.close()


async def is_told(queue: JobBackend, times: int = 10) -> bool:
    """Whether so many jobs in a row take no poll, neither of the worker nor of who waits."""
    for _ in range(times):
        began = time.monotonic()
        await queue.wait(await queue.submit("echo"))
        if time.monotonic() - began > FAST:
            return False
        await asyncio.sleep(0.15)  # a worker that has just had a job may still look for more
    return True
