"""The short form of the soak, and that it can fail: ``nox -s soak`` is the long one."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from stoat_jobs import AsyncioJobQueue

from ..support.broken import shelf
from ..support.broken.shelf_soak import EvictsLive, HoardsRuns, LeavesTasks, WakesOne
from ..support.soak.__main__ import main
from ..support.soak.lives import RUNNERS
from ..support.soak.memory import FEWEST, Sample, trends
from ..support.soak.soaking import Plan, soak

SHORT = 1000

SLOW = 319
"""A seed whose first life is one of slow jobs, six clients and a quiet end."""


@pytest.mark.parametrize("loop", RUNNERS)
@pytest.mark.parametrize("seed", [1, 2])
def test_what_is_accepted_ends_once_and_leaves_nothing__fault_17(seed: int, loop: str) -> None:
    """Whatever handlers and submitters do, every job ends once, and nothing of it stays."""
    run = soak(Plan(SHORT, seed, loop=loop))
    assert run.faults.lines() == []
    counts = run.ledger.counts
    assert counts["terminal"] == counts["accepted"] >= SHORT
    assert run.ledger.live == {}
    assert run.log["worker_stopped"] == run.lives.number > 1
    for happened in ("waits", "watches", "walked away", "cancels", "abandoned"):
        assert counts[happened] > 0, happened


@pytest.mark.parametrize(
    ("queue_type", "fault"),
    [
        (shelf.Overbooks, "more jobs at once than slots"),
        (shelf.LeaksSlots, "stalled: jobs are left, and none ends"),
        (shelf.StartsLastFirst, "a job started before an older one"),
        (EvictsLive, "a record was kept beyond its time"),
        (shelf.KeepsResultsForEver, "a record was kept beyond its time"),
        (WakesOne, "readers who were never woken"),
        (HoardsRuns, "objects of jobs that are long over"),
        (LeavesTasks, "tasks of the queue that stay"),
    ],
)
def test_the_soak_catches(queue_type: Callable[..., AsyncioJobQueue], fault: str) -> None:
    """A queue that loses something does not pass, and the ledger says what it was."""
    run = soak(Plan(400, SLOW, patience=0.5), queue_type)
    assert fault in run.faults.counts
    assert not run.good


def test_threads_that_were_there_before_are_not_the_queues() -> None:
    """A test that failed before, and left a thread behind, fails no other."""
    over = threading.Event()
    left = threading.Thread(target=over.wait, name="stoat-jobs of another test")
    left.start()
    try:
        assert soak(Plan(1, 7, patience=0.5)).faults.lines() == []
    finally:
        over.set()
        left.join()


def test_a_good_run_can_be_replayed_and_exits_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    """The seed comes first, so that a run that crashes can be replayed too."""
    assert main(["--jobs", str(SHORT), "--seed", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("seed 3,")
    assert lines[1] == f"replay with: nox -s soak -- --jobs {SHORT} --seed 3 --loop asyncio"
    assert "Left at the end: 0 tasks, 0 threads" in lines
    assert lines[-1] == "GOOD"


def test_a_fault_is_named_and_exits_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    """A run that finds a fault says so at its end."""
    assert main(["--jobs", "1", "--seed", "7"], shelf.AcceptsAfterClose) == 1
    assert "FAULT a closed queue took a job" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("objects", "resident", "flat"),
    [
        (0, 0, [True, True]),
        (1, 0, [False, True]),
        (0, 1000, [True, False]),
        (-1, -1000, [True, True]),
    ],
)
def test_a_line_that_rises_is_not_flat(objects: int, resident: int, flat: list[bool]) -> None:
    """One object, or a kilobyte, for each job is seen by the slope; less than nothing is flat."""
    jobs = [25_000 * number for number in range(FEWEST)]
    samples = [Sample(n, 50_000 + objects * n, (1 << 30) + resident * n, {}) for n in jobs]
    assert [trend.flat for trend in trends(samples)] == flat


def test_few_samples_are_not_judged() -> None:
    """A short run says nothing about the course of memory."""
    assert trends([Sample(n, n, n, {}) for n in range(FEWEST - 1)]) == []
