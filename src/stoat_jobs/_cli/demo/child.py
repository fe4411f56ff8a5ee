"""The process that ``demo --backend sqlite`` kills: the demo's server, on a database file."""

from __future__ import annotations

import sys
from pathlib import Path

from ..._demo.app import HOST, SETTINGS, create_app
from ..._display import printable
from .server import Server
from .steps import log_to_stderr


def main(arguments: list[str]) -> int:
    """Serve until standard input ends, as it does with the parent; prints the URL."""
    root, database, port, held_at = arguments
    settings = SETTINGS.model_copy(update={"backend": "sqlite", "url": database})
    log_to_stderr(without="job_redelivered")  # the parent says so itself
    try:
        server = Server(create_app(Path(root), settings, float(held_at)), int(port))
    except OSError as error:
        reason = printable(str(error.strerror))
        print(f"stoat-jobs demo: cannot listen on {HOST}:{port}: {reason}", file=sys.stderr)
        return 2
    server.start()
    print(server.url, flush=True)
    sys.stdin.read()
    server.stop()
    return 0
