"""Sockets in the file system."""

from __future__ import annotations

import socket
from contextlib import chdir
from pathlib import Path


def leave_socket(folder: Path) -> None:
    """Leave a socket's file in *folder*, whose path may be longer than a socket's may be."""
    with chdir(folder), socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
