"""A backend of this package whose extra is not installed says what to install."""

from __future__ import annotations

import json

from ..support.programs import run_python

BLOCKED = """
import sys
sys.modules |= dict.fromkeys(("asyncpg", "pgqueuer"))  # as if they were not installed
"""
INSTALL = 'pip install "stoat-jobs[postgres]"'
CREATE = """
import json
from stoat_jobs import BackendImportError, JobQueueSettings, create_queue
try:
    create_queue(settings=JobQueueSettings(backend="postgres", url="postgresql://h"))
except BackendImportError as error:
    print(json.dumps([str(error), error.extras, type(error.__cause__).__name__]))
"""
COMMAND = """
from stoat_jobs._cli.main import main
print("exit code", main({arguments!r}))
"""


def test_create_queue_names_the_extra() -> None:
    """The error says what could not be imported, and how to install it."""
    message, extras, cause = json.loads(run_python("-c", BLOCKED + CREATE).stdout)
    assert message.startswith("backend 'postgres' of stoat-jobs cannot be imported: ")
    assert message.endswith(f"; try: {INSTALL}")
    assert (extras, cause) == (["postgres"], "ModuleNotFoundError")


def test_the_command_names_the_extra() -> None:
    """In one line, with exit code 2."""
    for action in ("init", "upgrade", "status"):
        code = COMMAND.format(arguments=["postgres", action, "postgresql://h"])
        done = run_python("-c", BLOCKED + code)
        assert done.stdout == "exit code 2\n"
        line = f"stoat-jobs postgres {action}: asyncpg, pgqueuer not installed: {INSTALL}\n"
        assert done.stderr == line


def test_the_list_of_backends_names_the_extra() -> None:
    """It is listed, and is nothing that is wrong."""
    done = run_python("-c", BLOCKED + COMMAND.format(arguments=["backends"]))
    assert done.stdout.endswith("exit code 0\n")
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("postgres ")]
    assert line.endswith(f"not installed: {INSTALL}")
