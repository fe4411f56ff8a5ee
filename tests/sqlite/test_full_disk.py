"""A queue whose disk is full waits for space, and says so; nothing else happens to it.

The disk is a small one in memory, which only root can make.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
from collections.abc import Coroutine, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from stoat_jobs import JobContext, JobHandlers, JobNotKeptError, JobQueueSettings, JobStatus
from stoat_jobs.sqlite import SqliteJobQueue

from ..support import SAFETY_NET
from ..support.loops import ON_UVLOOP
from ..support.turns import Run

SIZE = "1m"


class SmallDisk:
    """A disk that can be filled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filling = folder / "filling"

    def fill(self) -> None:
        """Leave not a byte."""
        with self._filling.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                return

    def free(self) -> None:
        self._filling.unlink()


@pytest.fixture(params=["asyncio", pytest.param("uvloop", marks=ON_UVLOOP)])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine on one kind of loop, in real time."""
    return partial(run_on, import_module(request.param).new_event_loop)


def run_on(make_loop: Any, main: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(main)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root can make a small disk")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(tmp_path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("this system lets nobody make a small disk")
    yield SmallDisk(tmp_path)
    subprocess.run(["umount", tmp_path], check=True)


class Held:
    """A handler that begins and ends when it is told to."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()

    async def __call__(self, ctx: JobContext, text: str = "") -> str:
        self.began.set()
        await self.may_end.wait()
        return "done"


def new_queue(disk: SmallDisk, held: Held) -> SqliteJobQueue:
    handlers = JobHandlers()
    handlers.register("held", held)
    settings = JobQueueSettings(backend="sqlite", url=str(disk.folder / "jobs.db"), concurrency=1)
    return SqliteJobQueue(handlers, settings)


async def submit_until_refused(queue: SqliteJobQueue) -> tuple[list[str], str]:
    """The ids of the jobs that are kept all the same, and why no more are."""
    accepted: list[str] = []
    while True:
        try:
            accepted.append(await queue.submit("held", {"text": "x" * 2_000}))
        except JobNotKeptError as error:
            return accepted, str(error)


def heard(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each for each in caplog.messages if each.startswith("store_")]


def test_a_full_disk_is_waited_for(
    disk: SmallDisk, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """Submits are refused, a finish is kept and told later, and all goes on with the space."""
    caplog.set_level(logging.INFO, "stoat_jobs")
    run(_fill_and_free(disk, caplog))


async def _fill_and_free(disk: SmallDisk, caplog: pytest.LogCaptureFixture) -> None:
    held = Held()
    async with asyncio.timeout(SAFETY_NET):
        async with new_queue(disk, held) as queue:
            first = await queue.submit("held", {})
            await held.began.wait()
            disk.fill()
            accepted, reason = await submit_until_refused(queue)
            assert "disk is full" in reason
            held.may_end.set()
            waiting = asyncio.ensure_future(queue.wait(first))
            for _ in range(3):  # the first may be refused before the end is tried
                assert (await submit_until_refused(queue))[0] == []
            assert await queue.get_status(first) is JobStatus.RUNNING
            assert not waiting.done()
            assert heard(caplog) == ["store_failed"]
            disk.free()
            assert (await waiting).result == "done"
            accepted.append(await queue.submit("held", {}))
            ended = [await queue.wait(job_id) for job_id in accepted]
            assert {record.status for record in ended} == {JobStatus.COMPLETED}
            assert heard(caplog) == ["store_failed", "store_recovered"]
        await _look_again(disk, [first, *accepted])


async def _look_again(disk: SmallDisk, expected: list[str]) -> None:
    """After a restart exactly these jobs are there."""
    async with new_queue(disk, Held()) as queue:
        page = await queue.list_jobs(status=JobStatus.COMPLETED)
        assert [job.job_id for job in reversed(page)] == expected
        assert len(await queue.list_jobs()) == len(expected)
