"""Another program as a job: it ends with the job, and so does all that it has started."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from stoat_jobs import JobContext, JobHandlers

# A list, never a shell: what a client has sent is an argument and nothing else.
CONVERT = ["ffmpeg", "-nostdin", "-loglevel", "error", "-progress", "pipe:1", "-i"]

handlers = JobHandlers()


@handlers.job(timeout=1800)
async def convert(ctx: JobContext, source: str, target: str) -> None:
    """In the event loop: read what the program reports, line by line."""
    async with running(*CONVERT, source, target) as process:
        await _follow(ctx, process)
        await process.wait()
    if process.returncode != 0:
        raise RuntimeError(f"the converter ended with {process.returncode}")


@asynccontextmanager
async def running(*command: str) -> AsyncIterator[Process]:
    """The program; it ends with the block, and with it all that it has started."""
    starting = asyncio.create_task(
        asyncio.create_subprocess_exec(*command, stdout=PIPE, start_new_session=True)
    )
    try:
        yield await asyncio.shield(starting)  # cancelled itself, it would leave the group behind
    finally:  # a cancel, a time limit and the shutdown are raised where the block waits
        process = await starting
        kill_group(process.pid)
        await process.wait()  # else it stays in the table of processes


async def _follow(ctx: JobContext, process: Process) -> None:
    assert process.stdout is not None
    async for line in process.stdout:  # a pipe that nobody reads stops the program
        name, _, value = line.decode().strip().partition("=")
        if name == "out_time":
            ctx.set_progress(0.5, f"at {value}")  # of how much it does not say


@handlers.job(timeout=1800)
def convert_in_thread(ctx: JobContext, source: str, target: str) -> None:
    """In a thread: look now and then whether the job was told to stop."""
    command = [*CONVERT, source, target]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            while process.poll() is None:
                ctx.raise_if_cancelled()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)
        finally:
            kill_group(process.pid)
    if process.returncode != 0:
        raise RuntimeError(f"the converter ended with {process.returncode}")


def kill_group(pid: int) -> None:
    """End the program and what it has started; at once, since the job has but a second left."""
    with suppress(ProcessLookupError):  # nothing of it is left
        os.killpg(pid, signal.SIGKILL)
