"""``stoat-jobs cancel``, ``stoat-jobs resubmit`` and ``stoat-jobs delete``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from stoat_jobs import JobBackend, JobStatus

from ..._display import counted, printable
from . import changing
from .arguments import add_app, add_command, add_filters, complain, where_of
from .changing import One, Outcome
from .desk import Desk
from .reading import Where, pages

_LIVE = tuple(status for status in JobStatus if not status.is_terminal)
_FINISHED = tuple(status for status in JobStatus if status.is_terminal)

_CANCEL = "cancel jobs that a backend keeps outside its process"
_RESUBMIT = "submit finished jobs once more"
_DELETE = "delete the records of finished jobs"
_MORE = """\
Runs no job, and makes no tables. A file of sqlite can only be changed while no application has it
open.

"""
_CODES = """\
exit codes: 0 done, 1 some were not (standard error says which and why) or the answer was no,
2 nothing can be changed, 130 Ctrl-C
"""
_WHICH = (
    "name the jobs, either by their ids or by --status, --type and --metadata; for all of them,"
    " give --all"
)


class _Change(NamedTuple):
    """What a command does to jobs, and how it says so."""

    name: str
    done: str
    one: One
    statuses: tuple[JobStatus, ...]
    """Those of the jobs to which it can be done."""


_CANCELLING = _Change("cancel", "cancelled", changing.cancel, _LIVE)
_DELETING = _Change("delete", "deleted", changing.delete, _FINISHED)
_RESUBMITTING = _Change("resubmit", "resubmitted", changing.resubmit, _FINISHED)


def add_to(commands: Any) -> None:
    """Add these commands to the parser's commands."""
    for change, what in (_CANCELLING, _CANCEL), (_DELETING, _DELETE):
        act = partial(_change, change)
        parser = add_command(commands, change.name, what, _MORE + _CODES, act)
        parser.add_argument("job_ids", metavar="ID", nargs="*", help="jobs, instead of a filter")
        add_filters(parser, change.statuses)
        parser.add_argument("--all", action="store_true", help="every job, instead of a filter")
        parser.add_argument("--yes", action="store_true", help="do not ask if there is no ID")
    act = partial(_named, _RESUBMITTING)
    parser = add_command(commands, "resubmit", _RESUBMIT, _MORE + _CODES, act)
    parser.add_argument("job_ids", metavar="ID", nargs="+")
    add_app(parser, "its handlers check the payload", required=True)


def _change(change: _Change, desk: Desk, arguments: argparse.Namespace) -> int:
    has_filter = any((arguments.statuses, arguments.types, arguments.items))
    if [bool(arguments.job_ids), has_filter, arguments.all].count(True) != 1:
        complain(change.name, _WHICH)
        return 2
    if arguments.job_ids:
        return _named(change, desk, arguments)
    return _filtered(change, desk, arguments)


# By their ids: each is told of.


def _fields(change: _Change, outcome: Outcome) -> dict[str, Any]:
    fields = {"job_id": outcome.job_id, change.done: outcome.problem is None}
    if change is _RESUBMITTING:
        fields["new_job_id"] = outcome.new_id
    return fields | {"problem": outcome.problem}


def _named(change: _Change, desk: Desk, arguments: argparse.Namespace) -> int:
    job_ids = list(dict.fromkeys(arguments.job_ids))
    outcomes: list[Outcome] = []
    try:
        desk.change(partial(changing.each, change.one, job_ids, outcomes.append))
    finally:  # what was done before it failed, or before Ctrl-C, was done
        for outcome in outcomes:
            _tell(change, outcome, as_json=arguments.json)
    return 1 if any(outcome.problem for outcome in outcomes) else 0


def _tell(change: _Change, outcome: Outcome, *, as_json: bool) -> None:
    if outcome.problem is not None:
        complain(change.name, outcome.problem)
    if as_json:
        _print_json(_fields(change, outcome))
    elif outcome.problem is None:
        new = f" as {outcome.new_id}" if outcome.new_id else ""
        print(printable(f"{outcome.job_id} {change.done}{new}"))


# By a filter: asked first, and told in numbers.


def _filtered(change: _Change, desk: Desk, arguments: argparse.Namespace) -> int:
    where = where_of(arguments)
    where = where._replace(status=where.status or change.statuses)
    job_ids = _found(desk, where)
    if job_ids and not arguments.yes:
        jobs = counted(len(job_ids), "job")
        if not _can_ask():
            complain(change.name, f"this would {change.name} {jobs}: give --yes to do it unasked")
            return 2
        if not _is_yes(f"{change.name.capitalize()} {jobs}? [y/N] "):
            complain(change.name, "nothing was done")
            return 1
    number = desk.change(_work(change, where, job_ids)) if job_ids else 0
    if arguments.json:
        _print_json({"matched": len(job_ids), change.done: number})
    else:
        print(f"{counted(number, 'job')} {change.done}." if job_ids else "No such jobs.")
    return 0


def _found(desk: Desk, where: Where) -> list[str]:
    with desk.reader() as reader:
        return [job.job_id for page in pages(reader, where, None) for job in page]


def _can_ask() -> bool:
    return all(each is not None and each.isatty() for each in (sys.stdin, sys.stderr))


def _is_yes(question: str) -> bool:
    print(question, end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):  # Ctrl-D
        print(file=sys.stderr)
    return answer.strip().lower() in ("y", "yes")


def _work(change: _Change, where: Where, job_ids: list[str]) -> Callable[[JobBackend], Any]:
    """Do it, and return to how many; jobs that have ended or gone meanwhile do not count."""
    if change is _CANCELLING:
        return lambda queue: queue.cancel_all(**where._asdict())

    async def work(queue: JobBackend) -> int:
        done: list[Outcome] = []
        await changing.each(change.one, job_ids, done.append, queue)
        return sum(outcome.problem is None for outcome in done)

    return work


def _print_json(fields: dict[str, Any]) -> None:
    print(json.dumps(fields))
