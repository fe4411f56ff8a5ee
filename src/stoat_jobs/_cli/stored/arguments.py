"""Arguments that the commands on a backend have in common, and how such a command ends."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from stoat_jobs import JobNotFoundError, JobsError, JobStatus

from ..._display import printable
from ..terminal.arguments import item, option
from .app import AppError, app_name, handlers_of
from .desk import Desk, UnreachableError, open_desk
from .reading import Where

Act = Callable[[Desk, argparse.Namespace], int]
"""What a command does; returns its exit code."""

_ID_LENGTH = 36


def add_command(commands: Any, name: str, what: str, more: str, act: Act) -> Any:
    """Add a command with the arguments that say where the jobs are."""
    parser = commands.add_parser(
        name,
        help=what,
        description=f"{what[0].upper()}{what[1:]}.\n\n{more}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--backend", metavar="NAME", required=True, help="such as sqlite or postgres"
    )
    parser.add_argument(
        "--url",
        help="where it keeps its jobs, as in the settings: jobs.db or postgresql://app@host/db;"
        " leave a password to PGPASSWORD or ~/.pgpass",
    )
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
    parser.set_defaults(run=partial(_run, name, act), app=None)
    return parser


def add_filters(parser: Any, statuses: tuple[JobStatus, ...]) -> None:
    """Add the arguments that say which jobs, by their fields."""
    parser.add_argument(
        "--status",
        dest="statuses",
        type=partial(_status, statuses),
        metavar="STATUS",
        action="append",
        help=f"only jobs of this status ({', '.join(statuses)}); can be repeated",
    )
    parser.add_argument(
        "--type",
        dest="types",
        metavar="TYPE",
        action="append",
        help="only jobs of this type; can be repeated",
    )
    parser.add_argument(
        "--metadata",
        dest="items",
        metavar="KEY=VALUE",
        type=item,
        action="append",
        help="only jobs whose metadata has this item; VALUE is a number, true, false or a quoted"
        " string, as in JSON, or else a string; can be repeated",
    )


def add_app(parser: Any, what: str, *, required: bool = False) -> None:
    """Add the argument that says which app's handlers are used, and for *what*."""
    parser.add_argument(
        "--app",
        metavar="MODULE:NAME",
        type=app_name,
        required=required,
        help=f"the app or its JobHandlers, such as package.module:app: {what}",
    )


def where_of(arguments: argparse.Namespace) -> Where:
    """Which jobs the filters mean."""
    items = None if arguments.items is None else dict(arguments.items)
    return Where(arguments.statuses, arguments.types, items)


def _status(known: tuple[JobStatus, ...], text: str) -> JobStatus:
    if text in known:
        return JobStatus(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a status here; there are {', '.join(known)}")


def _run(command: str, act: Act, arguments: argparse.Namespace) -> int:
    try:
        handlers = handlers_of(*arguments.app) if arguments.app else None
        options = dict(arguments.options)
        with open_desk(arguments.backend, arguments.url, options, handlers) as desk:
            return act(desk, arguments)
    except BrokenPipeError:
        raise
    except JobNotFoundError as error:
        complain(command, not_found(error.job_id))
    except (JobsError, UnreachableError, AppError, OSError, ValueError) as error:
        complain(command, str(error))
    return 2


def not_found(job_id: str) -> str:
    """That there is no such job."""
    whole = "" if len(job_id) >= _ID_LENGTH else "; give the whole id"
    return f"no job {job_id!r}: it was never submitted, or is not kept any more{whole}"


def complain(command: str, problem: str) -> None:
    """Say on standard error, in one line, what is wrong."""
    line = printable(" ".join(problem.split()))
    print(f"stoat-jobs {command}: {line}", file=sys.stderr)
