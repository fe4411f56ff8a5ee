"""``python -m tests.support.fleet.worker URL LEDGER``: a process that runs jobs until SIGTERM.

``--settings`` are those of the queue, as JSON; ``--only`` names the job types that it has, and
``--older`` is for code that refuses some payloads. With ``--gate`` it starts when there is such a
file.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import json
import logging
import signal
import time
from pathlib import Path

from stoat_jobs import JobQueueSettings, create_queue

from .hearing import Hearing, LogToLedger
from .jobs import NAMES, handlers_of
from .ledger import Ledger


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("ledger", type=Path)
    parser.add_argument("--settings", type=json.loads, default={})
    parser.add_argument("--only", nargs="*", default=NAMES)
    parser.add_argument("--older", action="store_true")
    parser.add_argument("--gate", type=Path)
    parser.add_argument("--uvloop", action="store_true")
    return parser.parse_args()


async def work(given: argparse.Namespace, ledger: Ledger) -> None:
    """Run the queue until it is told to stop; note both."""
    settings = JobQueueSettings(backend="postgres", url=given.url, **given.settings)
    handlers = handlers_of(given.ledger, given.only, older=given.older)
    queue = create_queue(handlers, settings, [Hearing(ledger)])
    ledger.note("ready")
    while given.gate is not None and not given.gate.exists():
        time.sleep(0.001)  # nothing else runs yet
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    async with queue:
        ledger.note("up")
        await stop.wait()
        ledger.note("stopping")
    ledger.note("down")


def main() -> None:
    faulthandler.register(signal.SIGUSR1)  # shows where a test hangs
    given = arguments()
    ledger = Ledger(given.ledger)
    logging.getLogger().addHandler(LogToLedger(ledger))
    if given.uvloop:
        import uvloop

        uvloop.run(work(given, ledger))
    else:
        asyncio.run(work(given, ledger))


if __name__ == "__main__":
    main()
