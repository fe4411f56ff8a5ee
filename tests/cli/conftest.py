"""The real command in a process of its own, and directories for it to read."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from ..support.programs import ENDLESS_BYTES, Command, Start
from ..support.stand_in import StandIn
from ..support.terminal import StartTerminal, Terminal
from ..support.worker_apps import Worker, WorkerCommand, kill_group, make


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of the command: no terminal's wishes, whatever runs the tests."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    return {**os.environ, "TERM": "xterm-256color"}


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Start]:
    """Starts `python -m stoat_jobs ARGUMENTS`, behind *prefix*; ended with the test."""
    with ExitStack() as stack:

        def start(
            *arguments: str | Path,
            prefix: list[str] | None = None,
            pipesize: int = -1,
            **variables: str,
        ) -> Command:
            program = [*(prefix or []), sys.executable, "-m", "stoat_jobs", *arguments]
            return stack.enter_context(
                Command(program, env={**environment, **variables}, pipesize=pipesize)
            )

        yield start


@pytest.fixture
def worker(environment: dict[str, str], tmp_path: Path) -> Iterator[Worker]:
    """Starts `stoat-jobs worker ARGUMENTS` in a folder that has the apps; all output is one."""
    make(tmp_path)
    with ExitStack() as stack:

        def start(*arguments: str, **variables: str) -> Command:
            program = [sys.executable, "-m", "stoat_jobs", "worker", *arguments]
            path = os.pathsep.join([str(tmp_path), environment.get("PYTHONPATH", "")])
            command = WorkerCommand(
                program,
                cwd=tmp_path,
                env={**environment, "PYTHONPATH": path, **variables},
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            stack.enter_context(command)
            stack.callback(kill_group, command.process.pid)
            return command

        yield start


@pytest.fixture
def terminal(environment: dict[str, str]) -> Iterator[StartTerminal]:
    """Starts `stoat-jobs ARGUMENTS` in a terminal of *columns*; ended with the test."""
    with ExitStack() as stack:

        def start(
            *arguments: str | Path, columns: int, lines: int = 40, **variables: str
        ) -> Terminal:
            everything = {**environment, **variables}
            return stack.enter_context(
                Terminal(*arguments, columns=columns, lines=lines, environment=everything)
            )

        yield start


@pytest.fixture
def server() -> Iterator[StandIn]:
    """A server of one running job."""
    with closing(StandIn()) as server:
        yield server


@pytest.fixture
def obeying() -> list[str]:
    """A prefix under which permissions hold for root too."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Three files, two of them the same."""
    root = tmp_path / "tree"
    (root / "below").mkdir(parents=True)
    (root / "one.txt").write_bytes(b"same" * 500)
    (root / "below" / "two.txt").write_bytes(b"same" * 500)
    (root / "below" / "three.bin").write_bytes(b"x" * 3000)
    return root


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A small file, and one that takes minutes to read but no room on the disk."""
    root = tmp_path / "endless"
    root.mkdir()
    (root / "a.txt").write_text("small")
    with (root / "b.img").open("wb") as file:
        file.truncate(ENDLESS_BYTES)
    return root
