"""Every statement that only reads records; the others are in `sql`.

- A live job has a row of the engine, by which an index says whether it runs.
- A page of a list is put together from lines: the records of one phase, or of one type and phase,
  in the order of their places. Each line is read from an index, and no further than the page
  shows: a row comparison leaves the planner no other way, whether it has statistics or not.
"""

from __future__ import annotations

import re

from .._model.status import JobStatus
from .schema import engine_settings
from .tables import TYPE_AND_PHASE

RECORD = (
    "id, seq, type, status, CASE WHEN keep_payload THEN payload END AS payload, metadata, key,"
    " not_before, cancel_requested, progress, message, result, error, error_type, attempt,"
    " submitted_at, started_at, finished_at"
)
"""What a record is made of."""

EVER = 1e10
"""Seconds that a record is kept where no time is too long."""

LIVE = "phase = 'live'"

WAITS = "status = 'queued'"
"""Of the engine's rows, those whose jobs are pending."""

_RUNS = "queue_manager_id IS NOT NULL AND status = 'picked'"

_IS_KEPT = (
    "(finished_at IS NULL OR finished_at > clock_timestamp() - $2::float8 * interval '1 second')"
)

_SECONDS = "percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY ({seconds})::float8)"
_WAIT = _SECONDS.format(
    seconds="GREATEST(extract(epoch FROM started_at - GREATEST(submitted_at, not_before)), 0)"
)
_DURATION = _SECONDS.format(seconds="extract(epoch FROM finished_at - started_at)")


def _is_among(column: str, values: str) -> str:
    """Whether *column* is one of *values*, if there are any."""
    return f"({values}::text[] IS NULL OR {column} = ANY({values}::text[]))"


_IS_WANTED = f"{_IS_KEPT} AND {_is_among('status', '$3')} AND {_is_among('type', '$4')}"


class ReadingSql:
    """The statements for one schema."""

    def __init__(self, schema: str) -> None:
        self._job = f"{schema}.job"
        self._queue = engine_settings(schema).qualified.queue_table
        self.read = f"""
SELECT {RECORD} FROM {self._job} WHERE id = ANY($1::uuid[]) AND {_IS_KEPT}"""
        self.read_source = f"""
SELECT {RECORD}, payload AS source, timeout, is_kept, keep_payload, held_key
    FROM {self._job} WHERE id = $1::uuid AND {_IS_KEPT}"""
        """A record, and what another job is made of."""
        self._write_pages()
        self._write_live()
        self._write_counting()

    def _write_pages(self) -> None:
        """Records that match, newest first, before a place."""
        by_seq = "seq = line.seq AND seq < $1::bigint"
        self.page = self._page("seq < $1::bigint")
        self.page_of_running = self._page_by(
            f"SELECT id AS seq FROM {self._queue} WHERE {_RUNS}", self._page(by_seq)
        )
        self.page_of_phases = self._page_by(
            "SELECT phase FROM unnest($6::text[]) AS phase", self._line("phase")
        )
        self.page_of_types = self._page_by(
            "SELECT type, phase FROM unnest($4::text[]) AS type, unnest($6::text[]) AS phase",
            self._line(TYPE_AND_PHASE),
        )
        # How many match nobody knows: all of them are found first, by no index but that.
        self.page_with_metadata = f"""
WITH matching AS MATERIALIZED (
    SELECT seq FROM {self._job} WHERE seq + 0 < $1::bigint AND metadata <> '{{}}'
    AND metadata::jsonb @> $6::jsonb AND {_IS_WANTED}
) {self._page_by("SELECT seq FROM matching ORDER BY seq DESC LIMIT $5", self._page(by_seq))}"""

    def _page_by(self, lines: str, page: str) -> str:
        return f"""
SELECT found.* FROM ({lines}) AS line CROSS JOIN LATERAL ({page}) AS found
ORDER BY seq DESC LIMIT $5::bigint"""

    def _line(self, key: str) -> str:
        # An index starts at the row comparison, and stops at the other one.
        of_line = re.sub(r"\b(type|phase)\b", r"line.\1", key)
        where = f"({key}, seq) < ({of_line}, $1::bigint) AND {key} >= {of_line}"
        return self._page(where, f"{key} DESC, seq DESC")

    def _page(self, where: str, order: str = "seq DESC") -> str:
        return f"""
SELECT {RECORD} FROM {self._job} WHERE {where} AND {_IS_WANTED}
    ORDER BY {order} LIMIT $5::bigint"""

    def _write_live(self) -> None:
        """Live jobs of a status that match, oldest first."""
        waiting = f"SELECT * FROM {self._job} WHERE {LIVE} AND status = 'pending'"
        running = f"""SELECT found.* FROM (SELECT id FROM {self._queue} WHERE {_RUNS}) AS line
    CROSS JOIN LATERAL (
        SELECT * FROM {self._job} WHERE seq = line.id AND status = 'running' LIMIT 1
    ) AS found"""
        self.live = {
            status: f"""
SELECT id, type, status, metadata FROM ({found}) AS job WHERE {_is_among("type", "$1")}
    AND ($2::text IS NULL OR metadata <> '{{}}' AND metadata::jsonb @> $2::jsonb)
ORDER BY seq"""
            for status, found in ((JobStatus.PENDING, waiting), (JobStatus.RUNNING, running))
        }

    def _write_counting(self) -> None:
        old = "finished_at <= statement_timestamp() - $1::float8 * interval '1 second'"
        self.count = f"""
SELECT status, sum(number)::bigint AS number FROM (
    SELECT 'pending' AS status, count(*) AS number FROM {self._queue} WHERE {WAITS}
    UNION ALL
    SELECT 'running', count(*) FROM {self._queue} WHERE {_RUNS}
    UNION ALL
    SELECT phase, count(*) FROM {self._job} WHERE NOT {LIVE} GROUP BY phase
    UNION ALL
    SELECT phase, -count(*) FROM {self._job} WHERE {old} GROUP BY phase
) AS counted GROUP BY status"""
        ran = "FILTER (WHERE finished_at IS NOT NULL AND started_at IS NOT NULL)"
        self.count_types = f"""
SELECT type, status, count(*) AS number, NULL::float8[] AS waits, NULL::float8[] AS durations
    FROM {self._job} WHERE finished_at IS NULL OR NOT {old} GROUP BY type, status
UNION ALL
SELECT type, NULL, 0, {_WAIT} {ran}, {_DURATION} {ran}
    FROM {self._job} WHERE finished_at IS NULL OR NOT {old} GROUP BY type"""
