"""The kit was seen to fail: queues that share what they should not, or not what they should."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest

from stoat_jobs import (
    JobHandlers,
    JobNotFoundError,
    JobQueueSettings,
    KeyConflictError,
    PayloadNotKeptError,
)
from stoat_jobs.testing import DeadlockError, JobQueueContract

from ..support.broken.forgetful import ForgetfulJobQueue, KeepsTheFirst
from ..support.broken.shared import (
    CancelsAllItsOwnAlone,
    CancelsItsOwnAlone,
    CancelsWhatItTook,
    DelaysForItselfAlone,
    DeletesItsOwnAlone,
    DeletesWhatRunsElsewhere,
    EndsForAll,
    HasCursorsOfItsOwn,
    HasDelaysOfItsOwn,
    HasKeysOfItsOwn,
    HearsItsOwnAlone,
    KeepsKeysForItselfAlone,
    KnowsItsOwnAlone,
    LimitsTypesForAll,
    ListsItsOwnAlone,
    NeverHelps,
    ResubmitsItsOwnAlone,
    RunsForAll,
    TakesAStoreInUse,
    TellsAllOfRemovals,
    UpdatesInSilence,
)
from ..support.shared_engine import Engine
from ..support.shared_queue import SharedJobQueue
from ..support.stores import TextJobQueue, TextStore

CAUGHT = (
    *(AssertionError, DeadlockError, pytest.fail.Exception),
    *(JobNotFoundError, PayloadNotKeptError),
)

CATCHES: list[tuple[Any, str]] = [
    (KnowsItsOwnAlone, "test_what_one_queue_accepts_every_queue_knows__fault_42"),
    (HearsItsOwnAlone, "test_the_end_of_a_job_is_told_in_every_queue__fault_39"),
    (CancelsItsOwnAlone, "test_a_cancel_reaches_a_job_that_another_queue_runs__fault_10"),
    (CancelsWhatItTook, "test_a_waiting_job_is_cancelled_from_any_queue__fault_9"),
    (HasKeysOfItsOwn, "test_a_key_holds_in_every_queue"),
    (RunsForAll, "test_each_job_runs_in_one_queue_alone__fault_44"),
    (NeverHelps, "test_a_free_slot_anywhere_takes_what_waits"),
    (EndsForAll, "test_a_queue_that_stops_leaves_the_jobs_of_the_others_alone__fault_19"),
    (ListsItsOwnAlone, "test_pages_lead_through_the_jobs_of_all_queues"),
    (HasCursorsOfItsOwn, "test_pages_lead_through_the_jobs_of_all_queues"),
    (DeletesItsOwnAlone, "test_a_record_is_deleted_from_any_queue"),
    (DeletesWhatRunsElsewhere, "test_a_record_is_deleted_from_any_queue"),
    (ResubmitsItsOwnAlone, "test_a_finished_job_is_resubmitted_from_any_queue"),
    (CancelsAllItsOwnAlone, "test_cancel_all_reaches_the_jobs_of_every_queue"),
    (DelaysForItselfAlone, "test_a_delayed_job_runs_in_another_queue_when_it_is_due"),
    (HasDelaysOfItsOwn, "test_a_delayed_job_runs_in_another_queue_when_it_is_due"),
    (HasKeysOfItsOwn, "test_a_kept_key_is_held_in_every_queue"),
    (KeepsKeysForItselfAlone, "test_a_kept_key_is_held_in_every_queue"),
    (LimitsTypesForAll, "test_each_queue_runs_as_many_of_a_type_as_one_may"),
    (UpdatesInSilence, "test_what_a_handler_updates_is_seen_in_every_queue"),
    (TellsAllOfRemovals, "test_one_queue_tells_that_a_record_is_gone"),
]


def contract_of(queue_class: type[SharedJobQueue]) -> JobQueueContract:
    class Contract(JobQueueContract):
        engine = Engine()

        async def make_queue(
            self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any]
        ) -> SharedJobQueue:
            return queue_class(handlers, settings, observers, engine=self.engine)

    return Contract()


@pytest.mark.parametrize(("queue_class", "test"), CATCHES)
def test_a_broken_queue_on_a_shared_engine_is_caught(
    queue_class: type[SharedJobQueue], test: str
) -> None:
    """What several processes would break is caught as well, in one."""
    getattr(contract_of(SharedJobQueue), test)()
    with pytest.raises(CAUGHT):
        getattr(contract_of(queue_class), test)()


@pytest.mark.parametrize("sound", [True, False])
def test_a_queue_that_takes_a_store_in_use_is_caught(sound: bool) -> None:
    """Two queues on a store that can bear one are noticed."""

    class Contract(JobQueueContract):
        store = TextStore()

        async def make_queue(
            self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any]
        ) -> TextJobQueue:
            queue_class = TextJobQueue if sound else TakesAStoreInUse
            return queue_class(handlers, settings, observers, store=self.store)

    with nullcontext() if sound else pytest.raises(CAUGHT):
        Contract().test_a_second_queue_on_the_same_store_is_refused__fault_44()  # type: ignore[unused-coroutine]


FORGETS: list[tuple[dict[str, Any], str]] = [
    ({"not_before": None}, "test_a_delayed_job_is_still_delayed_in_the_next_life"),
    ({"unique": "live"}, "test_a_kept_key_is_held_in_the_next_life"),
    ({"payload_digest": "another"}, "test_a_kept_key_is_held_in_the_next_life"),
    ({"payload": ""}, "test_a_kept_payload_is_there_in_the_next_life"),
    ({"payload": ""}, "test_a_job_of_the_last_queue_can_be_submitted_again"),
    ({"submitted": 1.0}, "test_a_cursor_outlives_the_queue"),
    ({"metadata": {}}, "test_the_next_queue_has_all_of_a_job"),
    ({"key": None}, "test_the_next_queue_has_all_of_a_job"),
    ({"timeout": 300.0}, "test_the_next_queue_has_all_of_a_job"),
]


def durable_contract(make: Callable[..., TextJobQueue]) -> JobQueueContract:
    class Contract(JobQueueContract):
        store = TextStore()

        async def make_queue(
            self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any]
        ) -> TextJobQueue:
            return make(handlers, settings, observers, store=self.store)

    return Contract()


@pytest.mark.parametrize(("forgets", "test"), FORGETS)
def test_a_store_that_forgets_a_part_of_a_job_is_caught(forgets: dict[str, Any], test: str) -> None:
    """Each part of a job has to be there in the next life."""
    getattr(durable_contract(TextJobQueue), test)()
    with pytest.raises((*CAUGHT, KeyConflictError)):
        getattr(durable_contract(partial(ForgetfulJobQueue, forgets=forgets)), test)()


def test_a_store_that_keeps_one_of_many_is_caught() -> None:
    """All jobs that were accepted at once have to be there in the next life."""
    with pytest.raises(CAUGHT):
        durable_contract(KeepsTheFirst).test_many_that_were_accepted_at_once_run_in_the_next_life()  # type: ignore[unused-coroutine]
