"""Queues on the shelf that do not stand up to what handlers raise, await and leave behind."""

from __future__ import annotations

from typing import Any

from stoat_jobs import AsyncioJobQueue
from stoat_jobs._backends.job import Job
from stoat_jobs._backends.scheduler import Scheduler
from stoat_jobs._run.state import RunState
from stoat_jobs.backends import Deadlines, JobRun, Outcome


class _ComparesErrors(Scheduler):
    def finished(self, run: JobRun[Job], outcome: Outcome) -> None:
        if outcome.exception not in (ValueError(), run):
            super().finished(run, outcome)


class ComparesErrors(AsyncioJobQueue):
    """Asks an exception whether it equals another."""

    _scheduler_type = _ComparesErrors


class _OnceOnly(Deadlines):
    def _arm_again(self, timeout: float) -> None:
        """The timer has served."""


class _TimesOutOnce(Scheduler):
    def attach(self, loop: Any) -> None:
        super().attach(loop)
        self.deadlines = _OnceOnly(loop, loop.time)


class TimesOutOnce(AsyncioJobQueue):
    """Stops the first job that is past its limit, and no other."""

    _scheduler_type = _TimesOutOnce


class _CancelsUnguarded(Scheduler):
    def stopping(self, run: JobRun[Job]) -> None:
        super().stopping(run)
        if run.task is not None:
            run.task.cancel()


class CancelsUnguarded(AsyncioJobQueue):
    """Lets out what a cancel raises."""

    _scheduler_type = _CancelsUnguarded


class _LetsThreadsBe(Scheduler):
    def stopping(self, run: JobRun[Job]) -> None:
        super().stopping(run)
        run.relay = None


class LetsThreadsBe(AsyncioJobQueue):
    """Cancels nothing that a thread has begun on the loop."""

    _scheduler_type = _LetsThreadsBe


class _NeverOver(Scheduler):
    def finished(self, run: JobRun[Job], outcome: Outcome) -> None:
        super().finished(run, outcome)
        if run.relay is not None:
            run.relay._job_run = run
        else:
            run.state = RunState.RUNNING


class LetsTheDeadSpeak(AsyncioJobQueue):
    """Runs on the loop what a thread asks for after the end of its job."""

    _scheduler_type = _NeverOver
