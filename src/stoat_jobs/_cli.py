"""The `stoat-jobs` command."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path

from stoat_jobs import available_backends

from ._check import command as check
from ._demo.interrupts import Interrupts
from ._demo.text import printable

_DEMO_NEEDS = ("httpx", "rich", "starlette", "uvicorn")
_HEADINGS = ("BACKEND", "DISTRIBUTION", "VERSION", "STATE")
_OK = "ok"

_BACKENDS_HELP = "list the installed backends; exits with 1 if one of them cannot be used"
_DEMO_HELP = "scan a directory as a job of a real web app"
_DEMO_MORE = """\
Starts a web server on a free port of this machine, asks it to read every file below DIR, and shows
that it goes on answering meanwhile. Nothing is written, nothing leaves the machine.

exit codes: 0 done (also: Ctrl-C once --serve waits), 1 the job failed, 2 DIR cannot be scanned or
the extra [demo] is missing, 130 Ctrl-C, 143 SIGTERM
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with *argv*, by default the process's own; returns its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may be anything
    try:
        arguments = _parser().parse_args(argv)
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        _discard_output()
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("stoat-jobs", description="A job queue inside your ASGI app.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    backends = commands.add_parser("backends", help=_BACKENDS_HELP, description=_BACKENDS_HELP)
    backends.set_defaults(run=_backends)
    check.add_to(commands)
    demo = commands.add_parser(
        "demo",
        help=_DEMO_HELP,
        description=_DEMO_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    demo.add_argument("dir", metavar="DIR", nargs="?", default=".", help="default: here")
    demo.add_argument("--serve", action="store_true", help="keep the server after the report")
    demo.set_defaults(run=_demo)
    return parser


def _discard_output() -> None:
    """Nobody reads it any more: flushing it at exit would fail, or block."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _backends(arguments: argparse.Namespace) -> int:
    points = available_backends()
    states = [_state(point, points) for point in points]
    _print_table([_HEADINGS, *(_row(point, state) for point, state in zip(points, states))])
    return 0 if all(state == _OK for state in states) else 1


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def _row(point: EntryPoint, state: str) -> tuple[str, ...]:
    return (point.name, *_distribution(point), state)


def _distribution(point: EntryPoint) -> tuple[str, str]:
    return (point.dist.name, point.dist.version) if point.dist else ("unnamed", "")


def _state(point: EntryPoint, points: Sequence[EntryPoint]) -> str:
    """Whether the backend can be used, and if not, why."""
    rivals = [_distribution(each)[0] for each in points if each.name == point.name]
    if len(rivals) > 1:
        return f"clash: claimed by {' and '.join(rivals)}; uninstall one of them"
    try:
        point.load()
    except (Exception, SystemExit) as error:  # what a module may do when it is imported
        return f"cannot be imported: {type(error).__name__}: {printable(str(error))}"
    return _OK


def _demo(arguments: argparse.Namespace) -> int:
    with Interrupts() as interrupts:
        try:
            return _scan(Path(arguments.dir), arguments.serve, interrupts)
        except KeyboardInterrupt:
            _discard_output()
            print(f"stoat-jobs demo: ended by {interrupts.name}", file=sys.stderr)
            return interrupts.exit_code


def _scan(root: Path, serve: bool, interrupts: Interrupts) -> int:
    if problem := _problem(root):
        print(f"stoat-jobs demo: {problem}", file=sys.stderr)
        return 2
    print(f"A web app reads {printable(os.path.abspath(root))} in a background job.", flush=True)
    from ._demo.run import run

    return run(root, serve=serve, interrupts=interrupts)


def _problem(root: Path) -> str | None:
    """Why the demo cannot run on *root*, in one line."""
    if missing := [name for name in _DEMO_NEEDS if find_spec(name) is None]:
        return f'{", ".join(missing)} not installed: pip install "stoat-jobs[demo]"'
    try:
        os.scandir(root).close()
    except OSError as error:
        return f"cannot read {printable(str(root))}: {error.strerror}"
    return None
