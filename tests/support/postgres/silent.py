"""A host that swallows packets: who connects to it hears nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def swallowing() -> Iterator[int]:
    """A port of 127.0.0.1 whose connections open, and where nobody ever answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(100)
        yield listening.getsockname()[1]
