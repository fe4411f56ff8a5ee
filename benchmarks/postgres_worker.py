"""A worker process of a queue: ``python -m benchmarks.postgres_worker NAME URL EVERY``.

It writes a byte whenever so many more of its jobs were called, and when it could begin.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys

from .postgres_queues import QUEUES, Called

DOT = b"."
OUT = 1


def _teller(every: int) -> Called:
    """What counts calls, and tells of each *every* th."""
    calls = 0

    def called() -> None:
        nonlocal calls
        calls += 1
        if calls % every == 0:
            os.write(OUT, DOT)

    return called


def main(name: str, url: str, every: str) -> None:
    logging.getLogger("stoat_jobs").setLevel(logging.CRITICAL)
    (queue,) = (one for one in QUEUES if one.name == name)
    asyncio.run(queue.work(url, _teller(int(every))))


if __name__ == "__main__":
    main(*sys.argv[1:])
