"""The ledger: what became of every job, kept outside the queue.

It knows what ``submit`` returned, what the queue told its observers, and what readers were
given, and holds these against each other. It never looks at the queue's own table. A
disagreement is noted as a fault; nothing is raised, since an observer that raises is dropped.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from typing import Any

from stoat_jobs import (
    FinishedEvent,
    JobObserver,
    JobResult,
    JobStatus,
    ProgressEvent,
    StartedEvent,
    SubmittedEvent,
)

from . import outcomes
from .entries import Entry
from .plan import JobPlan

SHOWN = 3
"""How many examples of a fault are kept."""


class Faults:
    """What went wrong: how often, and the first examples."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}

    def add(self, what: str, detail: object = "") -> None:
        self.counts[what] += 1
        shown = self.examples.setdefault(what, [])
        if len(shown) < SHOWN:
            shown.append(str(detail))

    def lines(self) -> list[str]:
        return [
            line
            for what, count in self.counts.items()
            for line in (f"FAULT {what}: {count} times", *(f"  {e}" for e in self.examples[what]))
        ]


class Ledger(JobObserver):
    """Keeps the books of one queue, over all its lives."""

    def __init__(self, concurrency: int, max_results: int, result_ttl: float) -> None:
        self.faults = Faults()
        self.counts: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.live: dict[str, Entry] = {}
        self.ended: OrderedDict[str, Entry] = OrderedDict()
        self.most_at_once = 0
        self.closing = False
        self.own_ends: Counter[str] = Counter()
        """By behaviour: how often a job ended as it does when left alone."""
        self.other_ends: Counter[str] = Counter()
        self._in_threads: dict[str, None] = {}
        self._concurrency = concurrency
        self._max_results = max_results
        self._result_ttl = result_ttl
        self._running: set[str] = set()
        self._last_started = 0
        self._cutting_off = False
        self._sleepers: list[asyncio.Future[None]] = []

    # What submit returned.

    def returned(self, job_id: str, plan: JobPlan, key: str | None) -> Entry | None:
        """Book a submission; the entry if its job is new, None if the key had one already."""
        entry = self.live.get(job_id)
        if entry is None:
            self.faults.add("submit returned a job that had ended, or was never told of", job_id)
            return None
        if entry.plan is None:
            entry.plan, entry.key = plan, key
            self.counts["accepted"] += 1
            self._note_keys(entry)
            return entry
        self.counts["met by key"] += 1
        if key is None or entry.key != key or entry.cancel_promised:
            self.faults.add("submit returned a job of another key, or one told to stop", entry)
        return None

    def _note_keys(self, new: Entry) -> None:
        """Whoever had this key must have been told to stop; its end will tell."""
        if new.key is None:
            return
        for old in self.live.values():
            if old is not new and old.key == new.key and old.job_type == new.job_type:
                old.key_taken = True

    # What observers were told.

    def submitted(self, event: SubmittedEvent) -> None:
        self.counts["submitted"] += 1
        if event.job_id in self.live or event.job_id in self.ended:
            self.faults.add("one id given twice", event.job_id)
        number = self.counts["submitted"]
        entry = self.live[event.job_id] = Entry(event.job_id, event.job_type, number)
        entry.cut_off = self._cutting_off

    def started(self, event: StartedEvent) -> None:
        entry = self.live.get(event.job_id)
        if entry is None:
            self.faults.add("a handler called for a job that had ended", self._find(event.job_id))
            return
        if event.attempt:
            self._started_again(entry, event.attempt)
            return
        self.counts["started"] += 1
        if entry.started:
            self.faults.add("a job started twice", entry)
        if entry.number < self._last_started:
            self.faults.add("a job started before an older one", entry)
        self._last_started = entry.number
        entry.started = True
        self._running.add(entry.job_id)
        self.most_at_once = max(self.most_at_once, len(self._running))
        if len(self._running) > self._concurrency:
            self.faults.add("more jobs at once than slots", len(self._running))

    def _started_again(self, entry: Entry, attempt: int) -> None:
        self.counts["further attempts"] += 1
        if not entry.started or attempt != entry.attempt + 1:
            self.faults.add("an attempt out of turn", f"{attempt} {entry}")
        entry.attempt = attempt

    def entered(self, job_id: str) -> None:
        """A coroutine of this job runs its first line."""
        entry = self.live.get(job_id)
        if entry is None or not entry.started:
            self.faults.add("a handler runs whose job was not started", self._find(job_id))

    def entered_thread(self, job_id: str) -> None:
        self._in_threads[job_id] = None

    def left_thread(self, job_id: str) -> None:
        del self._in_threads[job_id]

    @property
    def left_behind(self) -> int:
        """Threads that are at work although their jobs have ended."""
        return sum(job_id not in self.live for job_id in tuple(self._in_threads))

    def progress(self, event: ProgressEvent) -> None:
        self.counts["reports of progress"] += 1
        entry = self.live.get(event.job_id)
        if entry is None or not entry.started:
            self.faults.add("progress of a job that does not run", self._find(event.job_id))
        if not 0 <= event.progress <= 1 or len(event.message or "") > 500:
            self.faults.add("progress out of its range", event)

    def finished(self, event: FinishedEvent) -> None:
        record = event.record
        entry = self.live.pop(record.job_id, None)
        if entry is None:
            self.faults.add("a job ended twice, or was never accepted", record)
            return
        self.counts["terminal"] += 1
        self.counts["abandoned"] += event.abandoned
        self.ends[f"{record.status.value} {record.error_type or ''}".strip()] += 1
        self._running.discard(entry.job_id)
        entry.end(record, self.counts["terminal"], time.monotonic())
        self.ended[entry.job_id] = entry
        while len(self.ended) > self._max_results:
            self.ended.popitem(last=False)
        for what in outcomes.wrong_with(entry, event, closing=self.closing):
            self.faults.add(what, f"{entry} {record!r:.600}")
        if entry.plan is not None:
            books = self.own_ends if outcomes.is_own(entry, event) else self.other_ends
            books[entry.plan.behaviour] += 1
        self._wake()

    # What readers were given.

    def read(self, entry: Entry, record: JobResult[Any]) -> None:
        """Hold a record that the queue gave out against the books."""
        self.counts["records read"] += 1
        if entry.record is not None:
            if record != entry.record:
                self.faults.add(
                    "a terminal record changed", f"{entry.record!r:.400} {record!r:.400}"
                )
        elif record.status.is_terminal:
            self.faults.add("a record said terminal before its observers were told", record)
        elif entry.started and record.status is not JobStatus.RUNNING:
            self.faults.add("a job that runs said it does not", record)

    def not_found(self, entry: Entry) -> None:
        """Hold a JobNotFoundError against retention."""
        self.counts["no longer kept"] += 1
        if entry.record is None:
            self.faults.add("a live job was not found", entry)
        elif self._must_be_kept(entry, time.monotonic()):
            self.faults.add("a record went before its time", entry)

    def _must_be_kept(self, entry: Entry, now: float) -> bool:
        by_number = self.counts["terminal"] - entry.end_number < self._max_results
        # Half: the machine may pause between the queue's look at the clock and this one.
        return by_number and now - entry.ended_at < self._result_ttl / 2

    def listed(self, records: list[JobResult[Any]], asked: float) -> None:
        """Hold a list of everything, asked for at that time, against the books."""
        now = time.monotonic()
        for record in records:
            entry = self._entry(record.job_id)
            if entry is None or (entry.record and asked - entry.ended_at > self._result_ttl):
                self.faults.add("a record was kept beyond its time", entry or record.job_id)
            else:
                self.read(entry, record)
        found = {record.job_id for record in records}
        due = [e for e in self.ended.values() if self._must_be_kept(e, now)]
        for entry in (*self.live.values(), *due):
            if entry.job_id not in found:
                self.faults.add("a kept job was not listed", entry)

    # The end of a life.

    def cut_off(self) -> None:
        """The event loop is about to cancel every task, those of jobs to come too."""
        self.closing = self._cutting_off = True
        for entry in self.live.values():
            entry.cut_off = True

    def balance(self) -> None:
        """After the queue was closed: everything accepted has ended."""
        for entry in self.live.values():
            self.faults.add("a job had no end when its queue was closed", entry)
        self._cutting_off = False
        self.live.clear()
        self._running.clear()
        self._wake()

    def forget_ended(self) -> None:
        """Keep no records, so that what remains of jobs is the queue's doing."""
        self.ended.clear()

    # Waiting.

    async def next_end(self, patience: float) -> bool:
        """Wait until another job has ended; False if none did for so long."""
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append(sleeper)
        done, _ = await asyncio.wait({sleeper}, timeout=patience)
        return bool(done)

    def _wake(self) -> None:
        sleepers, self._sleepers = self._sleepers, []
        for sleeper in sleepers:
            if not sleeper.done() and not sleeper.get_loop().is_closed():
                sleeper.set_result(None)

    def _entry(self, job_id: str) -> Entry | None:
        return self.live.get(job_id) or self.ended.get(job_id)

    def _find(self, job_id: str) -> object:
        return self._entry(job_id) or job_id
