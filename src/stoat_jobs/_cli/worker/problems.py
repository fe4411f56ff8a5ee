"""Why a worker ends, in one line, and its exit code."""

from __future__ import annotations

import os
import sys
import traceback

from stoat_jobs import JobsError

from ..._display import printable

_LONGEST = 1000

FAILED = 1
"""The app or its lifespan failed."""
WRONG = 2
"""Wrong arguments, or no such app."""


class WorkerError(Exception):
    """Ends the worker with an exit code; the text is for the user."""

    def __init__(self, code: int, problem: str) -> None:
        super().__init__(code, problem)
        self.code = code
        self.problem = problem


def say(text: str) -> None:
    """Print one line on standard error."""
    line = printable(" ".join(text.split()))
    sys.stderr.write(f"stoat-jobs worker: {line}\n")  # at once: threads may log meanwhile
    sys.stderr.flush()


def description(error: BaseException, folder: str) -> str:
    """What was raised, and where: the innermost line below *folder*, or else of all."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    if isinstance(error, JobsError):  # which say what to do
        return text
    place = _place(error, f"{os.path.abspath(folder)}{os.sep}")
    return f"{text} ({place})" if place else text


def _place(error: BaseException, folder: str) -> str | None:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if frame.filename.startswith(folder)]
    if not frames:
        return None
    frame = (ours or frames)[-1]
    return f"{frame.filename.removeprefix(folder)}, line {frame.lineno}"
