"""The arguments of ``stoat-jobs check``, and its exit status."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from stoat_jobs import JobsError
from stoat_jobs._cli.terminal.arguments import option
from stoat_jobs._cli.terminal.extras import missing_extra
from stoat_jobs._display import printable
from stoat_jobs.backends import Capabilities

from .subject import FOLDER, NAME, Subject

_NEEDS = ("pytest", "hypothesis")

HELP = "check that an installed backend keeps every promise; prints a table"
_MORE = f"""\
Runs the test kit against the backend NAME; each test uses a new queue. A backend is excused from
promises that need a capability which it lacks. The attribute `capabilities` of its queue declares
what it has and lacks; --capability and --without override that.

{FOLDER} in --url or in the value of an --option is replaced with a new folder for each test, and
{NAME} with a new name, for a schema or a table.

exit codes: 0 every promise was kept or excused, 1 a promise was broken, 2 nothing was checked
"""


def add_to(commands: Any) -> None:
    """Add this command to the parser's commands."""
    parser = commands.add_parser(
        "check",
        help=HELP,
        description=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME", help="a name that `stoat-jobs backends` lists")
    parser.add_argument("--url", help="the URL of the engine")
    parser.add_argument(
        "--option",
        dest="options",
        metavar="KEY=VALUE",
        type=option,
        action="append",
        default=[],
        help="an entry of the settings' options; VALUE is JSON, or else a string",
    )
    for flag, value in (("--capability", True), ("--without", False)):
        parser.add_argument(
            flag,
            dest="capabilities",
            metavar="NAME",
            type=lambda name, value=value: (name, value),
            action="append",
            default=[],
            help=f"a capability that the backend {'has' if value else 'lacks'}; overrides its own",
        )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check a backend; returns the exit code."""
    if missing := missing_extra("testing", _NEEDS):
        return _refuse(missing)
    subject = Subject(arguments.name, arguments.url, dict(arguments.options))
    try:
        queue = subject.first_queue()
    except (Exception, SystemExit) as error:  # importing a module may raise anything
        known = isinstance(error, (JobsError, ValueError))
        return _refuse(str(error) if known else f"{type(error).__name__}: {error}")
    try:
        declared = Capabilities.of(queue).model_dump()
        capabilities = Capabilities(**{**declared, **dict(arguments.capabilities)})
    except TypeError as error:
        return _refuse(str(error))
    if capabilities.durable and not subject.has_place:
        return _refuse(
            f"each test of a durable backend needs a store of its own: use {FOLDER} or {NAME} in"
            " --url or in an --option"
        )
    return _check(subject, capabilities, type(queue))


def _check(subject: Subject, capabilities: Capabilities, queue_class: type) -> int:
    from .run import run
    from .table import State, Table

    table = Table(sys.stdout)
    table.text(f"{subject.name}: {queue_class.__module__}.{queue_class.__qualname__}")
    reporter = run(subject, capabilities, table)
    if reporter.interrupted:
        raise KeyboardInterrupt
    if reporter.problem or reporter.exit_code not in (0, 1):
        return _refuse(reporter.problem or f"pytest exited with {reporter.exit_code}")
    table.total()
    return 1 if table.counts[State.BROKEN] or reporter.exit_code else 0


def _refuse(problem: str) -> int:
    print(f"stoat-jobs check: {printable(' '.join(problem.split()))}", file=sys.stderr)
    return 2
