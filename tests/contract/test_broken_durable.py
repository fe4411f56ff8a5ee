"""The kit was seen to fail: queues with a store that break what they promise for the next life."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from stoat_jobs import JobHandlers, JobQueueSettings, KeyConflictError, QueueClosedError
from stoat_jobs.testing import DeadlockError, JobQueueContract, JobQueueMachine

from ..support.broken.shelf_durable import (
    CancelsNoUnknownTypes,
    CountsOrderlyStops,
    EndsWhatItStops,
    FailsUnknownTypes,
    GivesEverythingBack,
    KeepsAnySize,
    KeepsLess,
    KeepsWhatWasReported,
    StartsTheLastFirst,
    StoresNoNul,
)
from ..support.stores import TextJobQueue, TextStore

CAUGHT = (
    *(AssertionError, DeadlockError, pytest.fail.Exception),
    *(KeyConflictError, QueueClosedError),
)

CATCHES: list[tuple[Any, ...]] = [
    (EndsWhatItStops, "test_what_the_shutdown_stops_waits_again", "hold"),
    (EndsWhatItStops, "test_what_still_runs_after_the_drain_is_stopped__fault_19"),
    (EndsWhatItStops, "test_every_waiter_and_watcher_is_woken_by_the_stop__fault_19"),
    (EndsWhatItStops, "test_what_was_stopped_runs_first_in_the_next_life"),
    (EndsWhatItStops, "test_who_waits_for_what_was_stopped_is_told"),
    (EndsWhatItStops, "test_a_partial_result_of_what_was_stopped_is_dropped"),
    (EndsWhatItStops, "test_an_error_of_what_was_stopped_is_no_failure"),
    (EndsWhatItStops, "test_a_job_between_two_attempts_goes_on"),
    (EndsWhatItStops, "test_no_attempt_begins_once_closing"),
    (EndsWhatItStops, "test_a_job_between_two_attempts_fails_as_the_stop_begins"),
    (EndsWhatItStops, "test_what_was_stopped_holds_its_key"),
    (KeepsWhatWasReported, "test_what_the_shutdown_stops_waits_again", "hold"),
    (StartsTheLastFirst, "test_what_was_stopped_runs_first_in_the_next_life"),
    (GivesEverythingBack, "test_what_finishes_while_the_queue_drains_has_finished"),
    (GivesEverythingBack, "test_what_a_caller_cancelled_does_not_go_on"),
    (GivesEverythingBack, "test_what_its_deadline_stopped_does_not_go_on"),
    (CountsOrderlyStops, "test_orderly_stops_are_no_deaths"),
    (FailsUnknownTypes, "test_a_job_whose_handler_is_gone_waits"),
    (CancelsNoUnknownTypes, "test_a_job_whose_handler_is_gone_can_be_cancelled"),
    (StoresNoNul, "test_u0000_is_in_the_next_life_what_it_was"),
    (KeepsAnySize, "test_a_result_over_its_limit_fails_the_job_by_name"),
    (KeepsAnySize, "test_partial_work_over_the_limit_is_dropped"),
    (KeepsLess, "test_a_result_at_its_limit_is_kept"),
]


def contract_of(queue_class: type[TextJobQueue]) -> JobQueueContract:
    class Contract(JobQueueContract):
        store = TextStore()

        async def make_queue(
            self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any]
        ) -> TextJobQueue:
            return queue_class(handlers, settings, observers, store=self.store)

    return Contract()


@pytest.mark.parametrize(
    ("queue_class", "test", "arguments"),
    [
        pytest.param(queue_class, test, arguments, id=f"{queue_class.__name__}-{test}")
        for queue_class, test, *arguments in CATCHES
    ],
)
def test_a_broken_queue_with_a_store_is_caught(
    queue_class: type[TextJobQueue], test: str, arguments: list[Any]
) -> None:
    """A broken promise fails its own test, which a correct queue passes."""
    getattr(contract_of(TextJobQueue), test)(*arguments)
    with pytest.raises(CAUGHT):
        getattr(contract_of(queue_class), test)(*arguments)


@pytest.mark.parametrize("queue_class", [EndsWhatItStops, KeepsWhatWasReported, StartsTheLastFirst])
def test_the_machine_finds_a_broken_queue_with_a_store(queue_class: type[TextJobQueue]) -> None:
    """The state machine knows what goes on in the next life, and how."""

    class Machine(JobQueueMachine):
        async def make_queue(
            self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any]
        ) -> TextJobQueue:
            return queue_class(handlers, settings, observers, store=TextStore())

    quick = settings(
        max_examples=200,
        stateful_step_count=30,
        suppress_health_check=[HealthCheck.too_slow],  # the machine may be busy
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
    )
    with pytest.raises(CAUGHT):
        run_state_machine_as_test(Machine, settings=quick)
