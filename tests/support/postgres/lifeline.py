"""Ends what runs in a folder and removes it, as soon as its standard input ends.

Run as a program, it outlives who started it by just that: the end of a pipe is what a process
leaves even when it is killed. What runs in a folder is whatever has its working directory there,
because a server's processes are in many process groups, and their parents may be gone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ORDERLY = 5.0
"""Seconds that processes get to clean up after themselves before they are killed."""


def processes_in(folder: Path) -> list[int]:
    """The processes that work in *folder*, the oldest first; none that are dead already."""
    found = [int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal()]
    return sorted(pid for pid in found if _works_in(pid, folder))


def _works_in(pid: int, folder: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(folder)
    except OSError:  # it is not ours, or gone
        return False


def signal_all(folder: Path, signum: signal.Signals) -> None:
    """Send *signum* to all that work in *folder*."""
    for pid in processes_in(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signum)


def kill_all(folder: Path) -> None:
    """Kill all that work in *folder*, also what they start meanwhile; return when all are gone."""
    while processes_in(folder):
        signal_all(folder, signal.SIGSTOP)  # or one would see the others die, and clean up
        signal_all(folder, signal.SIGKILL)
        time.sleep(0.005)


def poll(done: Callable[[], object], seconds: float) -> bool:
    """Whether *done* within so many *seconds*."""
    until = time.monotonic() + seconds
    while not done():
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


def remove(folder: Path) -> None:
    """End what runs in *folder*, in order if it can be, and remove it."""
    signal_all(folder, signal.SIGCONT)
    signal_all(folder, signal.SIGQUIT)  # at once, but PostgreSQL gives its shared memory back
    poll(lambda: not processes_in(folder), ORDERLY)
    kill_all(folder)
    for pid_file in folder.glob("*/postmaster.pid"):
        _release_memory(pid_file.read_text(encoding="utf-8").splitlines())
    shutil.rmtree(folder, ignore_errors=True)


def _release_memory(pid_file: list[str]) -> None:
    """Remove the shared memory of a server that was killed; the file's seventh line has its id."""
    if len(pid_file) > 6 and (words := pid_file[6].split()):
        subprocess.run(["ipcrm", "--shmem-id", words[-1]], capture_output=True, check=False)


if __name__ == "__main__":
    sys.stdin.read()
    remove(Path(sys.argv[1]))
