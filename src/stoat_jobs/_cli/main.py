"""The `stoat-jobs` command."""

from __future__ import annotations

import argparse
import io
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stoat_jobs import available_backends

from .._display import printable
from .check import command as check
from .demo import command as demo
from .postgres import command as postgres
from .stored import command as stored
from .terminal.output import discard_output
from .watch import command as watch
from .worker import command as worker

if TYPE_CHECKING:
    from importlib_metadata import EntryPoint

_HEADINGS = ("BACKEND", "DISTRIBUTION", "VERSION", "STATE")
_OK = "ok"
_NOT_INSTALLED = "not installed: "

_BACKENDS_HELP = "list the installed backends; exits with 1 if any of them is unusable"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with *argv*, or with ``sys.argv``; returns the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may contain any bytes
    try:
        arguments = _parser().parse_args(argv)
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        discard_output()  # the reader may have stopped, and Python would wait for it at exit
        return 128 + signal.SIGINT
    except BrokenPipeError:
        discard_output()
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("stoat-jobs", description="A job queue inside your ASGI app.")
    parser.add_argument(
        "--version", action=_ShowVersion, nargs=0, help="show the installed version and exit"
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    backends = commands.add_parser("backends", help=_BACKENDS_HELP, description=_BACKENDS_HELP)
    backends.set_defaults(run=_backends)
    check.add_to(commands)
    demo.add_to(commands)
    postgres.add_to(commands)
    stored.add_to(commands)
    watch.add_to(commands)
    worker.add_to(commands)
    return parser


class _ShowVersion(argparse.Action):
    """As argparse's own, but it reads the metadata only when it is asked."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(_version(), flush=True)  # else a reader that left would be seen too late
        parser.exit()


def _version() -> str:
    from importlib_metadata import PackageNotFoundError, version

    try:
        return f"stoat-jobs {version('stoat-jobs')}"
    except PackageNotFoundError:
        return "stoat-jobs, version unknown: this copy has no metadata"


def _backends(arguments: argparse.Namespace) -> int:
    points = available_backends()
    states = [_state(point, points) for point in points]
    _print_table([_HEADINGS, *(_row(point, state) for point, state in zip(points, states))])
    return 0 if all(state == _OK or state.startswith(_NOT_INSTALLED) for state in states) else 1


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def _row(point: EntryPoint, state: str) -> tuple[str, ...]:
    """The printed cells; they contain text of other distributions, so they are escaped."""
    return tuple(map(printable, (point.name, *_distribution(point), state)))


def _distribution(point: EntryPoint) -> tuple[str, str]:
    return (point.dist.name, point.dist.version) if point.dist else ("unnamed", "")


def _state(point: EntryPoint, points: Sequence[EntryPoint]) -> str:
    """``ok`` if the backend can be used, or else why it cannot."""
    rivals = [_distribution(each)[0] for each in points if each.name == point.name]
    if len(rivals) > 1:
        return f"clash: claimed by {' and '.join(rivals)}; uninstall one of them"
    try:
        point.load()
    except (Exception, SystemExit) as error:  # importing a module may raise anything
        if isinstance(error, ModuleNotFoundError) and (extra := _extra_of(point)):
            return f'{_NOT_INSTALLED}pip install "stoat-jobs[{extra}]"'
        return f"cannot be imported: {type(error).__name__}: {error}"
    return _OK


def _extra_of(point: EntryPoint) -> str | None:
    """The extra of stoat-jobs that a backend of its own needs, if there is one of its name."""
    if point.dist is None or point.dist.name != "stoat-jobs":
        return None
    extras = point.dist.metadata.get_all("Provides-Extra") or []
    return point.name if point.name in extras else None
