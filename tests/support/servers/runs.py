"""Carry out a scenario, and see whether it went as it should."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from .commands import Address
from .logs import ENDED, Log
from .running import ServerProcess
from .scenarios import CUT_OFF, Scenario

# What Python says at its end when something was forgotten.
FORGOTTEN = ("was destroyed but it is pending", "never retrieved", "never awaited")

# Of granian's loop nothing is closed; since Python 3.14 its tasks are, when the process exits.
DESTROYED_AT_EXIT = sys.version_info >= (3, 14)


@dataclass(frozen=True)
class Run:
    """What was seen of a server from its start to its end."""

    scenario: Scenario
    code: int
    seconds: float | None
    """From the first signal to the end of the last process."""
    log: Log
    stderr: str

    @property
    def jobs(self) -> dict[str, str]:
        """How the jobs ended that ran or waited when the end began."""
        found = self.log.outcomes()
        found.pop("completed", None)
        if "cut off" in self.scenario.jobs:
            job_types = [found.pop(end) for end in list(found) if end in CUT_OFF]
            found["cut off"] = sorted(sum(job_types, []))
        return {end: " ".join(job_types) for end, job_types in found.items()}

    @property
    def printed(self) -> str:
        return f"{self.log.text()}\n{self.stderr}"


def carry_out(scenario: Scenario, folder: Path, address: Address | None = None) -> Run:
    """Start the server, do what is to be done, and read all it says."""
    if address is None:
        with Address() as address:
            return carry_out(scenario, folder, address)
    launch = scenario.launch
    if "--reload" in launch.options:
        launch = launch.reloading(folder)
    with ServerProcess(launch, address, folder) as server:
        scenario.act(server)
        code = server.finish()
        return Run(scenario, code, server.seconds, server.log, server.complaints)


def check(run: Run) -> None:
    """Everything that any run must do."""
    assert run.code in run.scenario.codes, run.printed
    assert run.jobs == run.scenario.jobs, run.printed
    check_jobs(run.log)
    check_order(run.log)
    check_signal_handlers(run)
    check_printed(run)


def check_jobs(log: Log) -> None:
    """No job ended twice, and none in another process than its own."""
    ends = Counter(line["job_id"] for line in log.lines if line["event"] in ENDED)
    assert set(ends.values()) <= {1}
    home = {line["job_id"]: line["process"] for line in log.find("job_submitted")}
    assert [line for line in log.find("job_") if line["process"] != home[line["job_id"]]] == []


def check_order(log: Log) -> None:
    """What a shutdown ended, it ended between the two lines of its queue's stop."""
    for stopped in log.find("worker_stopped"):
        lines = log.find("", process=stopped["process"])
        events = [line["event"] for line in lines]
        ends = [n for n, line in enumerate(lines) if line.get("error_type") == "Shutdown"]
        first, last = events.index("queue_draining"), events.index("worker_stopped")
        assert all(first < n < last for n in ends), log.text()
        assert events.count("queue_draining") == events.count("worker_stopped") == 1


def check_signal_handlers(run: Run) -> None:
    """A lifespan finds the signal handlers as they were before; each says so, unless cut off."""
    untouched = {line["process"] for line in run.log.find("signals_untouched")}
    assert run.log.find("signals_touched") == []
    if not {"cut off", "no end"} & set(run.scenario.jobs):
        assert untouched >= {line["process"] for line in run.log.find("worker_stopped")}


def check_printed(run: Run) -> None:
    """Nobody has to frown at what is printed."""
    unstoppable = run.log.has("handler_unstoppable")
    if unstoppable and DESTROYED_AT_EXIT and run.scenario.launch.server == "granian":
        check_destroyed(run)
        return
    assert [text for text in FORGOTTEN if text in run.printed] == []
    if run.scenario.says:
        assert run.scenario.says in run.printed
    else:
        assert run.stderr == ""
        assert [n for n in run.log.lines if "stoat_jobs" in n.get("traceback", "")] == []


def check_destroyed(run: Run) -> None:
    """Of the handler that nothing ends Python says at the exit that it was destroyed."""
    assert [run.printed.count(text) for text in FORGOTTEN] == [1, 0, 0]
    assert "coroutine ignored GeneratorExit" in run.stderr
