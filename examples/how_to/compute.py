"""Run a computation that holds the GIL in a separate process, which ends with its job."""

from __future__ import annotations

import multiprocessing
import re
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import ParamSpec, TypeVar, cast

from stoat_jobs import JobContext, JobHandlers

P = ParamSpec("P")
R = TypeVar("R")

# Not "fork", which copies the current state of the locks of the server's other threads.
SPAWN = multiprocessing.get_context("spawn")

handlers = JobHandlers()


@handlers.job(timeout=60)
def find(ctx: JobContext, pattern: str, text: str) -> list[str]:
    """Find *pattern* in *text*; some patterns take for ever, and `re` never releases the GIL."""
    return in_a_process(ctx, re.findall, pattern, text)


def in_a_process(ctx: JobContext, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call ``function(*args, **kwargs)`` in a new process; for plain ``def`` handlers."""
    receiver, sender = SPAWN.Pipe(duplex=False)
    process = SPAWN.Process(target=_call, args=(sender, function, args, kwargs), daemon=True)
    with receiver:
        with sender:  # the process has its own copy
            process.start()
        try:
            while not receiver.poll(0.1):
                ctx.raise_if_cancelled()
            value, error = receiver.recv()
        except EOFError:
            process.join()
            raise RuntimeError(f"the process ended with {process.exitcode}, no result") from None
        finally:
            process.kill()
            process.join()
    if error is not None:
        raise error
    return cast(R, value)


def _call(
    sender: Connection,
    function: Callable[..., object],
    args: tuple[object, ...],
    kwargs: dict[str, object],
) -> None:
    answer: tuple[object, Exception | None]
    try:
        answer = (function(*args, **kwargs), None)
    except Exception as error:  # the job's error
        answer = (None, error)
    sender.send(answer)
