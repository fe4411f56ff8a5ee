"""A submission is checked in one place, for every backend."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from stoat_jobs import (
    InvalidPayloadError,
    JobContext,
    JobHandlers,
    JobObserver,
    JobQueueSettings,
    JobType,
    QueueFullError,
    SubmittingEvent,
)
from stoat_jobs.backends import (
    Observers,
    checked_submission,
    checked_submissions,
    digest_of,
)

SETTINGS = JobQueueSettings(timeout=60, max_metadata_bytes=100, max_pending=3)


def job_type(**options: Any) -> JobType[..., Any]:
    handlers = JobHandlers()

    @handlers.job(**options)
    async def scan(ctx: JobContext, root: str, depth: int = 3) -> None: ...

    return scan


SCAN = job_type()
HERE: Mapping[str, Any] = {"root": "/srv"}


def test_what_is_not_given_is_the_job_types_or_the_settings() -> None:
    """Of the timeouts that of the submission goes first, then the job type's, then the settings'."""
    new = checked_submission(SCAN, SETTINGS, HERE)
    assert new.definition is SCAN
    assert new.payload.arguments == {"root": "/srv", "depth": 3}
    assert (new.key, new.delay, new.is_kept, new.digest) == (None, 0.0, False, "")
    assert dict(new.metadata) == {}
    own = job_type(timeout=5)
    given = [
        checked_submission(SCAN, SETTINGS, HERE),
        checked_submission(own, SETTINGS, HERE),
        checked_submission(own, SETTINGS, HERE, timeout=2),
    ]
    assert [each.timeout for each in given] == [60, 5, 2]


def test_what_is_given_is_checked_and_plain() -> None:
    """A delay is in seconds, metadata is read-only, a key has the digest of its payload."""
    new = checked_submission(
        SCAN,
        SETTINGS,
        HERE,
        key="k",
        metadata={"by": "ada"},
        delay=timedelta(minutes=1),
        unique="kept",
    )
    assert (new.key, new.delay, new.is_kept) == ("k", 60.0, True)
    with pytest.raises(TypeError):
        new.metadata["by"] = "eve"  # type: ignore[index]
    same = checked_submission(SCAN, SETTINGS, {"depth": 3, "root": "/srv"}, key="other")
    assert new.digest == same.digest == digest_of(new.payload)
    assert not same.is_kept


# Each is wrong in one thing more than the one before; the error is about the first.
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"delay": -1}, "delay"),
    ({"unique": "once"}, "unique"),
    ({"key": ""}, "key"),
    ({"metadata": "text"}, "metadata"),
    ({"timeout": 0}, "timeout"),
    ({"payload": {"depth": "deep"}}, "payload"),
]


@pytest.mark.parametrize("number", range(1, len(WRONG) + 1))
def test_the_first_thing_that_is_wrong_is_the_error(number: int) -> None:
    """The checks have an order: payload, timeout, metadata, key, unique, delay."""
    options: dict[str, Any] = {"payload": HERE}
    for wrong, _ in WRONG[:number]:
        options.update(wrong)
    with pytest.raises((ValueError, TypeError), match=WRONG[number - 1][1]):
        checked_submission(SCAN, SETTINGS, **options)


def test_what_a_resubmission_adds_has_room() -> None:
    """Metadata at the limit can be submitted again with the id of the first job."""
    full = {"a": "x" * 90}
    checked_submission(SCAN, SETTINGS, HERE, metadata=full)
    again = {**full, "resubmitted_from": "f" * 36}
    assert dict(checked_submission(SCAN, SETTINGS, HERE, metadata=again).metadata) == again
    with pytest.raises(ValueError, match="metadata"):
        checked_submission(SCAN, SETTINGS, HERE, metadata={**full, "other": "f" * 36})


async def test_many_share_their_options_and_have_their_own_payloads() -> None:
    """Each has its payload, and all of them the options."""
    payloads = [{"root": str(number)} for number in range(3)]
    options: dict[str, Any] = {"timeout": 2, "metadata": {"by": "ada"}, "delay": 1}
    several = await checked_submissions(SCAN, SETTINGS, iter(payloads), **options)
    assert [new.payload.arguments["root"] for new in several] == ["0", "1", "2"]
    shared = {(new.timeout, new.metadata["by"], new.delay, new.key) for new in several}
    assert shared == {(2, "ada", 1.0, None)}
    assert [new.timeout for new in await checked_submissions(SCAN, SETTINGS, payloads)] == [60] * 3


async def test_many_are_checked_before_their_options() -> None:
    """An error names the payload by its index; more than may ever wait are refused."""
    with pytest.raises(InvalidPayloadError) as caught:
        await checked_submissions(SCAN, SETTINGS, [HERE, {}], timeout=0)
    assert caught.value.errors[0]["loc"] == (1, "root")
    with pytest.raises(QueueFullError):
        await checked_submissions(SCAN, SETTINGS, [HERE] * 4)
    with pytest.raises(ValueError, match="timeout"):
        await checked_submissions(SCAN, SETTINGS, [HERE], timeout=0)


class Stamps(JobObserver):
    """Adds to the metadata, and spoils what it was shown."""

    def submitting(self, event: SubmittingEvent) -> dict[str, Any]:
        return {"seen": event.payload["root"], "by": "observer"}


async def test_observers_add_to_the_metadata_of_each() -> None:
    """What the submitter gave goes first, and others of one batch are not changed."""
    observers = Observers([Stamps()])
    several = await checked_submissions(SCAN, SETTINGS, [HERE, HERE], metadata={"by": "ada"})
    several[0].tell_submitting(observers, SETTINGS)
    assert [dict(new.metadata) for new in several] == [
        {"by": "ada", "seen": "/srv"},
        {"by": "ada"},
    ]
