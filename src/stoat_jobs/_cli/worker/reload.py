"""Restarts a worker when the code of its app changes: for development."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType

from .problems import say
from .signals import LEFT

# Seconds between two looks.
_EVERY = 0.3

_SKIPPED = frozenset({"__pycache__", "node_modules"})


def supervise(arguments: Namespace) -> int:
    """Run the worker in a process of its own, again and again; returns its last exit code."""
    return _Supervisor(arguments).run()


class _Supervisor:
    def __init__(self, arguments: Namespace) -> None:
        self._command = [sys.executable, "-m", "stoat_jobs", "worker", *_as_given(arguments)]
        self._folder: str = arguments.app_dir
        self._files = python_files(self._folder)
        self._child: subprocess.Popen[bytes] | None = None
        self._is_stopping = False
        self._interrupts = 0

    def run(self) -> int:
        signals = (signal.SIGINT, signal.SIGTERM)
        previous = {each: signal.signal(each, self._receive) for each in signals}
        try:
            return self._run()
        finally:
            for each, handler in previous.items():
                signal.signal(each, handler)

    def _run(self) -> int:
        while not self._is_stopping:
            self._child = subprocess.Popen(self._command)  # noqa: S603
            code = self._until_change()
            if code in (0, LEFT):
                return code
            if code is not None and not self._is_stopping:
                say(f"it ended with {code}; waiting for a change of the code")
                self._until_change(is_ended=True)
        return self._stopped()

    def _until_change(self, *, is_ended: bool = False) -> int | None:
        """Wait for a change, or for the worker's end; its exit code, if it has ended."""
        while not self._is_stopping:
            code = None if self._child is None or is_ended else self._child.poll()
            if code is not None:
                return code
            if changed := self._changed():
                say(f"{changed} has changed: the worker starts again")
                self._end_child()
                return None
            time.sleep(_EVERY)
        return None

    def _changed(self) -> str | None:
        files = python_files(self._folder)
        before, self._files = self._files, files
        changed = sorted(before.items() ^ files.items())
        return os.path.relpath(changed[0][0], self._folder) if changed else None

    def _stopped(self) -> int:
        code = self._end_child()
        if self._interrupts > 1:
            return LEFT
        return max(code, 0)  # below 0 if it had not begun yet, and was ended by the signal

    def _end_child(self) -> int:
        if self._child is None:
            return 0
        if self._child.poll() is None:
            self._child.terminate()  # which may be repeated
        return self._child.wait()

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        """Stop; Ctrl-C goes to the worker as well, as both have one terminal."""
        self._is_stopping = True
        self._interrupts += signum == signal.SIGINT
        if self._interrupts > 1 and self._child is not None:
            self._child.kill()


def python_files(folder: str) -> dict[str, int]:
    """The Python files below *folder*, with the times at which they were changed."""
    return dict(_python_files(folder))


def _python_files(folder: str) -> Iterator[tuple[str, int]]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if _is_code(Path(parent, name))]
        for path in (Path(parent, name) for name in names if name.endswith(".py")):
            with suppress(OSError):  # an editor may be about to replace it
                yield str(path), path.stat().st_mtime_ns


def _is_code(folder: Path) -> bool:
    """Whether to look into *folder*: not one of another program, nor a virtual environment."""
    is_hidden = folder.name.startswith(".") or folder.name in _SKIPPED
    return not is_hidden and not (folder / "pyvenv.cfg").exists()


def _as_given(arguments: Namespace) -> Iterator[str]:
    """The arguments of the worker itself."""
    yield from ("--app-dir", arguments.app_dir, "--loop", arguments.loop)
    if arguments.factory:
        yield "--factory"
    if arguments.concurrency is not None:
        yield f"--concurrency={arguments.concurrency}"
    for job_type in arguments.job_types:
        yield f"--job-type={job_type}"
    if arguments.health is not None:
        yield "--health={}:{}".format(*arguments.health)
    if arguments.health_file is not None:
        yield f"--health-file={arguments.health_file}"
    if arguments.health_limit is not None:
        yield f"--health-limit={arguments.health_limit}"
    yield from ("--", arguments.app)
