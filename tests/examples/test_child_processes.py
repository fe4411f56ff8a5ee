"""The page on child processes: nothing of them is left when the job has ended."""

from __future__ import annotations

import asyncio
import os
import select
import sys
from pathlib import Path

import pytest

from how_to import child_processes
from stoat_jobs import AsyncioJobQueue, JobQueueSettings, JobRef
from stoat_jobs.testing import FakeClockLoop, run_with_fake_clock

from ..support import SAFETY_NET

QUICK = JobQueueSettings(drain_timeout=0, cancel_grace=SAFETY_NET)

# Takes a FIFO as its source. Both the program and the one that it has started keep it open.
STAYS = ["sh", "-c", 'exec 3>"$0"; echo out_time=7; sleep 1000 & echo up >&3; wait']
ENDS = [sys.executable, "-c", "import sys; print('out_time=1'); sys.exit(int(sys.argv[1]))"]

# Closes its file when it is asked to stop; DEAF is not to be asked.
CLOSES = [
    "sh",
    "-c",
    """trap 'echo closed > "$1"; kill $!; exit 1' TERM
    exec 3>"$0"; sleep 1000 >&3 & echo up >&3; wait""",
]
DEAF = ["sh", "-c", """trap '' TERM; exec 3>"$0"; echo up >&3; while :; do sleep 1000; done"""]

BOTH = pytest.mark.parametrize("job_type", ["convert", "convert_in_thread"])
ALL = pytest.mark.parametrize("job_type", ["convert", "record", "convert_in_thread"])


class Pipe:
    """A FIFO, from which one reads until nobody is left who could write to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self.end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    async def until_up(self) -> None:
        assert await asyncio.to_thread(self._next) == b"up\n"

    async def until_all_are_gone(self) -> None:
        """Waits for the end of the file: no process has it open any more."""
        assert await asyncio.to_thread(self._next) == b""
        os.close(self.end)

    def _next(self) -> bytes:
        poll = select.poll()
        poll.register(self.end, select.POLLIN)
        assert poll.poll(SAFETY_NET * 1000), "nobody has written, and nobody has gone"
        return os.read(self.end, 100)


@pytest.fixture
def pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipe:
    monkeypatch.setattr(child_processes, "CONVERT", STAYS)
    return Pipe(tmp_path / "pipe")


async def start(queue: AsyncioJobQueue, job_type: str, source: str, **options: float) -> JobRef:
    started = child_processes.handlers.get(job_type).options(**options)  # type: ignore[arg-type]
    return await started.submit(queue, source=source, target="none")


@BOTH
async def test_a_cancel_ends_all_of_it(pipe: Pipe, job_type: str) -> None:
    """A cancelled job leaves neither the program nor one that the program has started."""
    async with AsyncioJobQueue(child_processes.handlers, QUICK) as queue:
        ref = await start(queue, job_type, str(pipe.path))
        await pipe.until_up()
        await ref.cancel()
        assert (await ref.wait()).status == "cancelled"
        await pipe.until_all_are_gone()
        assert (await queue.stats()).abandoned == 0


@BOTH
async def test_the_stop_of_the_server_ends_all_of_it(pipe: Pipe, job_type: str) -> None:
    """The shutdown of the queue ends the program and what it has started."""
    async with AsyncioJobQueue(child_processes.handlers, QUICK) as queue:
        ref = await start(queue, job_type, str(pipe.path))
        await pipe.until_up()
    assert (await ref.get_result()).error_type == "Shutdown"
    await pipe.until_all_are_gone()


@BOTH
def test_a_time_limit_ends_all_of_it(pipe: Pipe, job_type: str) -> None:
    """A job whose time is up leaves neither the program nor one that the program has started."""
    run_with_fake_clock(until_its_time_is_up(pipe, job_type))


async def until_its_time_is_up(pipe: Pipe, job_type: str) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, FakeClockLoop)
    async with AsyncioJobQueue(child_processes.handlers, QUICK) as queue:
        ref = await start(queue, job_type, str(pipe.path), timeout=60.0)
        await pipe.until_up()
        await loop.advance(60)
        assert (await ref.wait()).status == "timeout"
        await pipe.until_all_are_gone()


async def test_a_program_that_closes_its_file(
    pipe: Pipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recording that is cancelled ends when the program has written what it has."""
    monkeypatch.setattr(child_processes, "CONVERT", CLOSES)
    target = tmp_path / "target"
    async with AsyncioJobQueue(child_processes.handlers, QUICK) as queue:
        ref = await child_processes.record.submit(queue, source=str(pipe.path), target=str(target))
        await pipe.until_up()
        await ref.cancel()
        assert (await ref.wait()).status == "cancelled"
        assert target.read_text() == "closed\n"
        await pipe.until_all_are_gone()


@pytest.mark.parametrize("how", ["cancel", "timeout"])
def test_a_program_that_does_not_close_its_file(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """A recorder that ignores SIGTERM is killed ten seconds later, with all of its children."""
    monkeypatch.setattr(child_processes, "CONVERT", DEAF)
    run_with_fake_clock(until_it_is_killed(pipe, how))


async def until_it_is_killed(pipe: Pipe, how: str) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, FakeClockLoop)
    async with AsyncioJobQueue(child_processes.handlers, QUICK) as queue:
        ref = await start(queue, "record", str(pipe.path), timeout=60.0)
        await pipe.until_up()
        await (loop.advance(60) if how == "timeout" else ref.cancel())
        await loop.advance(9)
        assert await ref.get_status() == "running"
        await loop.advance(1)
        assert (await ref.wait()).status == ("timeout" if how == "timeout" else "cancelled")
        await pipe.until_all_are_gone()


@ALL
@pytest.mark.parametrize(("code", "status"), [("0", "completed"), ("3", "failed")])
async def test_a_program_that_ends(
    monkeypatch: pytest.MonkeyPatch, job_type: str, code: str, status: str
) -> None:
    """The job completes with the program, and fails with its exit code in the error."""
    monkeypatch.setattr(child_processes, "CONVERT", ENDS)
    async with AsyncioJobQueue(child_processes.handlers, QUICK) as queue:
        record = await (await start(queue, job_type, code)).wait()
    assert record.status == status
    assert record.error is None or record.error.endswith("er ended with 3")
    assert record.message == (None if job_type == "convert_in_thread" else "at 1")


@ALL
async def test_a_program_that_is_missing(monkeypatch: pytest.MonkeyPatch, job_type: str) -> None:
    """A program that is not installed fails the job, by its name."""
    monkeypatch.setattr(child_processes, "CONVERT", ["no-such-converter"])
    async with AsyncioJobQueue(child_processes.handlers, QUICK) as queue:
        record = await (await start(queue, job_type, "a")).wait()
    assert record.error_type == "FileNotFoundError"
    assert "no-such-converter" in str(record.error)
