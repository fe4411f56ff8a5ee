"""The arguments of ``stoat-jobs list`` and ``stoat-jobs show``, and their exit status."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from stoat_jobs import (
    JobNotFoundError,
    JobPage,
    JobQueueSettings,
    JobResult,
    JobsError,
    JobStatus,
)
from stoat_jobs.backends import JobReader

from ..._display import printable
from ..terminal.arguments import option
from .details import detail_lines
from .reading import UnreadableError, Where, open_reader, pages
from .table import Row, row_of, table_lines

_LIST = "list the jobs that a backend keeps outside its process, newest first"
_SHOW = "show one job that a backend keeps outside its process, with its result"
_MORE = """\


Reads what is kept at URL, also while an app has it open, and changes nothing. Backends that keep
their jobs in memory cannot be read: `stoat-jobs watch` asks their server.

"""
_LIST_CODES = "exit codes: 0 listed, 2 cannot be read, 130 Ctrl-C\n"
_SHOW_CODES = "exit codes: 0 shown, 2 cannot be read or no such job, 130 Ctrl-C\n"

Act = Callable[[JobReader, argparse.Namespace], None]

_NOT_IN_A_LIST = {"payload", "result"}  # they may be large
_ID_LENGTH = 36


def add_to(commands: Any) -> None:
    """Add these commands to the parser's commands."""
    listing = _add(commands, "list", _LIST, _LIST_CODES, _list)
    listing.add_argument(
        "--status",
        dest="statuses",
        type=_status,
        metavar="STATUS",
        action="append",
        help="only jobs of this status, such as failed; can be repeated",
    )
    listing.add_argument(
        "--type",
        dest="types",
        metavar="TYPE",
        action="append",
        help="only jobs of this type; can be repeated",
    )
    listing.add_argument(
        "--limit", metavar="N", type=_limit, default=100, help="how many jobs, default: 100"
    )
    _add(commands, "show", _SHOW, _SHOW_CODES, _show).add_argument("job_id", metavar="ID")


def _add(commands: Any, name: str, what: str, codes: str, act: Act) -> Any:
    parser = commands.add_parser(
        name,
        help=what,
        description=what[0].upper() + what[1:] + "." + _MORE + codes,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--backend", metavar="NAME", required=True, help="such as sqlite")
    parser.add_argument("--url", help="where it keeps its jobs, as in the settings: jobs.db")
    parser.add_argument(
        "--option",
        dest="options",
        metavar="KEY=VALUE",
        type=option,
        action="append",
        default=[],
        help="an entry of the settings' options; VALUE is JSON, or else a string",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on each line, for jq")
    parser.set_defaults(run=partial(_run, name, act))
    return parser


def _status(text: str) -> JobStatus:
    try:
        return JobStatus(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a status; there are {', '.join(JobStatus)}"
        ) from None


def _limit(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of jobs above 0")
    return int(text)


def _run(command: str, act: Act, arguments: argparse.Namespace) -> int:
    try:
        with open_reader(_settings(arguments)) as reader:
            act(reader, arguments)
    except BrokenPipeError:
        raise
    except JobNotFoundError as error:
        return _refuse(command, _not_found(error.job_id))
    except (JobsError, UnreadableError, OSError, ValueError) as error:
        return _refuse(command, str(error))
    return 0


def _settings(arguments: argparse.Namespace) -> JobQueueSettings:
    options = dict(arguments.options)
    return JobQueueSettings(backend=arguments.backend, url=arguments.url, options=options)


def _list(reader: JobReader, arguments: argparse.Namespace) -> None:
    where = Where(arguments.statuses, arguments.types)
    now, rows = datetime.now(UTC), list[Row]()
    page: JobPage[Any] = JobPage([])
    for page in pages(reader, where, arguments.limit):
        if arguments.json:
            _print_json(page, exclude=_NOT_IN_A_LIST)
        else:
            rows += (row_of(job, now) for job in page)
    if not arguments.json:
        _print_table(rows)
    if page.cursor is not None:
        newest = f"the newest {arguments.limit:,}; there are older ones: raise --limit"
        print(f"stoat-jobs list: {newest}", file=sys.stderr)


def _show(reader: JobReader, arguments: argparse.Namespace) -> None:
    job = reader.get_result(arguments.job_id)
    if arguments.json:
        _print_json([job])
    else:
        print("\n".join(detail_lines(job)))


def _print_json(jobs: Iterable[JobResult[Any]], exclude: set[str] | None = None) -> None:
    for job in jobs:
        print(job.model_dump_json(exclude=exclude, ensure_ascii=True))  # no control characters


def _print_table(rows: Sequence[Row]) -> None:
    if not rows:
        print("No jobs.")
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print("\n".join(table_lines(rows, width)))


def _not_found(job_id: str) -> str:
    whole = "" if len(job_id) >= _ID_LENGTH else "; give the whole id"
    return f"no job {job_id!r}: it was never submitted, or is not kept any more{whole}"


def _refuse(command: str, problem: str) -> int:
    print(f"stoat-jobs {command}: {printable(' '.join(problem.split()))}", file=sys.stderr)
    return 2
