"""The cost of logging in an app that has not configured it, compared with no logging."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from .measure import Bench, Round, Size, Stopwatch, require
from .ours import records

DEFAULT, OFF = "logging at its default level", "logging off"


def benches(size: Size) -> list[Bench]:
    return [
        Bench((DEFAULT,), partial(_run, DEFAULT, size.jobs)),
        Bench((OFF,), partial(_off, size.jobs)),
    ]


def _run(name: str, jobs: int) -> Round:
    for logger in (logging.getLogger(), logging.getLogger("stoat_jobs")):
        require(logger.handlers, [], f"log handlers of {logger.name}")
    watch = Stopwatch()
    require(asyncio.run(records(jobs, watch, slots=100)), jobs, f"jobs with {name}")
    return watch.rates(name, jobs)


def _off(jobs: int) -> Round:
    logging.disable(logging.CRITICAL)
    try:
        return _run(OFF, jobs)
    finally:
        logging.disable(logging.NOTSET)
