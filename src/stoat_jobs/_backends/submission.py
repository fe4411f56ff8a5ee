"""What a submission asks for, checked: the same checks, in the same order, on every backend.

A backend first looks whether it is open and finds the job type. Here the payload is checked, then
the options. What follows is the backend's: which job holds the key, whether there is room, and
then what observers add to the metadata.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from .._events.observers import Observers
from .._jobs.job_types import JobType
from .._jobs.protocols import Unique
from .._model.events import SubmittingEvent
from .._model.metadata import NO_METADATA, ORIGIN, ORIGIN_BYTES, checked_metadata
from .._model.options import checked_delay, checked_key, is_kept
from .._model.settings import JobQueueSettings, check_timeout
from .._payload.digest import digest_of
from .._payload.frozen import FrozenPayload
from .payloads import frozen_payloads


class Submission:
    """A job as it was submitted, checked and not yet accepted.

    Attributes:
        definition: its job type.
        payload: its arguments, and their JSON.
        timeout: seconds; that of the submission, the job type or the settings, in this order.
        key: None if it has none.
        metadata: read-only; that of the submitter, until :meth:`tell_submitting`.
        delay: seconds, 0.0 for none.
        is_kept: it holds its key as long as its record is kept.
    """

    # Set one by one where they are checked: with a constructor, every job would take longer.
    definition: JobType[..., Any]
    payload: FrozenPayload
    timeout: float
    key: str | None = None
    metadata: Mapping[str, Any] = NO_METADATA
    delay: float = 0.0
    is_kept: bool = False

    @property
    def digest(self) -> str:
        """Of the payload if there is a key, else empty; made by :func:`digest_of` at each reading.

        Keep it beside the key. A submission with ``unique="kept"`` compares payloads by it, also
        with that of a job that was submitted without.
        """
        return "" if self.key is None else digest_of(self.payload)

    def tell_submitting(self, observers: Observers, settings: JobQueueSettings) -> None:
        """Let *observers* add to the metadata; for a new job, when nothing can refuse it."""
        if observers.wants["submitting"]():
            form = self.definition.form
            # A copy: what an observer does to it must not reach the handler.
            seen = MappingProxyType(form.thaw(self.payload.text))
            event = SubmittingEvent(self.definition.name, seen, self.metadata)
            self.metadata = observers.submitting(event, settings.max_metadata_bytes)


def checked_submission(
    definition: JobType[..., Any],
    settings: JobQueueSettings,
    payload: Mapping[str, Any],
    *,
    timeout: float | None = None,
    key: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    delay: float | timedelta | None = None,
    unique: Unique = "live",
) -> Submission:
    """What :meth:`stoat_jobs.JobBackend.submit` was given, once it has found the job type.

    Raises what that raises for a payload and for options.
    """
    new = Submission()
    new.definition = definition
    new.payload = definition.form.freeze(payload, settings)
    if timeout is not None:
        new.timeout = check_timeout(timeout)
    else:
        new.timeout = settings.timeout if definition.timeout is None else definition.timeout
    if metadata is not None:
        new.metadata = _checked_metadata(metadata, settings)
    if key is not None or delay is not None or unique != "live":
        new.key = checked_key(key)
        new.is_kept = is_kept(unique, new.key)
        new.delay = 0.0 if delay is None else checked_delay(delay)
    return new


async def checked_submissions(
    definition: JobType[..., Any],
    settings: JobQueueSettings,
    payloads: Iterable[Mapping[str, Any]],
    *,
    timeout: float | None = None,
    metadata: Mapping[str, Any] | None = None,
    delay: float | timedelta | None = None,
) -> list[Submission]:
    """As :func:`checked_submission`, for :meth:`stoat_jobs.JobBackend.submit_many`.

    It gives up turns of the event loop, so look once more afterwards whether the queue is open.
    """
    frozen = await frozen_payloads(definition, payloads, settings)
    pattern = Submission()
    pattern.definition = definition
    limit = definition.timeout if timeout is None else check_timeout(timeout)
    pattern.timeout = settings.timeout if limit is None else limit
    pattern.delay = 0.0 if delay is None else checked_delay(delay)
    if metadata is not None:
        pattern.metadata = _checked_metadata(metadata, settings)
    submissions = [copy(pattern) for _ in frozen]
    for new, payload in zip(submissions, frozen):
        new.payload = payload
    return submissions


def _checked_metadata(metadata: Mapping[str, Any], settings: JobQueueSettings) -> Mapping[str, Any]:
    # What a resubmission adds always has room, or a job at the limit could not be repeated.
    room = ORIGIN_BYTES if type(metadata) is dict and ORIGIN in metadata else 0
    return checked_metadata(metadata, settings.max_metadata_bytes + room)
