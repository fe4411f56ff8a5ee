"""What a real process leaves behind if it is killed before it can shut down."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from stoat_jobs import (
    BackendError,
    JobBackend,
    JobContext,
    JobHandlers,
    JobQueueSettings,
    JobStatus,
    create_queue,
)

Launch = Callable[[str], "subprocess.Popen[str]"]

SAFETY_NET = 60.0


def new_queue(url: str, handlers: JobHandlers | None = None) -> JobBackend:
    return create_queue(handlers, JobQueueSettings(backend="lmdb", url=url))


def ids_until_killed(process: subprocess.Popen[str], lines: int) -> list[str]:
    """Kill *process* after so many *lines*; return all the ids that it printed."""
    assert process.stdout is not None
    told = list(islice(process.stdout, lines))
    process.kill()  # SIGKILL, as `kill -9` sends
    return "".join([*told, process.stdout.read()]).split()


async def test_jobs_survive_kill_9(url: str, launch: Launch) -> None:
    """Running and waiting jobs run after a restart, in order; finished ones are readable."""
    finished, *held = ids_until_killed(launch("be_held"), 1)
    order: list[int] = []
    handlers = JobHandlers()

    @handlers.job
    def hold(ctx: JobContext, n: int) -> str:
        order.append(n)
        return f"{n} at last"

    async with new_queue(url, handlers) as queue:
        assert (await queue.get_result(finished)).result == 42
        records = [await queue.wait(job_id, SAFETY_NET) for job_id in held]
    assert [record.status for record in records] == [JobStatus.COMPLETED] * 3
    assert [record.result for record in records] == ["0 at last", "1 at last", "2 at last"]
    assert order == [0, 1, 2]
    async with new_queue(url, handlers) as queue:
        assert [await queue.get_result(job_id) for job_id in held] == records


async def test_an_accepted_job_survives_kill_9(url: str, launch: Launch) -> None:
    """A job whose ``submit`` returned before the kill is kept, at whatever time the kill comes."""
    handlers = JobHandlers()

    @handlers.job
    def double(ctx: JobContext, n: int) -> int:
        return 2 * n

    accepted: list[str] = []
    for _ in range(3):
        accepted += ids_until_killed(launch("flood"), 100)
    async with new_queue(url, handlers) as queue:
        records = [await queue.wait(job_id, SAFETY_NET) for job_id in accepted]
    assert {record.status for record in records} == {JobStatus.COMPLETED}
    assert len(records) >= 300


@pytest.mark.parametrize("link", [False, True])
async def test_a_second_process_is_refused(url: str, launch: Launch, link: bool) -> None:
    """A second process would run every job again: it fails to start, and names the file."""
    ours = Path(url).with_name("link") if link else Path(url)
    if link:
        ours.symlink_to(url)
    for _ in range(2):  # a new file, then an existing one
        async with new_queue(str(ours)):
            with pytest.raises(BackendError, match="another queue has it open"):
                await new_queue(url).__aenter__()  # which does not release the lock of the first
            words, _ = launch("flood").communicate()
        assert words.startswith(f"backend 'lmdb' cannot start: {url}: another queue has it open")


async def test_a_file_in_use_is_refused_until_its_process_is_killed(
    url: str, launch: Launch
) -> None:
    """The lock is released with the process that holds it, even if that is killed."""
    process = launch("be_held")
    assert process.stdout is not None
    process.stdout.readline()
    for _ in range(2):
        with pytest.raises(BackendError, match=r"jobs\.lmdb: another queue has it open"):
            await new_queue(url).__aenter__()
    process.kill()
    process.wait()
    async with new_queue(url) as queue:
        assert (await queue.stats()).by_status[JobStatus.COMPLETED] == 1
