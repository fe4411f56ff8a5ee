"""Repeats Ctrl-C while the tests run, until pytest has seen the ``KeyboardInterrupt``.

Python drops an exception that is raised in a finaliser, and pydantic replaces one that is raised
in a validator. A Ctrl-C at such a moment would be lost, and the next test may run forever.
"""

from __future__ import annotations

import signal
import threading
from _thread import interrupt_main
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

EVERY = 0.5
"""Seconds between two interrupts."""


@contextmanager
def repeated_interrupts(seen: Callable[[], bool]) -> Iterator[None]:
    """In this block, which must run in the main thread, repeat Ctrl-C until *seen* is true."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(EVERY) and not seen():
            _interrupt_main_thread()

    repeater = threading.Thread(target=repeat, name="stoat-jobs Ctrl-C", daemon=True)

    def receive(signum: int, frame: FrameType | None) -> None:
        if repeater.ident is None:
            repeater.start()
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGINT, receive)
    try:
        yield
    finally:
        over.set()
        signal.signal(signal.SIGINT, previous)


def _interrupt_main_thread() -> None:
    if hasattr(signal, "pthread_kill"):  # interrupt_main() wakes no lock: python/cpython#80719
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        interrupt_main()
