"""The ledger that many processes keep can be read, and what is wrong in it is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ...support.fleet.ledger import Books, Entry, Ledger
from ...support.fleet.verdict import Verdict


def record(**changed: Any) -> dict[str, Any]:
    return {
        "job_id": "1",
        "job_type": "sleep",
        "status": "completed",
        "result": "run",
        "error_type": None,
        "key": None,
        "cancel_requested": False,
        "submitted_at": "2026-01-01",
        "finished_at": "2026-01-02",
        **changed,
    }


def event(what: str, **facts: Any) -> Entry:
    return {"at": 1.0, "pid": 1, "what": what, "job": "1", **facts}


SOUND = [
    event("submitting", number=1),
    event("acknowledged", type="sleep", key=None),
    event("waiting", wait="w"),
    event("start", run="run", attempt=0),
    event("end", run="run"),
    event("finished", record=record()),
    event("told", wait="w", record=record()),
]


def faults(*more: Entry, without: str = "", stored: Any = None) -> list[str]:
    """What is found if these events were noted besides, or one was not."""
    entries = [*(entry for entry in SOUND if entry["what"] != without), *more]
    return list(Verdict(entries, stored or {"1": record()}, calm=True).faults.counts)


def test_a_sound_ledger_has_no_faults() -> None:
    """What went well is not blamed."""
    assert faults() == []


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        (
            lambda: faults(event("submitting", number=1), event("acknowledged", job="2")),
            "an acknowledged job is lost",
        ),
        (lambda: faults(without="told"), "a waiter was not told"),
        (lambda: faults(without="submitting"), "jobs that nobody submitted"),
        (
            lambda: faults(event("start", run="run", attempt=1, at=2.0)),
            "a job was started after its end",
        ),
        (lambda: faults(without="end"), "a result that no run gave"),
        (lambda: faults(event("start", run="b", attempt=0)), "a job ran twice"),
        (lambda: faults(event("cancel", answer=True)), "a cancel was promised and not kept"),
        (lambda: faults(event("deleted", answer=True)), "a deleted record is there"),
        (lambda: faults(event("fault", act="wait")), "a fault of wait"),
        (lambda: faults(event("log", event="x", traceback="y")), "a traceback in the log"),
        (
            lambda: faults(event("finished", record=record())),
            "observers were told of two ends",
        ),
        (
            lambda: faults(event("saw", record=record(status="failed"))),
            "a terminal record changed",
        ),
    ],
)
def test_what_is_wrong_is_found(found: Any, fault: str) -> None:
    """Each kind of fault is seen, and no other for it."""
    assert found() == [fault]


def test_who_was_killed_or_stopped_is_excused() -> None:
    """A waiter that was killed need not be told, and one that was stopped starts jobs late."""
    assert faults(event("killed", member=1), without="told") == []
    late = event("start", run="run", attempt=1, at=2.0)
    assert faults(event("frozen", member=1), late) == []


def test_a_job_that_has_not_ended_is_found() -> None:
    """A record that is not terminal when all is quiet is a job that is lost."""
    assert "a job has not ended" in faults(stored={"1": record(status="running")})


@pytest.mark.parametrize("status", ["failed", "cancelled", "timeout"])
def test_a_job_that_ended_badly_without_a_reason_is_found(status: str) -> None:
    """In a calm round a worker is never lost, and only who was cancelled is."""
    found = [entry for entry in SOUND if entry["what"] not in ("told", "finished", "waiting")]
    bad = record(status=status, error_type="WorkerLost")
    fault = "a job that was not disturbed has not completed"
    assert list(Verdict(found, {"1": bad}, calm=True).faults.counts) == [fault]
    assert not Verdict(found, {"1": bad}).faults.counts
    bad["cancel_requested"] = True
    assert not Verdict(found, {"1": bad}, calm=True).faults.counts


def test_two_jobs_that_held_a_key_are_found() -> None:
    """A key is free when its job has ended or was told to stop, and not before."""
    one = record(key="k", submitted_at="2026-01-01", finished_at="2026-01-03")
    two = record(key="k", submitted_at="2026-01-02", finished_at="2026-01-04", job_id="2")
    known = event("acknowledged", job="2")
    ended = [event("end", job="2", run="run"), event("submitting", number=1)]
    same = dict.fromkeys(("told", "finished"))
    entries = [entry for entry in SOUND if entry["what"] not in same and entry["what"] != "waiting"]
    entries += [known, *ended]
    assert list(Verdict(entries, {"1": one, "2": two}).faults.counts) == ["two jobs held a key"]
    one["cancel_requested"] = True
    assert list(Verdict(entries, {"1": one, "2": two}).faults.counts) == []


def test_lines_are_read_as_they_are_written(tmp_path: Path) -> None:
    """Events of many writers are read in their order, each once, and never half a line."""
    books = Books(tmp_path / "ledger")
    one, other = Ledger(tmp_path / "ledger"), Ledger(tmp_path / "ledger")
    one.note("start", job="1")
    other.note("start", job="2")
    with (tmp_path / "ledger").open("ab") as file:
        file.write(b'{"what": "st')
    assert [entry["job"] for entry in books.entries("start")] == ["1", "2"]
    with (tmp_path / "ledger").open("ab") as file:
        file.write(b'art", "job": "3"}\n')
    assert [entry["job"] for entry in books.entries("start")] == ["1", "2", "3"]
    assert [entry["job"] for entry in books.entries("start", job="2")] == ["2"]


def test_a_cancel_whose_answer_was_lost_may_be_told_twice() -> None:
    """But not three times, and no other end twice."""
    cancelled = event("finished", job="2", record=record(job_id="2", status="cancelled"))
    told_of_two = "observers were told of two ends"
    assert told_of_two not in faults(cancelled, cancelled)
    assert told_of_two in faults(cancelled, cancelled, cancelled)
    assert told_of_two in faults(cancelled, cancelled, event("start", job="2", run="x", attempt=0))
