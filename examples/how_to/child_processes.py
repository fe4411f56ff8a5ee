"""Run another program as a job: it and all its children end with the job."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from stoat_jobs import JobContext, JobHandlers

# A list, never a shell command: what a client sends is only ever an argument.
CONVERT = ["ffmpeg", "-nostdin", "-loglevel", "error", "-progress", "pipe:1", "-i"]

handlers = JobHandlers()


@handlers.job(timeout=1800)
async def convert(ctx: JobContext, source: str, target: str) -> None:
    """On the event loop: read the program's output line by line."""
    async with running(*CONVERT, source, target) as process:
        await _follow(ctx, process)
        await process.wait()
    if process.returncode != 0:
        raise RuntimeError(f"the converter ended with {process.returncode}")


@asynccontextmanager
async def running(*command: str) -> AsyncIterator[Process]:
    """Run the program; it and all its children end with the block."""
    starting = asyncio.create_task(
        asyncio.create_subprocess_exec(*command, stdout=PIPE, start_new_session=True)
    )
    try:
        yield await asyncio.shield(starting)  # a cancelled start would leave children
    finally:  # any reason to stop is raised where the block waits
        process = await starting
        kill_group(process.pid)
        await process.wait()  # otherwise it stays as a zombie process


async def _follow(ctx: JobContext, process: Process) -> None:
    assert process.stdout is not None
    async for line in process.stdout:  # an unread pipe would stop the program
        name, _, value = line.decode().strip().partition("=")
        if name == "out_time":
            ctx.set_progress(0.5, f"at {value}")  # it does not report the total


@handlers.job(timeout=1800, cooperative=True, cancel_grace=10, timeout_grace=10)
async def record(ctx: JobContext, source: str, target: str) -> None:
    """Let the program close its file: it has ten seconds after SIGTERM, then it is killed."""
    async with running(*CONVERT, source, target) as process, asyncio.TaskGroup() as beside:
        telling = beside.create_task(_terminate_when_told(ctx, process))
        await _follow(ctx, process)
        await process.wait()
        telling.cancel()
    if process.returncode != 0 and not ctx.cancelled:
        raise RuntimeError(f"the recorder ended with {process.returncode}")


async def _terminate_when_told(ctx: JobContext, process: Process) -> None:
    await ctx.wait_cancelled()
    with suppress(ProcessLookupError):  # it has just ended
        process.terminate()


@handlers.job(timeout=1800)
def convert_in_thread(ctx: JobContext, source: str, target: str) -> None:
    """In a thread: check regularly whether the job was told to stop."""
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
    """Kill the program and its children: nothing of them outlives the job."""
    with suppress(ProcessLookupError):  # all of them have ended
        os.killpg(pid, signal.SIGKILL)
