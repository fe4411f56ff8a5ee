"""The arguments of ``stoat-jobs demo``, and its exit status."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from ..._display import printable
from ..terminal.extras import missing_extra
from ..terminal.interrupts import Interrupts
from ..terminal.output import discard_output

_NEEDS = ("httpx", "httpx_sse", "rich", "starlette", "uvicorn")

_LAST_PORT = 65_535

_HELP = "scan a directory as a job of a real web app"
_MORE = """\
Starts a web server that only this machine can reach, asks it to read every file below DIR, and
shows that it still answers other requests meanwhile. It writes nothing and sends nothing to other
machines.

With --backend sqlite the server keeps its jobs in a temporary file. It is killed in the middle of
the scan and started again, and the job goes on.

exit codes: 0 done (also: Ctrl-C while --serve waits), 1 the job failed, 2 DIR cannot be scanned or
the extra [demo] is missing, 130 Ctrl-C, 143 SIGTERM
"""


def add_to(commands: Any) -> None:
    """Add this command to the parser's commands."""
    parser = commands.add_parser(
        "demo",
        help=_HELP,
        description=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("dir", metavar="DIR", nargs="?", default=".", help="default: here")
    parser.add_argument(
        "--backend",
        choices=("asyncio", "sqlite"),
        default="asyncio",
        help="default: asyncio; with sqlite the job survives the end of its process",
    )
    parser.add_argument(
        "--serve",
        action="store_true",
        help="keep the server running after the report, with more job types to try",
    )
    parser.add_argument(
        "--port", type=_port, default=0, help="the port to listen on, default: a free one"
    )
    parser.set_defaults(run=run)


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) <= _LAST_PORT):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to {_LAST_PORT}")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; returns the exit code."""
    with Interrupts() as interrupts:
        try:
            return _scan(Path(arguments.dir), arguments, interrupts)
        except KeyboardInterrupt:
            discard_output()
            print(f"stoat-jobs demo: stopped by {interrupts.name}", file=sys.stderr)
            return interrupts.exit_code


def _scan(root: Path, arguments: argparse.Namespace, interrupts: Interrupts) -> int:
    if problem := missing_extra("demo", _NEEDS) or _unreadable(root):
        return _refuse(problem)
    killed = ", and is killed in the middle" if arguments.backend == "sqlite" else ""
    where = printable(os.path.abspath(root))
    print(f"A web app reads {where} in a background job{killed}.", flush=True)
    start = _in_a_process if killed else _in_a_thread
    return start(root, arguments.port, arguments.serve, interrupts)


def _in_a_thread(root: Path, port: int, serve: bool, interrupts: Interrupts) -> int:
    from ..._demo.app import HOST, create_app
    from .run import run
    from .server import Server

    try:
        server = Server(create_app(root), port)
    except OSError as error:
        return _refuse(f"cannot listen on {HOST}:{port}: {error.strerror}")
    return run(server, root, serve=serve, interrupts=interrupts)


def _in_a_process(root: Path, port: int, serve: bool, interrupts: Interrupts) -> int:
    from .restart import run

    return run(root, port, serve=serve, interrupts=interrupts)


def _refuse(problem: str) -> int:
    print(f"stoat-jobs demo: {problem}", file=sys.stderr)
    return 2


def _unreadable(root: Path) -> str | None:
    """Why *root* cannot be scanned, in one line."""
    try:
        os.scandir(root).close()
    except OSError as error:
        return f"cannot read {printable(str(root))}: {error.strerror}"
    return None
