"""What is logged in this process, for a test to hear."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

H = TypeVar("H", bound=logging.Handler)


class Heard(logging.Handler):
    """Keeps the records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def listening(
    handler: H, level: int | None = None, *, to: str = "stoat_jobs", alone: bool = False
) -> Iterator[H]:
    """Let *handler* hear the logger *to*; with *alone*, nobody else hears it."""
    logger = logging.getLogger(to)
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.propagate = logger.propagate and not alone
    if level is not None:
        logger.setLevel(level)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]
