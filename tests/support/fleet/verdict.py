"""Holds what a fleet noted against what is stored."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from stoat_jobs import JobBackend

from ..soak.ledger import Faults
from .ledger import Entry

Record = dict[str, Any]

TERMINAL = ("completed", "failed", "timeout", "cancelled")
OF_HANDLERS = ("job_failed", "job_started")
"""Events of the log with a traceback that is the handler's own."""

NOISE = "unexpected connection_lost() call"
"""What asyncpg says if the server goes away while a connection is made."""

COMPLETES = ("sleep", "sleep_sync", "report", "block", "number", "flaky", "echo")
"""What ends well unless it is cancelled."""

GIVES_ITS_RUN = ("sleep", "sleep_sync", "report", "block", "number", "flaky", "die")


async def stored(queue: JobBackend) -> dict[str, Record]:
    """All records, as a reader gets them."""
    found, cursor = {}, None
    while True:
        page = await queue.list_jobs(before=cursor, limit=1_000)
        found.update({each.job_id: each.model_dump(mode="json") for each in page})
        cursor = page.cursor
        if cursor is None:
            return found


class Verdict:
    """What was counted, and what is wrong."""

    def __init__(
        self, entries: Iterable[Entry], records: Mapping[str, Record], *, calm: bool = False
    ) -> None:
        """*calm* says that no process was harmed: then everything ran once."""
        self.faults = Faults()
        self.counts: Counter[str] = Counter()
        self._records = records
        self._calm = calm
        self._by_what: dict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            self._by_what[entry["what"]].append(entry)
        self._killed = {entry["member"] for entry in self._by_what["killed"]}
        self._frozen = {entry["member"] for entry in self._by_what["frozen"]}
        self._check()

    def _check(self) -> None:
        self.counts.update({what: len(found) for what, found in self._by_what.items()})
        for record in self._records.values():
            self.counts[f"ended as {record['status']}"] += 1
            self.counts[f"error type {record['error_type']}"] += record["error_type"] is not None
        for check in (
            self._check_acknowledged,
            self._check_strangers,
            self._check_sights,
            self._check_waits,
            self._check_told_once,
            self._check_results,
            self._check_cancels,
            self._check_deletes,
            self._check_keys,
            self._check_runs,
            self._check_ends,
            self._check_late_starts,
            self._check_programs,
        ):
            check()

    def _jobs(self, what: str, **facts: Any) -> set[str]:
        """The jobs of these events."""
        return {entry["job"] for entry in self._by_what[what] if facts.items() <= entry.items()}

    def _check_acknowledged(self) -> None:
        """None is lost, and all have ended."""
        acknowledged = self._jobs("acknowledged")
        self.counts["jobs acknowledged"] = len(acknowledged)
        for job_id in acknowledged - self._records.keys() - self._jobs("deleting"):
            self.faults.add("an acknowledged job is lost", job_id)
        for record in self._records.values():
            if record["status"] not in TERMINAL:
                self.faults.add("a job has not ended", record)

    def _check_strangers(self) -> None:
        """What nobody was told of is what an answer was lost of."""
        strangers = self._records.keys() - self._jobs("acknowledged")
        unsure = sum(entry["number"] for entry in self._by_what["submitting"])
        unsure -= len(self._by_what["acknowledged"])
        self.counts["jobs whose answer was lost"] = len(strangers)
        if len(strangers) > unsure:
            self.faults.add("jobs that nobody submitted", len(strangers) - unsure)

    def _sights(self) -> Iterable[Entry]:
        """Whenever a terminal record was seen."""
        for what in ("told", "finished", "saw", "removed"):
            yield from self._by_what[what]

    def _check_sights(self) -> None:
        """A terminal record never changes, whoever sees it."""
        known: dict[str, Record] = dict(self._records)
        for entry in self._sights():
            record = known.setdefault(entry["job"], entry["record"])
            if record != entry["record"]:
                changed = {name: (record[name], entry["record"][name]) for name in record}
                changed = {name: pair for name, pair in changed.items() if pair[0] != pair[1]}
                self.faults.add("a terminal record changed", (entry["what"], entry["job"], changed))

    def _check_waits(self) -> None:
        """Whoever waited was told."""
        told = {entry["wait"] for entry in self._by_what["told"]}
        for entry in self._by_what["waiting"]:
            if entry["wait"] not in told and entry["pid"] not in self._killed:
                self.faults.add("a waiter was not told", entry)

    def _check_told_once(self) -> None:
        """Observers hear of one end of a job.

        Only of a cancel before its start, whose answer was lost, they may hear twice.
        """
        started = {entry["job"] for entry in self._by_what["start"]}
        times = Counter(entry["job"] for entry in self._by_what["finished"])
        cancelled = {
            entry["job"]
            for entry in self._by_what["finished"]
            if entry["record"]["status"] == "cancelled"
        }
        for job_id, number in times.items():
            if number > (2 if job_id in cancelled - started else 1):
                self.faults.add("observers were told of two ends", job_id)

    def _check_results(self) -> None:
        """A result is that of a run which came to its end."""
        ends = defaultdict(set)
        for entry in self._by_what["end"]:
            ends[entry["job"]].add(entry["run"])
        for job_id, record in self._records.items():
            if record["status"] == "completed" and record["job_type"] in GIVES_ITS_RUN:
                if record["result"] not in ends[job_id]:
                    self.faults.add("a result that no run gave", record)

    def _check_cancels(self) -> None:
        for job_id in self._jobs("cancel", answer=True) & self._records.keys():
            if self._records[job_id]["status"] != "cancelled":
                self.faults.add("a cancel was promised and not kept", self._records[job_id])

    def _check_deletes(self) -> None:
        for job_id in self._jobs("deleted", answer=True) & self._records.keys():
            self.faults.add("a deleted record is there", self._records[job_id])

    def _check_keys(self) -> None:
        """One job at a time holds a key, until it ends or is told to stop."""
        held = defaultdict(list)
        for record in self._records.values():
            if record["key"] is not None:
                held[record["job_type"], record["key"]].append(record)
        for records in held.values():
            records.sort(key=lambda record: record["submitted_at"])
            for one, other in zip(records, records[1:]):
                over = (one["finished_at"] or "9999") <= other["submitted_at"]
                if not (over or one["cancel_requested"]):
                    self.faults.add("two jobs held a key", (one, other))

    def _check_runs(self) -> None:
        """Each job ran; one that nobody disturbed ran once."""
        runs = Counter(entry["job"] for entry in self._by_what["start"] if not entry["attempt"])
        self.counts["jobs that ran again"] = sum(number > 1 for number in runs.values())
        if self._calm:
            for job_id, number in runs.items():
                if number > 1:
                    self.faults.add("a job ran twice", (job_id, number))

    def _check_ends(self) -> None:
        """What nobody disturbed has completed."""
        for record in self._records.values() if self._calm else ():
            is_right = record["status"] == "completed" or record["cancel_requested"]
            if record["job_type"] in COMPLETES and not is_right:
                self.faults.add("a job that was not disturbed has not completed", record)

    def _check_late_starts(self) -> None:
        """What has ended is not started; a process that was stopped may still have been about to."""
        ended: dict[str, float] = {}
        for entry in self._sights():
            ended[entry["job"]] = min(entry["at"], ended.get(entry["job"], entry["at"]))
        for entry in self._by_what["start"]:
            if entry["at"] > ended.get(entry["job"], math.inf) and entry["pid"] not in self._frozen:
                self.faults.add("a job was started after its end", entry)

    def _check_programs(self) -> None:
        for entry in self._by_what["fault"]:
            self.faults.add(f"a fault of {entry['act']}", entry)
        for entry in self._by_what["log"]:
            if NOISE in entry["event"]:
                continue
            self.counts[f"log {entry['event']}"] += 1
            if "traceback" in entry and entry["event"] not in OF_HANDLERS:
                self.faults.add("a traceback in the log", entry)
