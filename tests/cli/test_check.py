"""`stoat-jobs check`, against the shipped backends and against some that exist for one test."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import pytest

from stoat_jobs._cli.check.table import State, Table
from stoat_jobs.testing._listing import Promise, promises

from ..support.environments import install
from ..support.programs import Start

ROW = re.compile(r"^  (kept|BROKEN|excused) +(.+?)(?: \[(\w+ = \w+)\])?$", re.MULTILINE)

FORGETS_METADATA = """
from stoat_jobs import AsyncioJobQueue

class Queue(AsyncioJobQueue):
    async def submit(self, job_type, payload={}, *, metadata=None, **options):
        return await super().submit(job_type, payload, **options)
"""

WITH_A_STORE = """
from pydantic import BaseModel
from stoat_jobs.backends import FinishedJob, StoredJob, StoredJobQueue, StoreInUseError

class Options(BaseModel):
    deep: list[str]

class Store:
    owners = {}
    kept = {}

    def __init__(self, folder):
        self.folder = folder
        self.jobs = self.kept.setdefault(folder, {})

    def open(self):
        if self.folder in self.owners:
            raise StoreInUseError("in use")
        self.owners[self.folder] = self

    def close(self):
        if self.owners.get(self.folder) is self:
            del self.owners[self.folder]

    def live(self):
        return [job for job in self.read(list(self.jobs)) if not job.finish_number]

    def finished(self):
        return [FinishedJob.of(job) for job in self.read(list(self.jobs)) if job.finish_number]

    def write(self, new, changed, gone):
        self.jobs.update({job.job_id: job.model_dump_json() for job in [*new, *changed]})
        for job_id in gone:
            del self.jobs[job_id]

    def read(self, job_ids):
        texts = [self.jobs[job_id] for job_id in job_ids if job_id in self.jobs]
        return [StoredJob.model_validate_json(text) for text in texts]

class Queue(StoredJobQueue):
    options_type = Options

    def make_store(self):
        folder, name = self.settings.url.rsplit("/", 1)
        assert name == "jobs" and self.settings.options == {"deep": [folder]}, self.settings
        return Store(folder)
"""

DECLARES_NOTHING = """
from stoat_jobs import AsyncioJobQueue

class Queue(AsyncioJobQueue):
    capabilities = {"durable": True}
"""

NEVER_ANSWERS = """
import threading
from stoat_jobs import AsyncioJobQueue

class Queue(AsyncioJobQueue):
    async def get_status(self, job_id):
        while not threading.Event().wait(0.1):
            pass  # in steps: a signal in the moment before a wait begins does not end that wait
"""

LOSES_AN_INTERRUPT = """
import signal
import threading
from stoat_jobs import AsyncioJobQueue

class Queue(AsyncioJobQueue):
    async def get_status(self, job_id):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            threading.Event().wait()
"""

WAITS_ONCE = """
import os
from stoat_jobs import AsyncioJobQueue

class Queue(AsyncioJobQueue):
    async def get_status(self, job_id):
        if gate := os.environ.pop("GATE", None):
            open(gate).readline()
        return await super().get_status(job_id)
"""


def rows(out: str) -> dict[str, tuple[str, str]]:
    """By promise, what became of it, and the capability that excused from it."""
    return {sentence: (state, excuse) for state, sentence, excuse in ROW.findall(out)}


def total(out: str) -> str:
    return out.splitlines()[-1]


LACKS = {
    "durable",
    "cross_process",
    "joins_transactions",
    "requeues_at_shutdown",
    "waits_for_newer_code",
}
LACKS_IN_MEMORY = LACKS | {
    "concurrent",
    "keeps_any_result",
    "submit_returns_early",
    "waits_for_delays",
}


def by_test() -> dict[str, Promise]:
    return {promise.test: promise for promise in promises()}


def excuse(promise: Promise, lacks: set[str]) -> str:
    """What excuses from *promise* a backend that lacks these capabilities, and no others."""
    if promise.unless and promise.unless not in lacks:
        return f"{promise.unless} = True"
    return next((f"{need} = False" for need in promise.needs if need in lacks), "")


def test_a_backend_that_keeps_every_promise(start: Start) -> None:
    """Every promise of the kit is a line below its group, kept or excused; exit code 0."""
    code, out, err = start("check", "asyncio").finish()
    assert (code, err) == (0, "")
    shown = rows(out)
    assert list(shown)[:-1] == [promise.sentence for promise in promises()]
    excuses = {promise.sentence: excuse(promise, LACKS) for promise in promises()}
    for promise in promises():
        why = excuses[promise.sentence]
        assert shown[promise.sentence] == ("excused" if why else "kept", why)
        assert f"\n\n{promise.group}\n" in out
    excused = len(list(filter(None, excuses.values())))
    kept = len(shown) - excused
    assert total(out) == f"{len(shown)} promises: {kept} kept, 0 broken, {excused} excused"


@pytest.mark.slow  # the whole kit, once more
def test_a_backend_says_what_it_cannot_do_and_the_caller_knows_better(start: Start) -> None:
    """`capabilities` of the queue excuse from promises, unless an argument says otherwise."""
    code, out, err = start("check", "memory", "--capability", "waits_between_attempts").finish()
    assert (code, err) == (1, "")
    for promise in promises():
        state, why = rows(out)[promise.sentence]
        if promise.needs == ("waits_between_attempts",):
            assert (state, why) == ("BROKEN", "")
        else:
            lacking = excuse(promise, LACKS_IN_MEMORY)
            assert (state, why) == ("excused" if lacking else "kept", lacking)


@pytest.mark.slow  # the whole kit, once more
def test_a_broken_promise_is_shown_with_how_it_broke(start: Start, tmp_path: Path) -> None:
    """Below it stand the test and what it saw; the others are kept; exit code 1."""
    install(tmp_path, "broken-plugin", "broken = broken:Queue\n", broken=FORGETS_METADATA)
    hostile = {"PYTEST_ADDOPTS": "--collect-only", "PYTEST_PLUGINS": "not_there"}
    command = start(
        "check", "broken", "--without", "keeps_any_result", PYTHONPATH=str(tmp_path), **hostile
    )
    code, out, err = command.finish()
    assert (code, err) == (1, "")
    test = "test_metadata_is_kept_and_seen_by_the_handler"
    promise = by_test()[test]
    how = rf"  BROKEN   {re.escape(promise.sentence)}\n {{11}}{test} \(\w+\.py:\d+\): .*Ada.*\n"
    assert re.search(how, out, re.IGNORECASE)
    broken = [sentence for sentence, (state, _) in rows(out).items() if state == "BROKEN"]
    assert f" {len(broken)} broken, " in total(out)
    assert len(broken) < 30


@pytest.mark.slow  # the whole kit, once more
def test_each_test_of_a_durable_backend_has_a_store_of_its_own(
    start: Start, tmp_path: Path
) -> None:
    """`{tmp}` is a new folder for each test, the same for all queues of that test."""
    install(tmp_path, "stored-plugin", "stored = stored:Queue\n", stored=WITH_A_STORE)
    arguments = ["--url", "{tmp}/jobs", "--option", 'deep=["{tmp}"]']
    code, out, err = start("check", "stored", *arguments, PYTHONPATH=str(tmp_path)).finish()
    assert (code, err) == (0, ""), out
    states = {promise.test: rows(out)[promise.sentence][0] for promise in promises()}
    assert states["test_the_next_queue_has_the_records_of_the_last"] == "kept"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            ["nothing"],
            "no backend 'nothing'; installed: asyncio, broken, memory, postgres, quits, silent",
        ),
        (["memory", "--option", "autorum=true"], "Extra inputs are not permitted"),
        (
            ["memory", "--without", "durability"],
            "no capability 'durability'; known, nearest first: durable",
        ),
        (["memory", "--capability", "durable"], "use {tmp} or {name} in --url or in an --option"),
        (["silent"], "Queue.capabilities must be a Capabilities, as in capabilities = Capab"),
        (["broken"], r"cannot be imported: two\nlines"),
        (["quits"], "SystemExit: 0"),
    ],
    ids=["name", "option", "capability", "store", "silent", "import", "exit"],
)
def test_what_cannot_be_checked_is_said_in_one_line(
    start: Start, tmp_path: Path, arguments: list[str], problem: str
) -> None:
    """A mistake of the caller, or of the plug-in, is one line without a traceback; exit code 2."""
    points = "broken = broken:Queue\nquits = quits:Queue\nsilent = silent:Queue\n"
    broken = {"broken": "raise RuntimeError('two\\nlines')", "quits": "raise SystemExit(0)"}
    broken["silent"] = DECLARES_NOTHING
    install(tmp_path, "broken-plugin", points, **broken)
    code, out, err = start("check", *arguments, PYTHONPATH=str(tmp_path)).finish()
    assert (code, rows(out)) == (2, {})
    assert err.startswith("stoat-jobs check: ")
    assert problem in err
    assert err.count("\n") == 1


def test_an_option_is_a_pair(start: Start) -> None:
    """What is not KEY=VALUE is refused with the usage; exit code 2."""
    code, out, err = start("check", "memory", "--option", "autorun").finish()
    assert (code, out) == (2, "")
    assert "'autorun' is not KEY=VALUE" in err


def test_without_the_extra_it_says_how_to_get_it(start: Start, tmp_path: Path) -> None:
    """Where pytest is missing, one line names the extra; exit code 2."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['pytest'] = None\n")
    code, out, err = start("check", "asyncio", PYTHONPATH=str(tmp_path)).finish()
    assert (code, out) == (2, "")
    assert err == 'stoat-jobs check: pytest not installed: pip install "stoat-jobs[testing]"\n'


def test_ctrl_c_ends_it(start: Start, tmp_path: Path) -> None:
    """A backend that blocks can be interrupted, and no traceback comes."""
    install(tmp_path, "hanging-plugin", "hanging = hanging:Queue\n", hanging=NEVER_ANSWERS)
    command = start("check", "hanging", PYTHONPATH=str(tmp_path))
    command.read_until("  kept ")
    command.interrupt()
    code, out, err = command.finish()
    assert (code, err) == (130, "")
    assert "promises:" not in out


def test_a_lost_ctrl_c_comes_again(start: Start, tmp_path: Path) -> None:
    """Where Python drops it, as in a finaliser, one Ctrl-C is enough all the same."""
    install(tmp_path, "losing-plugin", "losing = losing:Queue\n", losing=LOSES_AN_INTERRUPT)
    code, out, err = start("check", "losing", PYTHONPATH=str(tmp_path)).finish()
    assert (code, err) == (130, "")
    assert "promises:" not in out


def test_a_reader_that_leaves_is_no_traceback(start: Start, tmp_path: Path) -> None:
    """A table that nobody reads to its end ends the command quietly."""
    install(tmp_path, "waiting-plugin", "waiting = waiting:Queue\n", waiting=WAITS_ONCE)
    os.mkfifo(gate := tmp_path / "gate")
    with gate.open("r+b", buffering=0) as opener:  # for both, so that nobody waits to open it
        command = start("check", "waiting", PYTHONPATH=str(tmp_path), GATE=str(gate))
        command.read_until("waiting.Queue")
        command.stdout.close()
        opener.write(b"\n")
        assert command.finish_unread() == (1, "")


# What is printed.


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "60")


SENTENCE = "A submission returns while every slot is taken, whatever else may happen."


@pytest.mark.usefixtures("narrow")
def test_a_terminal_has_colours_and_lines_that_fit() -> None:
    """On a terminal lines end at words, and the state has its colour."""
    out = Terminal()
    Table(out).promise("Group.", SENTENCE, State.BROKEN, "test_it (it.py:1): no")
    assert out.getvalue().splitlines() == [
        "",
        "Group.",
        "  \x1b[31mBROKEN \x1b[0m  A submission returns while every slot is taken,",
        "           whatever else may happen.",
        "           test_it (it.py:1): no",
    ]


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_can_be_switched_off(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """NO_COLOR, and a terminal that knows none, give plain text."""
    monkeypatch.setenv(name, value)
    out = Terminal()
    Table(out).promise("Group.", "It works.", State.KEPT)
    assert out.getvalue() == "\nGroup.\n  kept     It works.\n"


@pytest.mark.usefixtures("narrow")
def test_a_pipe_has_one_line_for_each_promise() -> None:
    """Elsewhere nothing is wrapped or coloured, so that the lines can be searched."""
    out = io.StringIO()
    table = Table(out)
    table.promise("Group.", f"{SENTENCE} [durable = False]", State.EXCUSED)
    table.promise("Group.", SENTENCE, State.KEPT)
    table.total()
    assert out.getvalue().splitlines() == [
        "",
        "Group.",
        f"  excused  {SENTENCE} [durable = False]",
        f"  kept     {SENTENCE}",
        "",
        "2 promises: 1 kept, 0 broken, 1 excused",
    ]
