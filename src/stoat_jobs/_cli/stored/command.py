"""``stoat-jobs list`` and ``stoat-jobs show``."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from stoat_jobs import JobPage, JobResult, JobStatus

from . import changes
from .arguments import add_app, add_command, add_filters, complain, where_of
from .desk import Desk
from .details import detail_lines
from .reading import pages
from .results import typed
from .table import Row, row_of, table_lines

_LIST = "list the jobs that a backend keeps outside its process, newest first"
_SHOW = "show one job that a backend keeps outside its process, with its result"
_MORE = """\
Reads what is kept at URL, also while apps and workers use it, and changes nothing. Backends that
keep their jobs in memory cannot be read: `stoat-jobs watch` asks their server.

"""
_LIST_CODES = "exit codes: 0 listed, 2 cannot be read, 130 Ctrl-C\n"
_SHOW_CODES = "exit codes: 0 shown, 2 cannot be read or no such job, 130 Ctrl-C\n"

_NOT_IN_A_LIST = {"payload", "result"}  # they may be large


def add_to(commands: Any) -> None:
    """Add these commands to the parser's commands."""
    listing = add_command(commands, "list", _LIST, _MORE + _LIST_CODES, _list)
    add_filters(listing, tuple(JobStatus))
    listing.add_argument(
        "--limit", metavar="N", type=_limit, default=100, help="how many jobs, default: 100"
    )
    showing = add_command(commands, "show", _SHOW, _MORE + _SHOW_CODES, _show)
    showing.add_argument("job_id", metavar="ID")
    add_app(showing, "results are shown as its handlers declare them")
    changes.add_to(commands)


def _limit(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of jobs above 0")
    return int(text)


def _list(desk: Desk, arguments: argparse.Namespace) -> int:
    now, rows = datetime.now(UTC), list[Row]()
    page: JobPage[Any] = JobPage([])
    with desk.reader() as reader:
        for page in pages(reader, where_of(arguments), arguments.limit):
            if arguments.json:
                _print_json(page, exclude=_NOT_IN_A_LIST)
            else:
                rows += (row_of(job, now) for job in page)
    if not arguments.json:
        _print_table(rows)
    if page.cursor is not None:
        complain("list", f"the newest {arguments.limit:,}; there are older ones: raise --limit")
    return 0


def _show(desk: Desk, arguments: argparse.Namespace) -> int:
    with desk.reader() as reader:
        job, kind = typed(reader.get_result(arguments.job_id), desk.handlers)
    if arguments.json:
        _print_json([job])
    else:
        print("\n".join(detail_lines(job, kind)))
    return 0


def _print_json(jobs: Iterable[JobResult[Any]], exclude: set[str] | None = None) -> None:
    for job in jobs:
        print(job.model_dump_json(exclude=exclude, ensure_ascii=True))  # no control characters


def _print_table(rows: Sequence[Row]) -> None:
    if not rows:
        print("No jobs.")
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print("\n".join(table_lines(rows, width)))
