"""The laws of the status table."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stoat_jobs import InvalidTransitionError, JobResult, JobStatus
from stoat_jobs.backends import TRANSITIONS, checked_status, transition

# As the design page draws it.
TABLE = {
    "pending": {"running", "cancelled"},
    "running": {"completed", "failed", "timeout", "cancelled", "pending"},
    "completed": set[str](),
    "failed": set[str](),
    "timeout": set[str](),
    "cancelled": set[str](),
}
LEGAL = [(a, b) for a, targets in TABLE.items() for b in targets]
STATUSES = st.sampled_from(JobStatus)


@dataclass
class Record:
    job_id: str
    status: JobStatus


def test_table_is_the_designs() -> None:
    """The table lists the changes that the design lists, and no others."""
    assert {a.value: {b.value for b in exits} for a, exits in TRANSITIONS.items()} == TABLE


@settings(deadline=None)
@given(STATUSES)
def test_terminal_means_no_exits(status: JobStatus) -> None:
    """A status is terminal exactly if nothing can follow it."""
    assert status.is_terminal == (TABLE[status.value] == set())


@settings(deadline=None)
@given(STATUSES, STATUSES)
def test_only_listed_changes_are_made(before: JobStatus, after: JobStatus) -> None:
    """A listed change is made; any other raises and leaves the record as it was."""
    record = Record("the-id", before)
    if (before.value, after.value) in LEGAL:
        transition(record, after)
        assert record == Record("the-id", after)
        return
    with pytest.raises(InvalidTransitionError) as caught:
        transition(record, after)
    assert record == Record("the-id", before)
    error = caught.value
    assert (error.job_id, error.current, error.wanted) == ("the-id", before, after)


@settings(deadline=None)
@given(STATUSES, st.lists(STATUSES))
def test_no_walk_leaves_a_terminal_status(start: JobStatus, walk: list[JobStatus]) -> None:
    """Whatever is tried on a record, the first terminal status it reaches is its last."""
    record = Record("the-id", start)
    seen = [start]
    for wanted in walk:
        try:
            transition(record, wanted)
        except InvalidTransitionError:
            continue
        seen.append(record.status)
    assert not any(status.is_terminal for status in seen[:-1])


@settings(deadline=None)
@given(STATUSES)
def test_every_job_can_end(status: JobStatus) -> None:
    """From every status a terminal one can be reached, so no job is stuck by the table."""
    reached = {status}
    while more := {after for before in reached for after in TRANSITIONS[before]} - reached:
        reached |= more
    assert any(each.is_terminal for each in reached)


@pytest.mark.parametrize("status", JobStatus)
def test_status_reads_as_its_text(status: JobStatus) -> None:
    """str, format, JSON, comparison and hash of a status are those of its text, on every Python."""
    text = status.name.lower()
    assert (str(status), f"{status}", f"{status:>9}", f"{status}") == (
        text,
        text,
        text.rjust(9),
        text,
    )
    assert json.dumps([status, {status: status}]) == f'["{text}", {{"{text}": "{text}"}}]'
    assert status == text
    assert {status: 1}[text] == 1  # type: ignore[index]


@pytest.mark.parametrize("status", JobStatus)
def test_status_stays_itself(status: JobStatus) -> None:
    """A status comes back from its text, from copy and from pickle as the same object."""
    assert JobStatus(status.value) is status
    assert copy.deepcopy(status) is status
    assert pickle.loads(pickle.dumps(status)) is status


def test_unknown_status_is_refused() -> None:
    """Text that is no status is refused by name."""
    with pytest.raises(ValueError, match="'done' is not a valid JobStatus"):
        JobStatus("done")


def test_status_in_the_schema_of_a_record() -> None:
    """An API that serves records documents the six statuses by their text."""
    definition = JobResult.model_json_schema()["$defs"]["JobStatus"]
    assert definition["enum"] == list(TABLE)


@pytest.mark.parametrize("status", ["running", JobStatus.RUNNING], ids=["text", "status"])
def test_a_status_is_looked_for_by_its_text_too(status: JobStatus) -> None:
    """Who has read a status from a query string need not translate it."""
    assert checked_status(status) is JobStatus.RUNNING


def test_a_status_that_is_none_is_refused_without_looking_into_it() -> None:
    """What is no text at all is not shown: to show it may take all memory."""
    deep: Any = []
    for _ in range(60):
        deep = [deep, deep]
    with pytest.raises(ValueError, match="^no status <list>; there are pending, running, comp"):
        checked_status(deep)
