"""The arguments of ``stoat-jobs watch``, and its exit status."""

from __future__ import annotations

import argparse
import math
import re
import sys
from typing import Any

from ..._display import printable
from ..terminal.extras import missing_extra
from ..terminal.interrupts import Interrupts

_NEEDS = ("httpx", "httpx_sse", "rich")

_HELP = "follow a server's job, or all its jobs"
_MORE = """\
If URL is where a server mounts jobs_app (.../jobs/), shows a table of its jobs, newest first, until
Ctrl-C. A query filters them: '.../jobs/?status=running&job_type=scan&metadata.user=ada&limit=20'.
The table has the newest 100, or LIMIT, and says if there are more.
If URL is one job (.../jobs/ID), shows its progress until it finishes, and its outcome.

If the connection to the server is lost, the command tries again until the server is back.

exit codes: 0 the job completed (also: Ctrl-C at a table), 1 it finished otherwise, 2 the server
cannot be reached, has no such job, or denies access to it, 130 Ctrl-C, 143 SIGTERM
"""

# Only printable ASCII may be sent.
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ ]*([ -~]*)")


def add_to(commands: Any) -> None:
    """Add this command to the parser's commands."""
    parser = commands.add_parser(
        "watch",
        help=_HELP,
        description=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", metavar="URL", help="http://localhost:8000/jobs/, for example")
    parser.add_argument(
        "--header",
        dest="headers",
        metavar="'NAME: VALUE'",
        type=_header,
        action="append",
        default=[],
        help="send this header with each request: 'Authorization: Bearer ...'; can be repeated",
    )
    parser.add_argument(
        "--every",
        metavar="SECONDS",
        type=_seconds,
        default=1.0,
        help="how long to wait between two requests for the table, default: 1",
    )
    parser.set_defaults(run=run)


def _header(text: str) -> tuple[str, str]:
    found = _HEADER.fullmatch(text)
    if not found:  # the error does not quote it, because it may be a secret
        raise argparse.ArgumentTypeError("not of the form 'Name: value', in ASCII")
    return found[1], found[2]


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds


def run(arguments: argparse.Namespace) -> int:
    """Watch until the job has finished, or a signal; returns the exit code."""
    if missing := missing_extra("watch", _NEEDS):
        return _refuse(missing)
    from .remote import RemoteError
    from .run import watch

    with Interrupts() as interrupts:
        try:
            return watch(arguments.url, arguments.headers, arguments.every, interrupts)
        except RemoteError as error:
            return _refuse(str(error))


def _refuse(problem: str) -> int:
    print(f"stoat-jobs watch: {printable(problem)}", file=sys.stderr)
    return 2
