"""Handlers that do not stop hold up neither ``asyncio.run`` nor the end of the process.

``python -m tests.support.exits`` shows how long each of them takes.
"""

from __future__ import annotations

import pytest

from ..support.exits import EVERYTHING, RESISTING, STUCK, Exit, leave


def check(seen: Exit, job_types: list[str]) -> None:
    """The process has left in time, every job has its end, and the log names what was in the way."""
    assert seen.in_time, (seen.stop_s, seen.exit_s)
    assert seen.ends == ["Shutdown"] * len(job_types)
    for name in job_types:
        assert seen.log[f"job_cancelled {name}"] == job_types.count(name)
        left_behind = 0 if name == "spinning" else job_types.count(name)
        assert seen.log[f"job_abandoned {name}"] == left_behind
    assert seen.abandoned == job_types.count("stuck")


def test_ten_threads_in_a_system_call_hold_up_no_exit__fault_15() -> None:
    """Sync handlers that never return are named and counted, and the process leaves them."""
    check(leave("leave", *STUCK), STUCK)


def test_a_coroutine_that_is_always_ready_holds_up_no_exit__fault_20() -> None:
    """``while True: await sleep(0)`` is stopped like any other coroutine."""
    check(leave("leave", "spinning"), ["spinning"])


def test_coroutines_that_swallow_every_cancel_hold_up_no_exit__fault_20() -> None:
    """They are closed, also those that would wait in a ``finally``, and named in the log."""
    check(leave("leave", *RESISTING), RESISTING)


@pytest.mark.parametrize("how", ["cut-off", "cut-short"])
def test_nothing_holds_up_the_end_of_the_event_loop__fault_26(how: str) -> None:
    """``asyncio.run`` returns when it cancels all of these at once with what holds the queue."""
    check(leave(how, *EVERYTHING), EVERYTHING)


def test_a_handler_that_nothing_can_stop_is_named_in_the_log__fault_20() -> None:
    """What swallows even ``GeneratorExit`` is settled, and the log says what is in the way."""
    seen = leave("leave", "obstinate")
    assert (seen.ends, seen.abandoned) == (["Shutdown"], 1)
    assert seen.log["handler_unstoppable obstinate"] == 1
