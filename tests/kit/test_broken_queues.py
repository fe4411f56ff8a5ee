"""The kit can fail: queues that each break one promise, and the tests that catch them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from stoat_jobs import AsyncioJobQueue, JobHandlers, JobQueueSettings
from stoat_jobs.testing import DeadlockError, JobQueueContract, JobQueueMachine
from stoat_jobs.testing._hostile import SHAPES

from ..support.broken.shelf import (
    AcceptsAfterClose,
    AlwaysCancels,
    CallsTimeoutsFailures,
    DeafToCancels,
    DiesWithItsTask,
    DrainsForEver,
    EvictsRunning,
    ForgetsObservers,
    HidesItsHandlers,
    IgnoresKeys,
    IgnoresTimeouts,
    KeepsResultsForEver,
    LeaksSlots,
    LeavesStreamsAtClose,
    LeavesWaitersAtClose,
    ListsNothing,
    LosesMetadata,
    LosesWakeUps,
    MixesResults,
    NeverFull,
    NoGrace,
    OldestFirst,
    Overbooks,
    RepeatsIds,
    RunsWhatWasCancelled,
    StartsLastFirst,
    StartsTwice,
    StatusGoesBack,
    TakesAnyKey,
    WaitsForSlots,
)
from ..support.broken.shelf_context import (
    BeginsAnew,
    CutsGraces,
    HidesTheJob,
    KeepsTheFirst,
    LeavesStopWaiters,
    LosesUpdates,
    NeverTells,
    OneGrace,
    OwnBackoff,
    RetriesAll,
    SameGrace,
    SharesMetadata,
    ShowsNoReports,
    TakesAnyMetadata,
    TakesAnyUpdate,
    TellsNoWatcher,
    TextOnly,
    UndoesUpdates,
    UpdatesTheDead,
    WaitsForDeadlines,
    YesOrNo,
)
from ..support.broken.shelf_hostile import (
    CancelsUnguarded,
    ComparesErrors,
    LetsTheDeadSpeak,
    LetsThreadsBe,
    TimesOutOnce,
)
from ..support.broken.shelf_logs import (
    LivesInThePast,
    LogsEachLostJob,
    LogsWithoutCare,
    TakesNoTime,
    TellsNoTime,
)
from ..support.broken.shelf_records import (
    CancelsInOrder,
    CancelsWhatRuns,
    CountsFromTheTop,
    CountsNoTypes,
    DeletesLiveJobs,
    ForgetsLimits,
    ForgetsOrigins,
    HasAlwaysANextPage,
    IgnoresOneFilter,
    LeavesNoRoom,
    OnlySaysThatItDeletes,
    RemovesInSilence,
    RunsAnythingAgain,
    RunsLiveJobsAgain,
    SaysTheLongest,
    SharesPayloads,
    ShowsNoPayload,
    TakesAnyCursor,
    TakesOneStatus,
)
from ..support.broken.shelf_submits import (
    CountsNoDelayed,
    HoldsKeysForEver,
    HoldsKeysTooShort,
    IgnoresDelays,
    IgnoresPayloads,
    IgnoresTypeLimits,
    LeaksSlotsOfTypes,
    LeavesDelayedAtClose,
    LeavesTransactionsAside,
    LosesKeysOnTheWay,
    ReleasesKeptKeys,
    StartsDelayedLast,
    StartsWhatWasDelayed,
    SubmitsBackwards,
    SubmitsOneByOne,
    TakesAnyDelay,
    TakesAnyWord,
    TakesWhatItCanRead,
    WaitsInTheSlot,
)
from ..support.broken.shelf_values import (
    AwaitsNoWrapper,
    CutsWhatObserversAdd,
    DropsNul,
    HandsOnSubclasses,
    IgnoresFiltersWithNul,
    KeepsIterators,
    ShowsNul,
)

FIXTURES = ("caplog", "monkeypatch")

CAUGHT = (AssertionError, DeadlockError, pytest.fail.Exception)

CATCHES: list[tuple[Any, ...]] = [
    (RunsWhatWasCancelled, "test_a_cancelled_pending_job_never_starts__fault_9"),
    (DeafToCancels, "test_cancelling_an_async_handler_raises_in_it_at_once__fault_10"),
    (AlwaysCancels, "test_a_late_cancel_changes_nothing__fault_16"),
    (IgnoresKeys, "test_a_key_gives_the_job_that_is_pending_or_running"),
    (IgnoresTimeouts, "test_a_job_past_its_deadline_is_told_to_stop_and_ends_timeout"),
    (LosesMetadata, "test_metadata_is_kept_and_seen_by_the_handler"),
    (Overbooks, "test_at_most_concurrency_jobs_run_at_a_time", 1),
    (
        KeepsResultsForEver,
        "test_finished_records_go_after_result_ttl_counted_from_the_finish__fault_29",
    ),
    (
        KeepsResultsForEver,
        "test_at_most_max_results_are_kept_and_the_oldest_finish_goes__fault_29",
    ),
    (KeepsResultsForEver, "test_soon_at_most_max_results_are_kept"),
    (NeverFull, "test_a_full_queue_refuses_at_once__fault_30"),
    (DrainsForEver, "test_what_still_runs_after_the_drain_is_stopped__fault_19"),
    (NoGrace, "test_a_cooperative_handler_has_the_flag_first__fault_10"),
    (
        AcceptsAfterClose,
        "test_a_closed_queue_refuses_before_it_looks_at_anything_else__fault_21",
    ),
    (WaitsForSlots, "test_submit_never_waits_for_a_slot"),
    (LeavesWaitersAtClose, "test_every_waiter_and_watcher_is_woken_by_the_stop__fault_19"),
    (LeavesStreamsAtClose, "test_a_stream_made_of_a_watch_ends_with_the_queue__fault_25"),
    (OldestFirst, "test_list_jobs_is_newest_first_and_limited"),
    (ListsNothing, "test_list_jobs_refuses_a_status_that_is_none"),
    (HandsOnSubclasses, "test_an_instance_of_a_scalars_subclass_is_that_scalar__fault_62"),
    (TakesAnyKey, "test_a_bad_key_is_refused", "k" * 1025),
    (DiesWithItsTask, "test_a_slot_outlives_its_tasks__fault_22", True),
    (StatusGoesBack, "test_a_terminal_record_never_changes__fault_31"),
    (LosesWakeUps, "test_wait_gives_the_terminal_record"),
    (EvictsRunning, "test_live_jobs_are_never_dropped__fault_29"),
    (StartsLastFirst, "test_jobs_start_in_the_order_of_their_submission"),
    (
        LeaksSlots,
        "test_whatever_a_handler_raises_fails_the_job_and_the_next_runs__faults_1_2_3",
        ValueError,
        False,
    ),
    (
        KeepsIterators,
        "test_a_result_that_is_used_up_by_its_reader_fails_the_job__fault_61",
        "generator",
        False,
    ),
    (KeepsIterators, "test_partial_work_that_is_used_up_by_its_reader_is_dropped__fault_61"),
    (AwaitsNoWrapper, "test_what_a_thread_hands_back_is_awaited__fault_63"),
    (MixesResults, "test_each_job_has_its_own_result"),
    (RepeatsIds, "test_an_id_is_a_random_uuid4_in_its_usual_text_form__fault_47"),
    (StartsTwice, "test_entering_a_started_queue_is_an_error_and_hurts_nothing__fault_27"),
    (
        CallsTimeoutsFailures,
        "test_a_job_past_its_deadline_is_told_to_stop_and_ends_timeout",
    ),
    (LivesInThePast, "test_times_follow_a_wall_clock_that_is_set_forwards__fault_64"),
    (TakesNoTime, "test_times_are_those_of_the_loops_clock"),
    (TellsNoTime, "test_a_duration_is_the_time_that_the_job_ran"),
    (LogsWithoutCare, "test_the_log_goes_on_after_what_raised_in_it__fault_66", "job_started"),
    (LogsWithoutCare, "test_a_line_of_the_log_names_its_job__fault_66"),
    (LogsWithoutCare, "test_what_an_error_says_forges_no_line_of_the_log__fault_71"),
    (LogsEachLostJob, "test_what_waits_at_the_stop_is_one_line_of_the_log__fault_66"),
    (
        HidesItsHandlers,
        "test_a_job_type_with_the_name_of_another_function_is_refused__fault_59",
    ),
    (ForgetsObservers, "test_each_step_is_told_once_and_in_order"),
    (
        ComparesErrors,
        "test_whatever_looking_at_an_exception_does_its_job_fails__fault_56",
        SHAPES[0],
        False,
    ),
    (TimesOutOnce, "test_a_limit_holds_for_every_job_that_has_it__fault_54", 1.0003),
    (
        CancelsUnguarded,
        "test_a_future_that_refuses_its_cancel_costs_one_grace__fault_55",
        "deadline",
    ),
    (
        LetsThreadsBe,
        "test_what_a_thread_runs_on_the_loop_is_cancelled_with_its_job__fault_72",
        "cancel",
    ),
    (LetsTheDeadSpeak, "test_after_its_end_a_job_runs_nothing_on_the_loop__fault_72"),
    (TextOnly, "test_metadata_may_be_any_json_object"),
    (TakesAnyMetadata, "test_metadata_without_json_is_refused_by_its_name", b"", TypeError),
    (TakesAnyMetadata, "test_the_limit_of_metadata_is_in_bytes_of_its_json"),
    (SharesMetadata, "test_nobody_changes_the_metadata_of_a_job"),
    (LosesUpdates, "test_a_handler_updates_the_metadata_on_the_record"),
    (LosesUpdates, "test_a_thread_reads_what_it_has_updated"),
    (LosesUpdates, "test_an_update_as_the_job_is_told_to_stop_counts"),
    (TellsNoWatcher, "test_a_watcher_sees_updates_of_metadata"),
    (ShowsNoReports, "test_what_was_reported_last_is_shown_within_a_second"),
    (LosesUpdates, "test_what_was_reported_last_is_shown_within_a_second"),
    (UndoesUpdates, "test_updates_from_threads_and_the_loop_all_count"),
    (UpdatesTheDead, "test_an_update_after_the_end_is_ignored", "hold"),
    (TakesAnyUpdate, "test_an_update_without_json_is_refused_at_the_call", b"", TypeError),
    (DropsNul, "test_a_key_with_u0000_is_refused"),
    (DropsNul, "test_metadata_with_u0000_is_refused_by_its_place", {"a": "\0"}, "'a'"),
    (DropsNul, "test_u0000_arrives_intact_in_payloads_and_results"),
    (TakesAnyUpdate, "test_an_update_with_u0000_is_refused_at_the_call", {"a": "\0"}, "'a'"),
    (CutsWhatObserversAdd, "test_an_observer_that_adds_u0000_is_dropped"),
    (IgnoresFiltersWithNul, "test_a_filter_with_u0000_matches_nothing"),
    (ShowsNul, "test_u0000_in_messages_and_errors_is_escaped"),
    (TakesAnyUpdate, "test_updates_count_towards_the_limit_with_the_rest"),
    (BeginsAnew, "test_a_further_attempt_has_the_updates"),
    (HidesTheJob, "test_the_current_job_is_the_context_of_the_handler"),
    (HidesTheJob, "test_a_job_that_a_handler_submits_is_its_own_current_job"),
    (HidesTheJob, "test_what_outlives_a_job_still_has_its_context"),
    (KeepsTheFirst, "test_each_attempt_is_the_current_job"),
    (NeverTells, "test_a_cooperative_handler_waits_until_it_is_told_to_stop", "cancel"),
    (NeverTells, "test_a_task_beside_the_handler_hears_of_the_stop"),
    (DeafToCancels, "test_an_async_handler_that_waits_for_the_stop_is_cancelled"),
    (LeavesStopWaiters, "test_what_waits_for_a_stop_that_never_comes_is_cancelled", "hold"),
    (RetriesAll, "test_only_what_retry_on_names_is_tried_again", KeyError, ValueError(), 1),
    (YesOrNo, "test_a_retry_on_that_gives_no_answer_fails_the_job", None),
    (YesOrNo, "test_a_number_from_retry_on_is_the_delay"),
    (OwnBackoff, "test_the_backoff_of_a_job_type_gives_its_delays"),
    (OneGrace, "test_the_grace_of_a_job_type_goes_before_the_setting"),
    (SameGrace, "test_the_grace_after_the_deadline_is_another", {"cancel_grace": 8.0}, 2.0),
    (CutsGraces, "test_the_stop_takes_the_longest_grace_of_what_runs", 20.0),
    (WaitsForDeadlines, "test_a_grace_after_the_deadline_does_not_hold_up_the_stop"),
    (TakesAnyDelay, "test_a_delay_that_is_none_is_refused", "NaN"),
    (IgnoresDelays, "test_a_delay_is_on_the_record"),
    (IgnoresDelays, "test_a_delayed_job_starts_when_its_delay_has_passed"),
    (StartsDelayedLast, "test_of_the_due_the_one_that_is_due_longest_starts_first"),
    (WaitsInTheSlot, "test_a_delayed_job_keeps_no_slot"),
    (CountsNoDelayed, "test_a_delayed_job_counts_for_max_pending"),
    (DeafToCancels, "test_a_delayed_job_can_be_cancelled"),
    (StartsWhatWasDelayed, "test_a_delayed_job_that_was_cancelled_never_starts"),
    (LeavesDelayedAtClose, "test_a_delayed_job_of_the_last_life_waits_for_the_next"),
    (IgnoresTypeLimits, "test_a_limited_type_runs_so_many_at_once"),
    (WaitsInTheSlot, "test_a_full_type_lets_others_pass"),
    (StartsDelayedLast, "test_a_limited_job_that_is_due_longer_goes_first"),
    (CountsNoDelayed, "test_a_limited_job_is_a_pending_one_in_all_else"),
    (LeaksSlotsOfTypes, "test_an_abandoned_job_frees_the_slot_of_its_type"),
    (HoldsKeysTooShort, "test_a_kept_key_gives_the_finished_job"),
    (IgnoresPayloads, "test_another_payload_under_a_kept_key_is_a_conflict"),
    (ReleasesKeptKeys, "test_a_kept_key_is_held_by_a_job_that_was_told_to_stop"),
    (IgnoresPayloads, "test_a_live_job_may_be_asked_to_keep_its_key"),
    (HoldsKeysForEver, "test_a_kept_key_is_free_when_the_record_goes"),
    (HoldsKeysForEver, "test_a_kept_key_is_free_when_the_record_is_too_old"),
    (TakesAnyWord, "test_a_bad_unique_is_refused", {"unique": "once", "key": "k"}, ValueError),
    (
        LeavesTransactionsAside,
        "test_a_connection_is_refused_where_there_is_no_transaction_to_join",
    ),
    (LosesKeysOnTheWay, "test_a_kept_key_goes_on_to_the_resubmitted_job"),
    (SubmitsBackwards, "test_many_are_accepted_in_order"),
    (SubmitsOneByOne, "test_if_one_of_many_does_not_fit_none_is_accepted"),
    (SubmitsOneByOne, "test_if_there_is_no_room_for_all_none_is_accepted"),
    (SubmitsOneByOne, "test_what_is_no_iterable_of_payloads_is_refused", None),
    (TakesWhatItCanRead, "test_an_iterable_that_raises_accepts_none"),
    (TakesWhatItCanRead, "test_many_for_nobody_are_refused"),
    (SubmitsBackwards, "test_many_may_be_delayed"),
    (HasAlwaysANextPage, "test_pages_show_each_record_once"),
    (CountsFromTheTop, "test_what_comes_or_goes_meanwhile_moves_no_page"),
    (TakesAnyCursor, "test_a_cursor_that_was_made_up_is_an_error", "1"),
    (TakesOneStatus, "test_list_jobs_takes_several_statuses_and_job_types"),
    (IgnoresOneFilter, "test_list_jobs_filters_by_metadata", {"user": "ada"}, [1, 0]),
    (CancelsWhatRuns, "test_cancel_all_stops_every_live_job_that_matches"),
    (CancelsInOrder, "test_what_cancel_all_stops_never_starts"),
    (CountsNoTypes, "test_stats_are_given_by_job_type_too"),
    (SaysTheLongest, "test_stats_say_how_long_jobs_of_a_type_wait_and_run"),
    (OnlySaysThatItDeletes, "test_a_deleted_record_is_gone"),
    (DeletesLiveJobs, "test_a_live_job_is_not_deleted"),
    (LeavesNoRoom, "test_deleted_records_make_room_for_others"),
    (RemovesInSilence, "test_observers_are_told_that_a_record_is_gone_and_why"),
    (RemovesInSilence, "test_observers_are_told_that_a_record_is_too_old"),
    (ShowsNoPayload, "test_a_payload_is_on_the_record_if_its_type_keeps_it"),
    (SharesPayloads, "test_nobody_can_change_a_payload_that_is_kept"),
    (ForgetsOrigins, "test_a_finished_job_can_be_submitted_again"),
    (ForgetsLimits, "test_a_job_submitted_again_has_the_time_limit_of_the_first"),
    (RunsLiveJobsAgain, "test_a_live_job_is_not_submitted_again"),
    (RunsAnythingAgain, "test_a_job_whose_payload_was_not_kept_is_not_submitted_again"),
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
    StartsLastFirst,
    LeaksSlots,
    IgnoresDelays,
    StartsDelayedLast,
    IgnoresTypeLimits,
    HoldsKeysTooShort,
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
    queue_class: type[AsyncioJobQueue],
    test: str,
    arguments: list[Any],
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A broken promise fails its own test, which a correct queue passes."""
    wanted = inspect.signature(getattr(JobQueueContract, test)).parameters
    fixtures = {name: request.getfixturevalue(name) for name in FIXTURES if name in wanted}
    getattr(contract_of(AsyncioJobQueue), test)(*arguments, **fixtures)
    caplog.clear()
    with pytest.raises(CAUGHT):
        getattr(contract_of(queue_class), test)(*arguments, **fixtures)


@pytest.mark.parametrize("queue_class", FOUND_BY_THE_MACHINE)
def test_the_machine_finds_a_broken_queue(queue_class: type[AsyncioJobQueue]) -> None:
    """The state machine finds a queue that breaks a promise, without knowing which one."""

    class Machine(JobQueueMachine):
        async def make_queue(
            self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any]
        ) -> AsyncioJobQueue:
            return queue_class(handlers, settings, observers)

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
