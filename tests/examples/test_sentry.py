"""The page on Sentry: what it is sent of jobs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ..support.programs import run_python
from .conftest import EXAMPLES

PROGRAM = Path(__file__).parents[1] / "support/sentry_program.py"


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    """What was sent for each job, by its type."""
    run = run_python(PROGRAM, env={**os.environ, "PYTHONPATH": str(EXAMPLES)})
    jobs = map(json.loads, run.stdout.splitlines())
    return {job["job_type"]: job for job in jobs}


@pytest.mark.parametrize("job_type", ["fails", "fails_in_thread"])
def test_a_job_that_fails(seen: dict[str, Any], job_type: str) -> None:
    """A failed job is one error, with its exception, its id and its tags, whatever its attempts."""
    job = seen[job_type]
    [event] = job["events"]
    assert event["level"] == "error"
    assert event["exception"]["values"][-1]["type"] == "ValueError"
    assert event["extra"]["job_id"] == job["job_id"]
    assert event["tags"]["job_type"] == job_type
    assert event["tags"]["error_type"] == "ValueError"


def test_the_payload_stays(seen: dict[str, Any]) -> None:
    """No value of a payload leaves the process."""
    assert "hunter2" not in str(seen)


def test_a_further_attempt_is_a_breadcrumb(seen: dict[str, Any]) -> None:
    """What was tried before is on the event of the failure, as the warning that it was."""
    [event] = seen["fails"]["events"]
    crumbs = [crumb["message"] for crumb in event["breadcrumbs"]["values"]]
    assert [crumb.split()[0] for crumb in crumbs] == ["job_started"]


def test_a_job_that_runs_out_of_time(seen: dict[str, Any]) -> None:
    """The observer reports a time limit that has passed, as a warning with id and type."""
    [event] = seen["slow"]["events"]
    assert (event["level"], event["message"]) == ("warning", "a job ran out of time")
    assert event["tags"]["job_type"] == "slow"
    assert event["extra"]["job_id"] == seen["slow"]["job_id"]


def test_a_job_that_completes(seen: dict[str, Any]) -> None:
    """A job that goes well is not reported."""
    assert seen["fine"]["events"] == []
