"""The comparison is dated and complete: every peer in every table, and no odd cell unexplained."""

from __future__ import annotations

import re
from datetime import date
from inspect import signature
from pathlib import Path
from typing import NamedTuple, get_args

import pytest

from stoat_jobs import JobBackend, JobContext, JobType, backends
from stoat_jobs._jobs.protocols import Unique
from stoat_jobs.postgres import PostgresOptions

TEXT = (Path(__file__).parents[1] / "docs/explanation/comparison.md").read_text(encoding="utf-8")
HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
PEERS = ["BackgroundTasks", "aiojobs", "taskiq", "arq", "saq", "procrastinate", "PgQueuer"]
PEERS += ["litestar-queues", "DBOS", "Celery"]


class Section(NamedTuple):
    """A table with what is said below it."""

    title: str
    table: list[list[str]]
    text: str

    @property
    def noted(self) -> set[str]:
        """The names that the list below the table explains something about."""
        names = re.findall(r"^- ([\w, -]+?): \S", self.text, re.MULTILINE)
        return {name for each in names for name in each.split(", ")}


def sections() -> list[Section]:
    """The first table with the releases, then those of the chapters that have one."""
    titles = ["Releases", *HEADING.findall(TEXT)]
    found = []
    for title, text in zip(
        titles, re.split(HEADING.pattern, TEXT, flags=re.MULTILINE)[::2], strict=True
    ):
        lines = re.findall(r"^\|(.+)\|$", text, re.MULTILINE)
        table = [[cell.strip() for cell in line.split("|")] for line in lines]
        found += [Section(title, table, text)] if table else []
    return found


RELEASES, *FEATURES = sections()


def name(cell: str) -> str:
    return re.sub(r"\[(.+)\]\(https://github\.com/\S+\)", r"\1", cell)


@pytest.mark.parametrize("section", sections(), ids=lambda section: section.title)
def test_every_library_has_every_cell(section: Section) -> None:
    """We come first in each table, then each peer, and each has a cell under each heading."""
    head, rule, *rows = section.table
    assert [name(row[0]) for row in rows] == ["stoat-jobs", *PEERS]
    assert {len(row) for row in section.table} == {len(head)}
    assert set(rule) == {"---"}
    assert [row for row in rows if "" in row and row[0] != "stoat-jobs"] == []


def test_every_peer_has_a_release_and_its_date() -> None:
    """Whoever reads the page later sees how old it is: the day, and what was looked at."""
    looked = re.search(r"as of (\d{4}-\d\d-\d\d)", TEXT)
    assert looked is not None
    for _, release, released, _ in RELEASES.table[3:]:
        assert re.search(r"\d+\.\d+", release)
        assert date.fromisoformat(released) <= date.fromisoformat(looked[1])


@pytest.mark.parametrize("section", FEATURES, ids=lambda section: section.title)
def test_a_cell_is_yes_or_no_or_explained(section: Section) -> None:
    """A cell that is neither yes nor no has a note below the table, and is short."""
    for library, *cells in section.table[2:]:
        others = {cell for cell in cells if cell not in ("yes", "no")}
        assert all(len(cell) <= 13 for cell in others)
        assert not others or library in section.noted


def test_no_note_is_of_nobody() -> None:
    """A note names a library as the tables do."""
    assert {name for section in FEATURES for name in section.noted} <= {"stoat-jobs", *PEERS}


def test_it_is_said_when_to_pick_each() -> None:
    """Each peer has two to four sentences on when to pick it, and we say where we are wrong."""
    chapter = TEXT.partition("\n## When to pick them instead\n")[2].partition("\n## ")[0]
    reasons = re.findall(r"^### (.+)\n\n((?:.+\n)+)", chapter, re.MULTILINE)
    assert [peer for peer, _ in reasons] == PEERS
    assert {reason.count("\n") for _, reason in reasons} <= {2, 3, 4}
    assert HEADING.findall(TEXT)[-1] == "When stoat-jobs is the wrong choice"


def ours() -> set[str]:
    """The names of the API in the notes on us; what has a slash is a path."""
    notes = [
        re.findall(r"^- stoat-jobs: (.+)$", section.text, re.MULTILINE) for section in FEATURES
    ]
    return {code for [note] in filter(None, notes) for code in re.findall(r"`([^`/]+)`", note)}


def exists(code: str) -> bool:
    """Whether *code* is an option of a submission, job type or backend, a method or a class."""
    if code in PostgresOptions.model_fields:
        return True
    name, is_option, value = code.partition("=")
    if is_option:
        return name in OPTIONS and value.strip('"') in ("", "True", *get_args(Unique))
    owner, _, name = code.rpartition(".")
    return hasattr({"ctx": JobContext}.get(owner, JobBackend), name) or name in backends.__all__


OPTIONS = {*signature(JobBackend.submit).parameters, *signature(JobType).parameters}


@pytest.mark.parametrize("code", sorted(ours()))
def test_what_the_page_says_of_us_is_there(code: str) -> None:
    """Each method and each option that a note on us names is one of the API."""
    assert exists(code)


def test_the_notes_on_us_are_read() -> None:
    """The names are found, and one that the API has not is told."""
    assert {"cancel", "retry_on=", 'unique="kept"', "ctx.update_metadata"} <= ours()
    assert not any(map(exists, ["abort", "priority=", 'unique="forever"', "ctx.cancel_all"]))
