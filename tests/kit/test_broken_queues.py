"""The kit was seen to fail: queues that each break one promise, and the tests that catch them."""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from typing_extensions import Self

from stoat_jobs import (
    AsyncioJobQueue,
    JobHandlers,
    JobObserver,
    JobQueueSettings,
    JobResult,
    JobStatus,
    QueueClosedError,
)
from stoat_jobs.testing import DeadlockError, JobQueueContract, JobQueueMachine


class DeafToCancels(AsyncioJobQueue):
    """Says that it cancels, and does not."""

    async def cancel(self, job_id: str) -> bool:
        return not (await self.get_status(job_id)).is_terminal


class AlwaysCancels(AsyncioJobQueue):
    """Says that it cancelled what had ended."""

    async def cancel(self, job_id: str) -> bool:
        await super().cancel(job_id)
        return True


class ChangesOptions(AsyncioJobQueue):
    """Base of those that lose an option of a submission."""

    changed: Mapping[str, Any] = {}

    async def submit(self, job_type: str, payload: Any = {}, **options: Any) -> str:
        return await super().submit(job_type, payload, **{**options, **self.changed})


class IgnoresKeys(ChangesOptions):
    changed = {"key": None}


class IgnoresTimeouts(ChangesOptions):
    changed = {"timeout": math.inf}


class LosesMetadata(ChangesOptions):
    changed = {"metadata": None}


class ChangesSettings(AsyncioJobQueue):
    """Base of those that do not keep to a setting."""

    changed: Mapping[str, Any] = {}

    def __init__(
        self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any] = ()
    ) -> None:
        super().__init__(handlers, settings.model_copy(update=dict(self.changed)), observers)


class Overbooks(ChangesSettings):
    changed = {"concurrency": 4}


class KeepsResultsForEver(ChangesSettings):
    changed = {"max_results": 1_000_000, "result_ttl": math.inf}


class NeverFull(ChangesSettings):
    changed = {"max_pending": 1_000_000}


class DrainsForEver(ChangesSettings):
    changed = {"drain_timeout": 100_000.0}


class NoGrace(ChangesSettings):
    changed = {"cancel_grace": 0.0}


class AcceptsAfterClose(AsyncioJobQueue):
    """Takes work that nobody will do."""

    async def submit(self, *args: Any, **options: Any) -> str:
        try:
            return await super().submit(*args, **options)
        except QueueClosedError:
            return str(uuid.uuid4())


class WaitsForSlots(AsyncioJobQueue):
    """Submits like a function call: it is back when the work is done."""

    async def submit(self, *args: Any, **options: Any) -> str:
        job_id = await super().submit(*args, **options)
        await self.wait(job_id)
        return job_id


class LeavesWaitersAtClose(AsyncioJobQueue):
    """Whoever waits when it closes, waits for ever."""

    async def wait(self, job_id: str, timeout: float | None = None) -> JobResult[Any]:
        waiting = not (await self.get_status(job_id)).is_terminal
        record = await super().wait(job_id, timeout)
        if waiting and not self.started:
            await asyncio.get_running_loop().create_future()
        return record


class OldestFirst(AsyncioJobQueue):
    """Lists its jobs the wrong way round."""

    async def list_jobs(self, **filters: Any) -> list[JobResult[Any]]:
        limit = filters.pop("limit", 100)
        return (await super().list_jobs(**filters, limit=1_000_000))[::-1][:limit]


class ListsNothing(AsyncioJobQueue):
    """Asked for a status that there is not, it finds no job."""

    async def list_jobs(self, **filters: Any) -> list[JobResult[Any]]:
        known = filters.get("status") in (None, *JobStatus)
        return await super().list_jobs(**filters) if known else []


class TakesAnyKey(AsyncioJobQueue):
    """Cuts a key to what it can hold, so that two may become one."""

    async def submit(self, job_type: str, payload: Any = {}, **options: Any) -> str:
        if key := options.get("key"):
            options["key"] = key.encode(errors="replace")[:1024].decode()
        return await super().submit(job_type, payload, **options)


class DiesWithItsTask(AsyncioJobQueue):
    """One task takes on all jobs, and nobody looks whether it is still there."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._wanted: asyncio.Queue[Any] = asyncio.Queue()
        self._taker = asyncio.create_task(self._take_on_jobs())
        return self

    async def _take_on_jobs(self) -> None:
        while True:
            answer, args, options = await self._wanted.get()
            answer.set_result(await super().submit(*args, **options))

    async def submit(self, *args: Any, **options: Any) -> str:
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._wanted.put_nowait((answer, args, options))
        return await answer


class StartsTwice(AsyncioJobQueue):
    """A second start is taken for a good one."""

    async def __aenter__(self) -> Self:
        return self if self.started else await super().__aenter__()


class CallsTimeoutsFailures(AsyncioJobQueue):
    """Cannot tell its own deadline from an error of the handler."""

    async def get_result(self, job_id: str) -> JobResult[Any]:
        record = await super().get_result(job_id)
        if record.status is JobStatus.TIMEOUT:
            return record.model_copy(update={"status": JobStatus.FAILED})
        return record

    async def get_status(self, job_id: str) -> JobStatus:
        return (await self.get_result(job_id)).status


class ForgetsObservers(AsyncioJobQueue):
    """Tells nobody."""

    def __init__(
        self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[JobObserver]
    ) -> None:
        super().__init__(handlers, settings)


CAUGHT = (AssertionError, DeadlockError, pytest.fail.Exception)

CATCHES: list[tuple[Any, ...]] = [
    (DeafToCancels, "test_a_cancelled_pending_job_never_starts__fault_9"),
    (DeafToCancels, "test_cancelling_an_async_handler_raises_in_it_at_once__fault_10"),
    (AlwaysCancels, "test_a_late_cancel_changes_nothing__fault_16"),
    (IgnoresKeys, "test_a_key_gives_the_job_that_is_pending_or_running"),
    (IgnoresTimeouts, "test_a_job_past_its_deadline_is_told_to_stop_and_ends_timeout"),
    (LosesMetadata, "test_metadata_is_kept_and_seen_by_the_handler"),
    (Overbooks, "test_a_retrying_job_keeps_its_slot_and_its_start"),
    (
        KeepsResultsForEver,
        "test_finished_records_go_after_result_ttl_counted_from_the_finish__fault_29",
    ),
    (
        KeepsResultsForEver,
        "test_at_most_max_results_are_kept_and_the_oldest_finish_goes__fault_29",
    ),
    (NeverFull, "test_a_full_queue_refuses_at_once__fault_30"),
    (DrainsForEver, "test_what_still_runs_after_the_drain_is_stopped__fault_19"),
    (NoGrace, "test_a_cooperative_handler_has_the_flag_first__fault_10"),
    (
        AcceptsAfterClose,
        "test_a_closed_queue_refuses_before_it_looks_at_anything_else__fault_21",
    ),
    (WaitsForSlots, "test_submit_never_waits_for_a_slot"),
    (LeavesWaitersAtClose, "test_every_waiter_and_watcher_is_woken_by_the_stop__fault_19"),
    (OldestFirst, "test_list_jobs_is_newest_first_and_limited"),
    (ListsNothing, "test_list_jobs_refuses_a_status_that_is_none"),
    (TakesAnyKey, "test_a_bad_key_is_refused", "k" * 1025),
    (DiesWithItsTask, "test_a_slot_outlives_its_tasks__fault_22", True),
    (StartsTwice, "test_entering_a_started_queue_is_an_error_and_hurts_nothing__fault_27"),
    (CallsTimeoutsFailures, "test_five_minutes_are_the_default"),
    (ForgetsObservers, "test_each_step_is_told_once_and_in_order"),
]

FOUND_BY_THE_MACHINE = [
    DeafToCancels,
    AlwaysCancels,
    IgnoresKeys,
    IgnoresTimeouts,
    Overbooks,
    KeepsResultsForEver,
    NeverFull,
    AcceptsAfterClose,
    LeavesWaitersAtClose,
    OldestFirst,
]


def contract_of(queue_class: type[AsyncioJobQueue]) -> JobQueueContract:
    class Contract(JobQueueContract):
        async def make_queue(
            self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any]
        ) -> AsyncioJobQueue:
            return queue_class(handlers, settings, observers)

    return Contract()


@pytest.mark.parametrize(
    ("queue_class", "test", "arguments"),
    [
        pytest.param(queue_class, test, arguments, id=f"{queue_class.__name__}-{test}")
        for queue_class, test, *arguments in CATCHES
    ],
)
def test_a_broken_queue_fails_the_test_of_its_promise(
    queue_class: type[AsyncioJobQueue], test: str, arguments: list[Any]
) -> None:
    """A promise that is broken fails the test that is named after it, which a sound queue passes."""
    getattr(contract_of(AsyncioJobQueue), test)(*arguments)
    with pytest.raises(CAUGHT):
        getattr(contract_of(queue_class), test)(*arguments)


@pytest.mark.parametrize("queue_class", FOUND_BY_THE_MACHINE)
def test_the_machine_finds_a_broken_queue(queue_class: type[AsyncioJobQueue]) -> None:
    """The machine disagrees with a queue that breaks a promise, without knowing which."""

    class Machine(JobQueueMachine):
        async def make_queue(
            self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any]
        ) -> AsyncioJobQueue:
            return queue_class(handlers, settings, observers)

    quick = settings(
        max_examples=200,
        stateful_step_count=30,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
    )
    with pytest.raises(CAUGHT):
        run_state_machine_as_test(Machine, settings=quick)
