"""A standby beside a server, which can take its place."""

from __future__ import annotations

from pathlib import Path

from .. import SAFETY_NET
from . import lifeline
from .cluster import PASSWORD, USER, Cluster


class Standby(Cluster):
    """A copy of *primary* that follows it, and answers reads only until it is promoted.

    It follows a moment later, so what was committed may be missing when it is promoted, unless
    it has caught up or the primary waits for it: ``synchronous_standby_names = '*'``.
    """

    def __init__(self, primary: Cluster, folder: Path | None = None, port: int | None = None):
        super().__init__(folder, port, durable=primary.durable)
        self.primary = primary

    def promote(self) -> None:
        """Make it a server that also writes, and return when it is one."""
        self._run("pg_ctl", "promote", "--wait", "--pgdata", str(self.data))

    def catch_up(self) -> None:
        """Return when it has what the primary, which still runs, has committed by now."""
        now = self.primary.sql("SELECT pg_current_wal_lsn()")
        query = f"SELECT pg_last_wal_replay_lsn() >= '{now}'"
        if not lifeline.poll(lambda: self.sql(query) == "t", SAFETY_NET):
            raise RuntimeError(
                f"it does not follow: {self.log.read_text(encoding='utf-8')[-2000:]}"
            )

    def _make(self) -> None:
        how = ["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"]
        self._run("pg_basebackup", *how, f"--dbname={self.primary.admin_url}", f"-D{self.data}")
        self._move_in()

    def _fill(self) -> None:
        """It has what the primary has."""


def url_of_all(*clusters: Cluster, database: str = "jobs", wanted: str = "read-write") -> str:
    """One url with the hosts of all *clusters*, of which a client takes the one that is *wanted*."""
    hosts = ",".join(f"127.0.0.1:{cluster.port}" for cluster in clusters)
    return f"postgresql://{USER}:{PASSWORD}@{hosts}/{database}?target_session_attrs={wanted}"
