"""Compares what a store has with what a process was told, as a ledger has it."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stoat_jobs import JobStatus
from stoat_jobs._sqlite.store import SqliteStore

from .programs.ledger import Line


@dataclass(frozen=True)
class Kept:
    """A job as the store has it."""

    number: int
    status: JobStatus
    key: str | None
    cancel_requested: bool = False
    deliveries: int = 0

    @property
    def is_finished(self) -> bool:
        return self.status.is_terminal

    @property
    def will_be_cancelled(self) -> bool:
        return self.cancel_requested or self.status is JobStatus.CANCELLED


class Found:
    """What is in a database that no process has open."""

    def __init__(self, path: Path) -> None:
        self.jobs: dict[str, Kept] = {}
        self.twice: list[str] = []
        store = SqliteStore(path)
        store.open()
        try:
            self._read(store)
        finally:
            store.close()
        self.damage = damage(path)

    def _read(self, store: SqliteStore) -> None:
        for job in store.finished():
            self._add(job.job_id, Kept(job.number, job.status, job.key))
        for stored in store.live():
            record, known = stored.record, (stored.number, stored.record.status, stored.record.key)
            self._add(stored.job_id, Kept(*known, record.cancel_requested, stored.deliveries))

    def _add(self, job_id: str, kept: Kept) -> None:
        if job_id in self.jobs:
            self.twice.append(job_id)
        self.jobs[job_id] = kept


def damage(path: Path) -> str:
    """What SQLite itself finds wrong with a file; empty if there is nothing."""
    connection = sqlite3.connect(path)
    try:
        (found,) = connection.execute("pragma integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        return str(error)
    finally:
        connection.close()
    return "" if found == "ok" else str(found)


class Told:
    """What a ledger says, by its words."""

    def __init__(self, entries: Sequence[Line]) -> None:
        self.entries = entries
        self._by_word: dict[str, dict[str, str]] = defaultdict(dict)
        for line in entries:
            self._by_word[line.word][line.name] = line.more

    def of(self, word: str) -> dict[str, str]:
        """What else the last line with this *word* says, by its job."""
        return self._by_word[word]


def faults(found: Found, entries: Sequence[Line]) -> list[str]:
    """What was told and is not so, in words; nothing of it may be."""
    told = Told(entries)
    wrong = [*_lost(found, told), *_changed(found, told), *_keys(found, told), *_calls(told)]
    if found.damage:
        wrong.append(f"damaged: {found.damage}")
    return wrong + [f"{job_id} is there twice" for job_id in found.twice]


def lost(found: Found, told: Told) -> list[str]:
    """The ids of the jobs that were accepted, and are not there."""
    gone = told.of("deleting")
    return [each for each in told.of("submitted") if each not in found.jobs and each not in gone]


def _lost(found: Found, told: Told) -> Iterator[str]:
    for job_id in lost(found, told):
        yield f"{job_id} was accepted, and is lost"
    for job_id in told.of("deleted"):
        if job_id in found.jobs:
            yield f"{job_id} was deleted, and is there"


def _changed(found: Found, told: Told) -> Iterator[str]:
    for job_id, status in told.of("ended").items():
        kept = found.jobs.get(job_id)
        if kept is not None and kept.status != status:
            yield f"{job_id} had ended {status}, and is {kept.status}"
    for job_id in told.of("cancelled"):
        kept = found.jobs.get(job_id)
        if kept is not None and not kept.will_be_cancelled:
            yield f"{job_id} was cancelled, and is {kept.status}"
    for job_id in told.of("began"):
        kept = found.jobs.get(job_id)
        if kept is not None and not kept.is_finished and not kept.deliveries:
            yield f"{job_id} was started, and nothing says so"


def _keys(found: Found, told: Told) -> Iterator[str]:
    ids = defaultdict(set)
    for line in told.entries:
        if line.word == "submitted" and line.more.startswith("kept-"):
            ids[line.more].add(line.name)
    for key, jobs in ids.items():
        if len(jobs) > 1:
            yield f"{key} has led to {len(jobs)} jobs"
    holders = defaultdict(list)
    for job_id, kept in found.jobs.items():
        if kept.key is not None and not kept.will_be_cancelled:
            if not kept.is_finished or kept.key.startswith("kept-"):
                holders[kept.key].append(job_id)
    for key, jobs_of_key in holders.items():
        if len(jobs_of_key) > 1:
            yield f"{key} is held by {len(jobs_of_key)} jobs"


def _calls(told: Told) -> Iterator[str]:
    over: dict[str, str] = {}
    running: dict[str, str] = {}
    for word, name, more in told.entries:
        if word == "started":
            running.clear()
        elif word in ("ended", "cancelled", "deleted"):
            over[name] = word
        elif word == "began":
            if name in over:
                yield f"{name} was called after it was {over[name]}"
            if more != "-" and running.setdefault(more, name) != name:
                yield f"{more} is held by two jobs that run"
        elif word == "left":
            running.pop(more, None)
