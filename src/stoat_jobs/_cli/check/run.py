"""Runs the tests, with a pytest plug-in that prints the results as a table."""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import Any, cast

import pytest

from stoat_jobs._display import printable
from stoat_jobs.backends import Capabilities

from .interrupts import repeated_interrupts
from .subject import Subject
from .table import State, Table

# The user's options and plug-ins for pytest must not affect the kit, which needs none of them.
_ENVIRONMENT = {"PYTEST_ADDOPTS": "", "PYTEST_PLUGINS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
_SUITE = """\
import json

from stoat_jobs._cli.check.suite import suite_of

TestPromises = suite_of(*json.loads({arguments!r}))
"""


def run(subject: Subject, capabilities: Capabilities, table: Table) -> Reporter:
    """Run the kit against *subject*, printing to *table*."""
    reporter = Reporter(table)
    with tempfile.TemporaryDirectory(prefix="stoat-jobs-check-") as folder:
        os.environ.update(_ENVIRONMENT, HYPOTHESIS_STORAGE_DIRECTORY=folder, TMPDIR=folder)
        tempfile.tempdir = folder  # so the folders of all tests are removed with this one
        (Path(folder) / "pytest.ini").write_text("[pytest]\n")
        suite = Path(folder) / "test_promises.py"
        arguments = [subject.name, subject.url, subject.options, capabilities.model_dump()]
        suite.write_text(_SUITE.format(arguments=json.dumps(arguments)))
        options = ["-pno:terminal", "-pno:cacheprovider", f"--rootdir={folder}"]
        with repeated_interrupts(lambda: reporter.interrupted):
            reporter.exit_code = pytest.main([*options, str(suite)], plugins=[reporter])
    if reporter.error is not None:
        raise reporter.error
    return reporter


class Reporter:
    """A pytest plug-in that adds a promise to *table* when its last test has finished.

    Attributes:
        exit_code: the exit code of pytest.
        interrupted: whether Ctrl-C ended the run.
        problem: why nothing could be run, in one line.
        error: an exception from a hook, such as ``BrokenPipeError`` from printing.
    """

    exit_code: int = 0
    interrupted = False
    problem = ""
    error: BaseException | None = None

    def __init__(self, table: Table) -> None:
        self._table = table
        self._left: Counter[str] = Counter()
        self._broken: list[str] = []
        self._excuse = ""

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.problem = _failure(report)

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        # Not imported earlier: pytest rewrites the asserts of the kit's modules on import.
        from stoat_jobs.testing._listing import promises

        self._promises = {promise.test: promise for promise in promises(items[0].cls)}
        order = list(self._promises)
        items.sort(key=lambda item: order.index(item.originalname))
        self._left.update(item.originalname for item in items)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._broken.append(f"{_case(report.nodeid)} {_failure(report)}")
        elif report.skipped:
            self._excuse = f" [{_reason(report)}]"

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        test = _case(nodeid).partition("[")[0]
        self._left[test] -= 1
        if not self._left[test]:
            self._print(test)

    def _print(self, test: str) -> None:
        promise = self._promises[test]
        state = State.EXCUSED if self._excuse else State.KEPT
        self._table.promise(
            promise.group,
            promise.sentence + self._excuse,
            State.BROKEN if self._broken else state,
            _one_of(self._broken),
        )
        self._broken, self._excuse = [], ""

    def pytest_keyboard_interrupt(self) -> None:
        self.interrupted = True
        warnings.simplefilter("ignore")  # about what the interrupt left unfinished

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> bool:
        self.error = excinfo.value
        return True  # pytest prints nothing, because run() raises the error again


def _case(nodeid: str) -> str:
    return nodeid.rpartition("::")[2]


def _failure(report: Any) -> str:
    """The place and the message of a failure, in one line."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is None:
        return printable(str(report.longrepr).strip().splitlines()[-1])
    message = printable(crash.message.splitlines()[0] if crash.message else "")
    return f"({Path(crash.path).name}:{crash.lineno}): {message}"


def _reason(report: pytest.TestReport) -> str:
    """The missing capability that excuses from a test."""
    _, _, message = cast(tuple[str, int, str], report.longrepr)
    return message.rpartition("excused by ")[2].replace("`", "")


def _one_of(failures: list[str]) -> str:
    first, *more = failures or [""]
    return first + (f" (and {len(more)} more like this)" if more else "")
