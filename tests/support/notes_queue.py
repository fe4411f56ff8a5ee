"""A queue in a file, here or in another process, whose jobs are notes."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from stoat_jobs import JobBackend, JobContext, JobHandlers, JobQueueSettings, create_queue

from . import SAFETY_NET
from .another import Another

handlers = JobHandlers()


@handlers.job
async def note(ctx: JobContext, number: int) -> int:
    return number


@handlers.job(timeout=SAFETY_NET)
def until_closed(ctx: JobContext, gate: str) -> None:
    with open(gate) as file:
        file.read()


@handlers.job
async def forks(ctx: JobContext) -> str:
    """Submits in a forked child, and returns what came of it."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            said = await ctx.queue.submit("note", {"number": -1})
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    os.wait()
    with open(reading) as file:
        return file.read()


def notes_queue(path: Path, **options: Any) -> JobBackend:
    """A queue in the file *path*, not yet started."""
    settings = JobQueueSettings(
        backend="sqlite", url=str(path), options=options, drain_timeout=SAFETY_NET
    )
    return create_queue(handlers, settings)


_BEGINNING = """
import asyncio, os
from pathlib import Path
from tests.support.notes_queue import *
queue = notes_queue(Path({path!r}))
run = asyncio.Runner(loop_factory=__import__({loop!r}).new_event_loop).run

async def add(*numbers):
    for number in numbers:
        await queue.submit("note", {{"number": number}}, key=str(number))

async def begin(gate):
    job_id = await queue.submit("until_closed", {{"gate": gate}})
    while await queue.get_status(job_id) != "running":
        pass
    return job_id

def stop():
    run(queue.__aexit__(None, None, None))
"""


def another_queue(path: Path, loop: str = "asyncio") -> Another:
    """Another process, with such a queue in the name ``queue``."""
    beginning = _BEGINNING.format(path=str(path), loop=loop)
    return Another(beginning, cwd=Path(__file__).parents[2])


def kept(path: Path) -> list[int]:
    """The numbers of the notes that a process finds that begins now; no queue has them open."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("select key from job where job_type = 'note' order by number")
        return [int(key) for (key,) in rows]
