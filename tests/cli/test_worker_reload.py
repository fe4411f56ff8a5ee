"""`stoat-jobs worker --reload`."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from stoat_jobs._cli.worker.reload import python_files

from ..support.worker_apps import Worker, ended


def test_reload(worker: Worker, tmp_path: Path) -> None:
    """A change restarts the worker, in good order; one that cannot start waits for the next."""
    (tmp_path / "changing.py").write_text("print('one', flush=True)\nfrom shop import app\n")
    command = worker("changing:app", "--reload", "--concurrency=3")
    command.read_until("one")
    command.read_until("up True 3")
    command.read_until("at a time")
    (tmp_path / "changing.py").write_text("print('two', flush=True)\nimport gone\n")
    command.read_until("changing.py has changed: the worker starts again")
    command.read_until("down")
    command.read_until("two")
    command.read_until("it ended with 1; waiting for a change of the code")
    (tmp_path / "changing.py").write_text("from shop import app\n")
    command.read_until("up True 3")
    command.read_until("at a time")
    os.killpg(command.process.pid, signal.SIGINT)  # as a terminal does
    code, out = ended(command)
    assert (code, "down" in out) == (0, True)


def test_what_is_watched(tmp_path: Path) -> None:
    """Python files, at any depth, but none of virtual environments or hidden folders."""
    for name in ("a.py", "b/c.py", "b/d.txt", ".git/e.py", "b/__pycache__/f.py", "venv/g.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    (tmp_path / "b" / "gone.py").symlink_to("nowhere")
    found = {str(Path(each).relative_to(tmp_path)) for each in python_files(str(tmp_path))}
    assert found == {"a.py", "b/c.py"}


def test_sigterm_for_who_reloads(worker: Worker, tmp_path: Path) -> None:
    """A signal that only it gets stops the worker as well, in good order."""
    command = worker("shop:app", "--reload", SUBMIT="patient")
    command.read_until("patient begun")
    command.interrupt(signal.SIGTERM)
    command.read_until("SIGTERM: running jobs may finish")
    (tmp_path / "go").touch()
    code, out = ended(command)
    assert (code, "patient done" in out) == (0, True)


def test_interrupts_for_who_reloads(worker: Worker) -> None:
    """The second Ctrl-C leaves at once, also if only it gets them."""
    command = worker("shop:app", "--reload", SUBMIT="stubborn")
    command.read_until("stubborn begun")
    command.interrupt()
    command.read_until("SIGTERM: running jobs may finish")
    command.interrupt()
    assert ended(command)[0] == 130
