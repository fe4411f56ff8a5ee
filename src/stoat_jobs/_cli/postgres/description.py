"""``stoat-jobs postgres status`` as lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..._display import safe_text

if TYPE_CHECKING:
    from stoat_jobs.postgres import TablesStatus


def status_lines(status: TablesStatus) -> Iterator[str]:
    """What is in the tables; what is wrong comes last, and is marked."""
    yield f"PostgreSQL {safe_text(status.server)}, schema {status.schema}"
    yield f"tables: {_version(status.version, status.wanted_version)}"
    yield f"PgQueuer: {_version(safe_text(status.engine), status.wanted_engine)}"
    yield from _jobs(status)
    for table in status.tables:
        yield (
            f"table {table.name}: {table.bytes / 1e6:,.1f} MB, {table.rows:,} rows,"
            f" {table.dead_rows:,} dead"
        )
    if status.without_job:
        yield f"{status.without_job:,} rows of the engine have no live job, which does no harm"
    for problem in status.problems:
        yield f"! {safe_text(problem)}"


def _version(found: object, wanted: object) -> str:
    return f"version {found}" if found == wanted else f"version {found}, here {wanted}"


def _jobs(status: TablesStatus) -> Iterator[str]:
    if not status.counts:
        yield "no jobs"
    for name, types in status.counts.items():
        for job_type, count in types.items():
            yield f"{name} {safe_text(job_type)}: {count:,}"
    if status.oldest_pending_s is not None:
        yield f"oldest pending job: due for {status.oldest_pending_s:,.0f} s"
