"""Handlers that end, that wait to be told, and that do not stop, each in a way of its own."""

from __future__ import annotations

import asyncio
import hashlib
import os

from stoat_jobs import JobContext, JobHandlers

handlers = JobHandlers()

begun: list[str] = []
"""The ids of the jobs whose handlers have been called."""


@handlers.job
async def quick(ctx: JobContext) -> str:
    begun.append(ctx.job_id)
    return "done"


@handlers.job
async def patient(ctx: JobContext) -> None:
    """Waits until it is told to stop, and stops."""
    begun.append(ctx.job_id)
    await asyncio.Event().wait()


@handlers.job
def busy(ctx: JobContext) -> None:
    """Works in a thread, and looks now and then whether it is to stop."""
    begun.append(ctx.job_id)
    block = bytes(1 << 20)
    while True:
        ctx.raise_if_cancelled()
        hashlib.sha256(block).digest()


@handlers.job
def stuck(ctx: JobContext) -> None:
    """Hangs in a system call: it reads from a pipe to which nobody writes."""
    begun.append(ctx.job_id)
    reading, _ = os.pipe()
    os.read(reading, 1)


@handlers.job
async def deaf(ctx: JobContext) -> None:
    """Swallows every cancellation."""
    begun.append(ctx.job_id)
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


@handlers.job
async def obstinate(ctx: JobContext) -> None:
    """Swallows everything, being closed too, and waits again."""
    begun.append(ctx.job_id)
    # To wait without a running loop too: Pythons since 3.14 close it when the process exits, and
    # what then waits for an event gets an AttributeError, for ever if that is swallowed as well.
    loop = asyncio.get_running_loop()
    while True:
        try:
            await loop.create_future()
        except BaseException:
            continue


@handlers.job
async def spinning(ctx: JobContext) -> None:
    """Is always ready to run."""
    begun.append(ctx.job_id)
    while True:
        await asyncio.sleep(0)


@handlers.job
async def spinning_on(ctx: JobContext) -> None:
    """Is always ready to run, whatever it is told."""
    begun.append(ctx.job_id)
    while True:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            continue


@handlers.job
async def tidying(ctx: JobContext) -> None:
    """Swallows every cancellation, also in what it awaits when it is closed."""
    try:
        await deaf(ctx)
    finally:
        await deaf(ctx)
