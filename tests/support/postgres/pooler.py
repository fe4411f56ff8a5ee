"""PgBouncer before a server, as many deployments have it."""

from __future__ import annotations

import signal
import socket
from pathlib import Path
from urllib.parse import urlsplit

from .cluster import PASSWORD, USER, Cluster
from .service import Service, program

SETTINGS = """
[databases]
* = host=127.0.0.1 port={server}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = 20
max_client_conn = 500
"""


class Pooler(Service):
    """PgBouncer in transaction mode: each transaction gets whatever connection is free.

    It knows the role of the tests only, and refuses startup parameters, as it does by default.
    """

    def __init__(self, cluster: Cluster, folder: Path | None = None, port: int | None = None):
        super().__init__(folder, port)
        users = self._write("users", f'"{USER}" "{PASSWORD}"\n')
        text = SETTINGS.format(server=cluster.port, port=self.port, users=users)
        self._settings = self._write("settings", text)

    def url(self, database_url: str) -> str:
        """The url of the same database, through it."""
        split = urlsplit(database_url)
        return database_url.replace(f"127.0.0.1:{split.port}", f"127.0.0.1:{self.port}")

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        self._spawn([program("pgbouncer"), self._settings])
        self._wait_until(self._answers)

    def stop(self) -> None:
        """Stop it at once; its clients lose their connections."""
        self.end(signal.SIGTERM)

    def _answers(self) -> bool:
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", self.port)) == 0
