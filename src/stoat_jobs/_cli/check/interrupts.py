"""Ctrl-C while the tests run is raised again and again, until it is heard.

Python drops what is raised in a finaliser, and pydantic makes an error of its own of what is
raised below it: a Ctrl-C that comes there would be lost, and the next test may never end.
"""

from __future__ import annotations

import signal
import threading
from _thread import interrupt_main
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

EVERY = 0.5
"""Seconds from one to the next."""


@contextmanager
def insisting(heard: Callable[[], bool]) -> Iterator[None]:
    """In the block, which is the main thread's, Ctrl-C is raised until *heard* says so."""
    over = threading.Event()

    def insist() -> None:
        while not over.wait(EVERY) and not heard():
            _interrupt_main_thread()

    insistence = threading.Thread(target=insist, name="stoat-jobs Ctrl-C", daemon=True)

    def receive(signum: int, frame: FrameType | None) -> None:
        if insistence.ident is None:
            insistence.start()
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGINT, receive)
    try:
        yield
    finally:
        over.set()
        signal.signal(signal.SIGINT, previous)


def _interrupt_main_thread() -> None:
    if hasattr(signal, "pthread_kill"):  # the other one wakes no thread that waits for a lock
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        interrupt_main()
