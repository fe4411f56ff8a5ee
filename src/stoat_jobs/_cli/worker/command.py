"""The arguments of ``stoat-jobs worker``, and its exit status."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

_HELP = "run the jobs of an ASGI app in a process of its own, with the app's lifespan"
_MORE = """\
Imports the app and runs its lifespan, without a socket: handlers have what they have in a web
process. Its queues run jobs, also with options={"worker": False}, with which the web processes
only submit. The backend must be one that processes share, such as postgres.

SIGTERM, or Ctrl-C once, stops it in good order; Ctrl-C twice leaves at once.

exit codes: 0 stopped, 1 the app or its lifespan failed, 2 wrong arguments, no such app or nothing
to run, 130 Ctrl-C twice
"""

_LAST_PORT = 65_535


def add_to(commands: Any) -> None:
    """Add this command to the parser's commands."""
    parser = commands.add_parser(
        "worker",
        help=_HELP,
        description=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("app", metavar="APP", help="package.module:app, as for uvicorn")
    parser.add_argument(
        "--app-dir", metavar="DIR", default=".", help="where to look for APP first, default: here"
    )
    parser.add_argument("--factory", action="store_true", help="APP is a function that returns it")
    parser.add_argument(
        "--concurrency",
        metavar="N",
        type=_count,
        help="how many jobs run at once, default: as the settings say",
    )
    parser.add_argument(
        "--job-type",
        dest="job_types",
        metavar="NAME",
        action="append",
        default=[],
        help="run only jobs of this type; can be repeated",
    )
    _add_health(parser)
    parser.add_argument(
        "--loop",
        choices=("auto", "asyncio", "uvloop"),
        default="auto",
        help="the event loop, default: auto, which is uvloop if it is installed",
    )
    parser.add_argument(
        "--reload",
        action="store_true",
        help="for development: start again when a Python file below DIR changes",
    )
    parser.set_defaults(run=run)


def _add_health(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--health",
        metavar="HOST:PORT",
        type=_address,
        help="answer HTTP there: 200 if the worker can work, else 503; /live is always 200",
    )
    parser.add_argument(
        "--health-file",
        metavar="PATH",
        type=Path,
        help="write the same to a file, every two seconds",
    )
    parser.add_argument(
        "--health-limit",
        metavar="SECONDS",
        type=_seconds,
        help="what has not succeeded for so long is late, default: 30, or the lease if longer",
    )


def _count(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not (host and colon and port.isdecimal() and int(port) <= _LAST_PORT):
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, such as 127.0.0.1:8081")
    return host.removeprefix("[").removesuffix("]"), int(port)


def run(arguments: argparse.Namespace) -> int:
    """Run the worker, or the one that restarts it; returns the exit code."""
    if arguments.reload:
        from .reload import supervise

        return supervise(arguments)
    from .run import run as run_worker

    return run_worker(arguments)
