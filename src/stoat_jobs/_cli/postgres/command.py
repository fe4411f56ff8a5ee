"""The arguments of ``stoat-jobs postgres``, and its exit status."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from stoat_jobs import JobsError

from ..._display import printable
from ..terminal.extras import missing_extra
from .description import status_lines

if TYPE_CHECKING:
    from stoat_jobs.postgres import TablesStatus

_NEEDS = ("asyncpg", "pgqueuer")

_HELP = "create, upgrade or look at the tables of the postgres backend"
_INIT = "create the tables where there are none, and upgrade old ones"
_UPGRADE = "upgrade the tables, if they are of an older version"
_STATUS = "show what is in the tables, and what is wrong: jobs that nobody runs, dead rows"
_MORE = """\


URL is postgresql://user:password@host/database. Other users of this machine can see the arguments
of a command: leave the password to PGPASSWORD or to ~/.pgpass.

"""
_CODES = "exit codes: 0 done, 2 that failed, 130 Ctrl-C\n"
_STATUS_CODES = "exit codes: 0 all is well, 1 something is wrong, 2 cannot be read, 130 Ctrl-C\n"

Act = Callable[[argparse.Namespace], int]


def add_to(commands: Any) -> None:
    """Add this command to the parser's commands."""
    parser = commands.add_parser("postgres", help=_HELP, description=_HELP.capitalize() + ".")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    _add(actions, "init", _INIT, _CODES, _init)
    _add(actions, "upgrade", _UPGRADE, _CODES, _upgrade)
    _add(actions, "status", _STATUS, _STATUS_CODES, _status).add_argument(
        "--json", action="store_true", help="one JSON object, for jq"
    )


def _add(actions: Any, name: str, what: str, codes: str, act: Act) -> Any:
    parser = actions.add_parser(
        name,
        help=what,
        description=what[0].upper() + what[1:] + "." + _MORE + codes,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", metavar="URL", help="where the server and the database are")
    parser.add_argument(
        "--schema",
        metavar="NAME",
        default="stoat_jobs",
        help="as in the settings' options, default: stoat_jobs",
    )
    parser.set_defaults(run=partial(_run, name, act))
    return parser


def _run(name: str, act: Act, arguments: argparse.Namespace) -> int:
    if missing := missing_extra("postgres", _NEEDS):
        return _refuse(name, missing)
    try:
        return act(arguments)
    except JobsError as error:
        return _refuse(name, str(error))


def _init(arguments: argparse.Namespace) -> int:
    from stoat_jobs.postgres import create_tables

    asyncio.run(create_tables(arguments.url, arguments.schema))
    print(f"The tables in schema {arguments.schema} are current.")
    return 0


def _upgrade(arguments: argparse.Namespace) -> int:
    from stoat_jobs.postgres import upgrade_tables

    asyncio.run(upgrade_tables(arguments.url, arguments.schema))
    print(f"The tables in schema {arguments.schema} are current.")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from stoat_jobs.postgres import tables_status

    status = asyncio.run(tables_status(arguments.url, arguments.schema))
    print(_as_json(status) if arguments.json else "\n".join(status_lines(status)))
    return 1 if status.problems else 0


def _as_json(status: TablesStatus) -> str:
    return json.dumps(dataclasses.asdict(status) | {"problems": status.problems})


def _refuse(name: str, problem: str) -> int:
    line = printable(" ".join(problem.split()))
    print(f"stoat-jobs postgres {name}: {line}", file=sys.stderr)
    return 2
