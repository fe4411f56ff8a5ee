"""Every statement that writes records or the engine's rows, apart from those of the schema.

- The engine's row is locked before the record, everywhere: so no two statements wait for each
  other.
- What a worker writes has an effect only on rows of which it is the owner, and on records of the
  same delivery.
- The server's clock stamps. It may step back; a record's times never do.
- Rows are found by the time at which the statement began: no index finds them by
  ``clock_timestamp()``, which may change from one row to the next.
- The server's statistics are often those of an empty queue, and say nothing of what waits a moment
  later. So rows are found one by one, by an index that the statement leaves no choice but to use:
  in a LATERAL that locks, or as ``= ANY (ARRAY (...))``. A join might compare all with all.
- One notice for a statement, whatever it changed: so no more than `IDS_IN_A_NOTICE`.
"""

from __future__ import annotations

from .reading_sql import LIVE, RECORD, WAITS
from .schema import engine_settings, jobs_channel

IDS_IN_A_NOTICE = 200
"""So many may be given to a statement that sends a notice: the server refuses it with 217."""

# Of live rows that are found by their ids: the index on the status would find all that wait.
_UNFINISHED = "finished_at IS NULL"

# The losses of a job that is taken over.
_LOST = "losses + (status = 'running')::int"

# Of the engine's rows those with the highest priority are claimed first; this is the second in
# which a job is due, counted backwards, so that jobs start in the order in which they are due,
# and what is not due yet stands in nobody's way. Counted from 2020 it fits the engine's integer.
_PRIORITY = "GREATEST(1577836800 - floor(extract(epoch FROM {due})), -2147483648)::int"


class Sql:
    """The statements for one schema."""

    def __init__(self, schema: str) -> None:
        engine = engine_settings(schema).qualified
        self._job = f"{schema}.job"
        self._queue = engine.queue_table
        self._log = engine.queue_table_log
        self._ids = f"{self._queue}_id_seq"
        self._channel = jobs_channel(schema)
        self._write_submitting()
        self._write_keys()
        self._write_claiming()
        self._write_leaving()
        self._write_giving_back()
        self._write_running()
        self._write_ending()
        self._write_cancelling()
        self._write_keeping()
        self._write_sweeping()

    def _notice(self, letter: str, table: str, where: str = "true") -> str:
        """An expression that sends one notice with the ids in *table*, if there are any."""
        return (
            f"(SELECT pg_notify('{self._channel}', '{letter}:' || string_agg(id::text, ','))"
            f" FROM {table} WHERE {where} HAVING count(*) > 0)"
        )

    def _locked(self, given: str, owner: str, wait: str = "") -> str:
        """A query for those of the engine's rows in *given* that are the owner's; it locks them.

        Without its LIMIT, it might look for each among all that are the owner's.
        """
        return f"""
    SELECT id FROM (SELECT seq FROM {given} ORDER BY seq) AS wanted CROSS JOIN LATERAL (
        SELECT id, queue_manager_id FROM {self._queue} WHERE id = wanted.seq LIMIT 1
        FOR UPDATE {wait}
    ) AS row WHERE queue_manager_id = {owner}::uuid
"""

    def _write_submitting(self) -> None:
        due = "given.stamp + COALESCE(given.delay, 0) * interval '1 second'"
        self.submit = f"""
WITH given AS MATERIALIZED (
    SELECT each.*, nextval('{self._ids}') AS seq, clock_timestamp() AS stamp
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[],
        $7::text[], $8::float8[], $9::boolean[], $10::float8[])
        AS each(id, type, payload, metadata, key, is_kept, digest, timeout, keep_payload, delay)
), kept AS (
    INSERT INTO {self._job} (id, seq, type, payload, metadata, key, held_key, is_kept, digest,
        timeout, keep_payload, not_before, submitted_at)
    SELECT id, seq, type, payload, metadata, key, key, is_kept, digest, timeout, keep_payload,
        CASE WHEN delay IS NOT NULL THEN {due} END, stamp
    FROM given ORDER BY seq
    ON CONFLICT DO NOTHING
    RETURNING id, seq
), queued AS (
    INSERT INTO {self._queue} (id, priority, entrypoint, status, execute_after)
    SELECT seq, {_PRIORITY.format(due=due)}, type, 'queued',
        CASE WHEN delay IS NULL THEN 'epoch' ELSE {due} END
    FROM given JOIN kept USING (id, seq) ORDER BY seq
)
SELECT id FROM kept"""
        """All or, of those with an id or a key that is taken, none; returns the ids of the new."""

    def _write_keys(self) -> None:
        self.known = f"SELECT id FROM {self._job} WHERE id = $1::uuid"
        self.holder = f"""
SELECT id, digest, is_kept FROM {self._job} WHERE type = $1::text AND held_key = $2::text
    AND (finished_at IS NULL OR finished_at > clock_timestamp() - $3::float8 * interval '1 second')
"""
        """Who holds a key."""
        self.keep_key = f"""
UPDATE {self._job} SET is_kept = true WHERE id = $1::uuid AND held_key IS NOT NULL RETURNING id"""
        self.free_key = f"""
DELETE FROM {self._job} WHERE type = $1::text AND held_key = $2::text
    AND finished_at <= clock_timestamp() - $3::float8 * interval '1 second' RETURNING {RECORD}"""
        """Free a key whose holder is too old to be kept."""
        self.hand_key_on = f"""
UPDATE {self._job} SET held_key = NULL, is_kept = false
    WHERE id = $1::uuid AND is_kept AND held_key IS NOT NULL AND NOT {LIVE} RETURNING id"""
        self.waiting = f"""
SELECT count(*) AS number
    FROM (SELECT FROM {self._queue} WHERE {WAITS} LIMIT $1::bigint) AS waiting"""

    def _write_claiming(self) -> None:
        self.start = f"""
WITH started AS (
    UPDATE {self._job} SET status = 'running', delivery = delivery + 1, losses = {_LOST},
        started_at = GREATEST(clock_timestamp(), submitted_at), progress = NULL, message = NULL,
        attempt = 0
    WHERE seq = ANY($1::bigint[]) AND {_UNFINISHED} AND NOT cancel_requested
        AND {_LOST} < $2::int
    RETURNING {RECORD}, payload AS source, timeout, keep_payload, is_kept, delivery, losses,
        refusals
)
SELECT started.*, {self._notice("j", "started")} FROM started"""
        """The records of what the engine has given to this worker."""

    def _write_leaving(self) -> None:
        self.leave = f"""
WITH back AS (
    UPDATE {self._queue} SET status = 'queued', queue_manager_id = NULL, slot = NULL
    WHERE id = ANY($1::bigint[]) RETURNING id
)
SELECT {self._notice("w", "back")}"""
        """What the engine has given a moment ago in the same transaction, but has no room here. It
        is told, as others that looked meanwhile have passed it over."""
        text = f"'its worker was lost ' || {_LOST} || ' times while it ran; it is not run again'"
        self.bury = f"""
WITH gone AS (
    DELETE FROM {self._queue} WHERE id = ANY($1::bigint[])
), buried AS (
    UPDATE {self._job} SET held_key = CASE WHEN is_kept THEN held_key END,
        payload = CASE WHEN keep_payload THEN payload END, delivery = delivery + 1,
        status = CASE WHEN cancel_requested THEN 'cancelled' ELSE 'failed' END,
        error = CASE WHEN cancel_requested THEN 'cancelled on request' ELSE {text} END,
        error_type = CASE WHEN cancel_requested THEN 'Cancelled' ELSE 'WorkerLost' END,
        finished_at = GREATEST(clock_timestamp(), started_at, submitted_at)
    WHERE seq = ANY($1::bigint[]) AND {_UNFINISHED} RETURNING {RECORD}
)
SELECT buried.*, {self._notice("j", "buried")} FROM buried"""
        """What the engine has given, and nobody may run: it is gone, was cancelled while its
        worker died, or was lost too often."""

    def _write_giving_back(self) -> None:
        self.put_aside = f"""
WITH back AS (
    UPDATE {self._queue} SET status = 'queued', queue_manager_id = NULL, slot = NULL,
        execute_after = clock_timestamp() + interval '1 second'
    WHERE id = ANY($1::bigint[])
), aside AS (
    UPDATE {self._job} SET status = 'pending', started_at = NULL WHERE seq = ANY($1::bigint[])
    RETURNING id
)
SELECT {self._notice("w", "aside")}"""
        """What was started a moment ago in the same transaction, and is better run later."""
        self.take_back = f"""
WITH unknown AS MATERIALIZED (
    SELECT id FROM {self._queue} WHERE queue_manager_id = $1::uuid AND NOT id = ANY($2::bigint[])
), back AS (
    UPDATE {self._queue} SET status = 'queued', queue_manager_id = NULL, slot = NULL
    WHERE id = ANY(ARRAY(SELECT id FROM unknown)) RETURNING id
)
UPDATE {self._job} SET status = 'pending', started_at = NULL
    WHERE seq = ANY(ARRAY(SELECT id FROM back)) AND {_UNFINISHED}"""
        """What this worker was given without its knowing, as the answer was lost."""
        self.next_due = f"""
SELECT extract(epoch FROM min(execute_after) - clock_timestamp())::float8 AS seconds
    FROM {self._queue} WHERE entrypoint = ANY($1::text[]) AND status = 'queued'
    AND execute_after >= now()"""
        """When there is more, after a claim in the same transaction: both mean its beginning."""

    def _write_running(self) -> None:
        self.beat = f"""
WITH own AS MATERIALIZED ({self._locked("unnest($1::bigint[]) AS given(seq)", "$2")}), renewed AS (
    UPDATE {self._queue} SET heartbeat = now() + $3::float8 * interval '1 second'
    WHERE id = ANY(ARRAY(SELECT id FROM own))
    RETURNING id
)
SELECT id, (SELECT cancel_requested FROM {self._job} WHERE seq = renewed.id) FROM renewed"""
        """Renew leases; returns what is still ours, and whether it was cancelled."""
        self.flags = f"""
SELECT seq FROM {self._job} WHERE seq = ANY($1::bigint[]) AND cancel_requested"""
        self.state = f"""
SELECT seq, delivery, status, started_at, finished_at, cancel_requested,
    (SELECT queue_manager_id FROM {self._queue} AS queue WHERE queue.id = seq) AS owner
    FROM {self._job} WHERE seq = ANY($1::bigint[])"""
        """What became of jobs whose outcomes were not written."""
        self.report = f"""
WITH own AS MATERIALIZED ({self._locked("unnest($2::bigint[]) AS given(seq)", "$1")}), changed AS (
    UPDATE {self._job} AS job SET progress = each.progress, message = each.message,
        attempt = each.attempt, metadata = each.metadata
    FROM unnest($2::bigint[], $3::int[], $4::float8[], $5::text[], $6::int[], $7::text[])
        AS each(seq, delivery, progress, message, attempt, metadata)
    WHERE job.seq = ANY(ARRAY(SELECT id FROM own)) AND {_UNFINISHED}
        AND job.seq = each.seq AND job.delivery = each.delivery
    RETURNING job.id
)
SELECT {self._notice("j", "changed")}"""

    def _write_ending(self) -> None:
        self.finish = self._finishing(self._locked("given", "$1"))
        """Write outcomes; `pending` gives a job back, after a pause. Returns those that were still
        ours, and that nobody has cancelled without our knowing."""
        free = self._locked("given", "$1", "SKIP LOCKED")
        self.finish_free = self._finishing(f"""
    SELECT id FROM ({free}) AS locked CROSS JOIN LATERAL (
        SELECT seq FROM {self._job} WHERE seq = locked.id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
    ) AS row
""")
        """The same of those that nobody else has locked, at once."""

    def _finishing(self, own: str) -> str:
        return f"""
WITH given AS MATERIALIZED (
    SELECT * FROM unnest($2::bigint[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::boolean[], $9::float8[], $10::text[], $11::int[], $12::text[], $13::float8[],
        $14::boolean[])
        AS each(seq, delivery, status, result, error, error_type, is_cancel_known, progress,
            message, attempt, metadata, pause, is_refusal)
), own AS MATERIALIZED ({own}), ended AS (
    UPDATE {self._job} AS job SET status = given.status, result = given.result,
        error = given.error, error_type = given.error_type, progress = given.progress,
        message = given.message, attempt = given.attempt, metadata = given.metadata,
        cancel_requested = job.cancel_requested OR given.is_cancel_known,
        refusals = job.refusals + given.is_refusal::int,
        held_key = CASE WHEN given.status = 'pending' OR job.is_kept THEN job.held_key END,
        payload = CASE WHEN given.status = 'pending' OR job.keep_payload THEN job.payload END,
        started_at = CASE WHEN given.status <> 'pending' THEN job.started_at END,
        finished_at = CASE WHEN given.status <> 'pending'
            THEN GREATEST(clock_timestamp(), job.started_at) END
    FROM given WHERE job.seq = ANY(ARRAY(SELECT id FROM own)) AND {_UNFINISHED}
        AND job.seq = given.seq AND job.delivery = given.delivery
        AND (given.is_cancel_known OR NOT job.cancel_requested)
    RETURNING job.id, job.seq, job.status, job.started_at, job.finished_at, job.cancel_requested,
        given.pause
), gone AS (
    DELETE FROM {self._queue} WHERE id = ANY(ARRAY(SELECT seq FROM ended WHERE status <> 'pending'))
), back AS (
    UPDATE {self._queue} AS queue SET status = 'queued', queue_manager_id = NULL, slot = NULL,
        execute_after = (SELECT CASE WHEN pause > 0
            THEN clock_timestamp() + pause * interval '1 second' ELSE 'epoch' END
            FROM ended WHERE seq = queue.id)
    WHERE id = ANY(ARRAY(SELECT seq FROM ended WHERE status = 'pending'))
)
SELECT seq, started_at, finished_at, cancel_requested, {self._notice("j", "ended")},
    {self._notice("w", "ended", "status = 'pending'")} FROM ended"""

    def _write_cancelling(self) -> None:
        self.cancel = f"""
WITH queue AS MATERIALIZED (
    SELECT row.id FROM (SELECT seq FROM {self._job} WHERE id = ANY($1::uuid[]) ORDER BY seq) AS job
    CROSS JOIN LATERAL (SELECT id FROM {self._queue} WHERE id = job.seq FOR UPDATE) AS row
), told AS (
    UPDATE {self._job} SET cancel_requested = true,
        held_key = CASE WHEN is_kept THEN held_key END,
        payload = CASE WHEN status = 'running' OR keep_payload THEN payload END,
        status = CASE status WHEN 'pending' THEN 'cancelled' ELSE status END,
        finished_at = CASE status WHEN 'pending'
            THEN GREATEST(clock_timestamp(), submitted_at) END,
        error = CASE status WHEN 'pending' THEN $2::text END,
        error_type = CASE status WHEN 'pending' THEN 'Cancelled' END
    WHERE id = ANY($1::uuid[]) AND {_UNFINISHED} AND (SELECT count(*) FROM queue) >= 0
    RETURNING {RECORD}
), gone AS (
    DELETE FROM {self._queue}
    WHERE id = ANY(ARRAY(SELECT seq FROM told WHERE status = 'cancelled'))
)
SELECT told.*, {self._notice("j", "told", "status = 'cancelled'")},
    {self._notice("c", "told", "status = 'running'")} FROM told"""
        """Cancel what waits, and ask what runs to stop; returns both. The count makes sure that
        the engine's rows are locked first."""

    def _write_keeping(self) -> None:
        self.delete = f"""
DELETE FROM {self._job} WHERE id = $1::uuid AND NOT {LIVE} RETURNING {RECORD}"""
        size = "COALESCE(octet_length(result), 0) + COALESCE(octet_length(payload), 0) AS size"
        self.too_old = f"""
SELECT id, {size} FROM {self._job}
    WHERE finished_at <= statement_timestamp() - $1::float8 * interval '1 second'
    ORDER BY finished_at LIMIT $2::bigint"""
        self.too_many = f"""
SELECT id, {size} FROM {self._job} WHERE finished_at < (
    SELECT finished_at FROM {self._job} WHERE finished_at IS NOT NULL
    ORDER BY finished_at DESC OFFSET $1::bigint - 1 LIMIT 1
) ORDER BY finished_at LIMIT $2::bigint"""
        self.remove = f"""
DELETE FROM {self._job} WHERE id = ANY(ARRAY(
    SELECT id FROM {self._job} WHERE id = ANY($1::uuid[]) FOR UPDATE SKIP LOCKED
))"""
        self.remove_and_read = f"{self.remove} RETURNING {RECORD}"
        self.prune_log = f"""
WITH gone AS (
    DELETE FROM {self._log} WHERE id = ANY(ARRAY(
        SELECT id FROM {self._log} ORDER BY id LIMIT $1::bigint FOR UPDATE SKIP LOCKED
    )) RETURNING id
)
SELECT count(*) AS number FROM gone"""
        """The engine's log, which grows for ever, and which nobody here reads."""

    def _write_sweeping(self) -> None:
        self.sweep = f"""
WITH lost AS (
    SELECT seq FROM {self._job} AS job WHERE {LIVE}
    AND NOT EXISTS (SELECT FROM {self._queue} AS queue WHERE queue.id = job.seq)
    ORDER BY seq LIMIT $1::bigint FOR UPDATE SKIP LOCKED
), back AS (
    UPDATE {self._job} AS job SET status = 'pending', started_at = NULL, delivery = delivery + 1
    FROM lost WHERE job.seq = lost.seq RETURNING job.id, job.seq, job.type, job.not_before,
        job.submitted_at
), queued AS (
    INSERT INTO {self._queue} (id, priority, entrypoint, status, execute_after)
    SELECT seq, {_PRIORITY.format(due="COALESCE(not_before, submitted_at)")}, type, 'queued',
        COALESCE(not_before, 'epoch') FROM back
    ON CONFLICT DO NOTHING
)
SELECT count(*) AS number, {self._notice("w", "back")} FROM back"""
        """Live records without a row of the engine, as after an old dump: queue them again."""
