"""What is printed of a log record: one line that says which job, in any set-up of logging."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import queue
import re
import sys
from collections.abc import Callable
from logging.handlers import QueueHandler
from typing import Any

import pytest

from stoat_jobs.backends import log_event

from ..support.listening import Heard, listening
from ..support.programs import run_python

logger = logging.getLogger("stoat_jobs")
UUID4 = "[0-9a-f-]{36}"


def record_of(name: str = "job_failed", **extra: Any) -> logging.LogRecord:
    """What a log handler is given."""
    with listening(Heard()) as heard:
        log_event(logging.ERROR, name, **extra)
    return heard.records[0]


PROGRAM = """
import asyncio
from stoat_jobs import AsyncioJobQueue, JobContext, JobHandlers, JobQueueSettings

handlers = JobHandlers()

@handlers.job(timeout=0.01)
async def scan(ctx: JobContext) -> None:
    await asyncio.sleep(60)

@handlers.job
async def boom(ctx: JobContext) -> None:
    raise ValueError("no disk\\nFORGED")

async def main():
    async with AsyncioJobQueue(handlers, JobQueueSettings(drain_timeout=0)) as queue:
        await (await scan.submit(queue)).wait()
        await (await boom.submit(queue)).wait()
        await scan.options(timeout=60).submit(queue)
        for _ in range(1000):
            await boom.submit(queue)
        await asyncio.sleep(0)

asyncio.run(main())
"""


def test_a_program_that_sets_up_no_logging_says_what_went_wrong__fault_66() -> None:
    """The standard library's last resort prints the line, and not one line for each lost job."""
    done = run_python("-c", PROGRAM)
    lines = [line for line in done.stderr.split("\n") if line.startswith("job")]
    expected = [
        rf'job_timeout job_id={UUID4} job_type=scan error="ran longer than its limit of 0.01 s" .*',
        rf'job_failed job_id={UUID4} job_type=boom error="no disk\\\\nFORGED" error_type=ValueError .*',
        rf"job_cancelled job_id={UUID4} job_type=scan error=.* error_type=Shutdown .*",
        rf"jobs_cancelled count=1000 job_ids={UUID4}(,{UUID4}){{4}} error=.* error_type=Shutdown",
    ]
    assert len(lines) == len(expected), done.stderr
    for line, pattern in zip(lines, expected):
        assert re.fullmatch(pattern, line), line
    assert "ValueError: no disk\\nFORGED" in done.stderr


FORMATTERS = {
    "default": logging.Formatter(),
    "percent": logging.Formatter("%(message)s"),
    "width": logging.Formatter("%(message)-8s"),
    "brace": logging.Formatter("{message}", style="{"),
    "dollar": logging.Formatter("$message", style="$"),
}


@pytest.mark.parametrize("formatter", FORMATTERS.values(), ids=FORMATTERS)
def test_any_formatter_prints_the_line__fault_66(formatter: logging.Formatter) -> None:
    """The line is the message of the record, in each style of format."""
    record = record_of(job_id="1", job_type="scan", error="no disk", duration_s=1.23456, left=None)
    line = 'job_failed job_id=1 job_type=scan error="no disk" duration_s=1.235'
    assert formatter.format(record) == line
    assert f"{record.message}" == line


WAYS: dict[str, Callable[[logging.LogRecord], Any]] = {
    "msg": lambda record: record.msg,
    "message": lambda record: record.getMessage(),
    "json": lambda record: json.loads(json.dumps(record.getMessage())),
    "json of msg": lambda record: json.loads(json.dumps({"event": record.msg}))["event"],
    "format": logging.Formatter("%(msg)s").format,
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_what_reads_the_record_finds_the_events_name(way: Callable[..., Any]) -> None:
    """Structured logs, and a test's `caplog.messages`, have the name, and all else in extras."""
    record = record_of(job_id="1", error="no disk", left=None)
    assert way(record) == "job_failed"
    assert (record.args, record.job_id, record.error, record.left) == ((), "1", "no disk", None)  # type: ignore[attr-defined]


def test_the_line_goes_to_other_threads_and_processes() -> None:
    """Behind a queue or a socket the text is the line, without a class of ours."""
    record = record_of(job_id="1", error="no disk")
    line = 'job_failed job_id=1 error="no disk"'
    behind = QueueHandler(queue.SimpleQueue()).prepare(copy.copy(record))
    assert logging.Formatter().format(behind) == line
    for text in (record.msg, record.getMessage()):
        sent = pickle.loads(pickle.dumps(text))
        assert (type(sent), sent, copy.deepcopy(text)) == (str, line, line)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ('say "no"', '"say \\"no\\""'),
        ("C:\\new", "C:\\new"),
        ("C:\\new folder\\", '"C:\\\\new folder\\\\"'),
        ('x" error="forged', '"x\\" error=\\"forged"'),
        ("no\u00a0break", '"no\u00a0break"'),
        ("two\nlines", "two\\nlines"),
        ("two\r\nlines \x1b[2J\u202e", '"two\\\\r\\\\nlines \\\\x1b[2J\\\\u202e"'),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
        (3, "3"),
        (True, "True"),
        (0.1 + 0.2, "0.3"),
        (float("inf"), "inf"),
        ([1], "<list>"),
    ],
    ids=ascii,
)
def test_a_value_cannot_be_taken_for_more_of_them(value: Any, text: str) -> None:
    """Spaces, quotes and equals signs are in quotes; what breaks a line is escaped."""
    record = record_of(value=value, last=1)
    assert logging.Formatter().format(record) == f"job_failed value={text} last=1"


def test_a_line_is_bounded() -> None:
    """No value takes more of a line than an error may have, before its quotes."""
    line = logging.Formatter().format(record_of(error="x" * 100_000, where="y z" * 100_000))
    assert len(line) < 2100


class Raises(logging.Handler):
    """Raises in one place, as often as it is told."""

    def __init__(self, place: str, times: int) -> None:
        super().__init__()
        self.left = times
        setattr(self, place, self._raise)

    def emit(self, record: logging.LogRecord) -> None: ...

    def _raise(self, record: logging.LogRecord) -> bool:
        self.left -= 1
        if self.left >= 0:
            raise SystemExit("the app's own logging")
        return True


@pytest.mark.parametrize("place", ["emit", "filter", "format"])
def test_the_apps_logging_may_raise__fault_66(
    place: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """A handler, a filter or a formatter that raises costs that record, which stderr is told."""
    handler = Raises(place, times=1)
    if place == "format":
        handler.emit = handler.format  # type: ignore[method-assign,assignment]
    with listening(handler):
        log_event(logging.ERROR, "lost", job_id="1")
        log_event(logging.ERROR, "kept", job_id="2")
    assert caplog.messages == ["kept"]
    said = capsys.readouterr().err
    assert "SystemExit: the app's own logging" in said
    assert "Message: 'lost'" in said


def test_nothing_is_said_where_logging_is_to_be_silent__fault_66(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In production `logging.raiseExceptions` is off, and a broken stderr hurts nobody."""
    with listening(Raises("emit", times=2)):
        monkeypatch.setattr(logging, "raiseExceptions", False)
        log_event(logging.ERROR, "lost")
        monkeypatch.setattr(logging, "raiseExceptions", True)
        monkeypatch.setattr(sys, "stderr", object())
        log_event(logging.ERROR, "lost too")
    assert capsys.readouterr().err == ""


def test_a_record_factory_that_raises_is_survived__fault_66() -> None:
    """An app's own record factory costs its record, too."""
    plain = logging.getLogRecordFactory()

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        raise LookupError

    logging.setLogRecordFactory(factory)
    try:
        log_event(logging.ERROR, "lost")
    finally:
        logging.setLogRecordFactory(plain)
    assert record_of("kept").getMessage() == "kept"
