"""Our own table beside PgQueuer's: what a record needs, and what delivering a job needs of it.

- ``seq`` is the id of the engine's row, which knows nothing but the job type, the time it is due
  and who runs it. There is such a row as long as the job is live.
- ``delivery`` counts the starts: with the engine's owner it is the fence of every write.
- ``losses`` counts the starts that ended with the loss of their worker, ``refusals`` those at
  which a worker's code refused the payload.
- ``held_key`` is the key while the job holds it.
- ``phase`` is `live`, or the status of a finished job. No index names ``status``: so a start
  changes no indexed column, and where its page has room for the changed row, PostgreSQL writes to
  no index. Whether a live job is pending or running, the engine's row says by an index, too.
- Payload, metadata and result are JSON as text: ``jsonb`` changes numbers, and refuses U+0000.
"""

from __future__ import annotations

TYPE_AND_PHASE = "(type || ' ' || phase)"
"""One key of an index: of two, the planner would take an index that has only one of them."""

_VACUUM = """
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0.05,
    autovacuum_analyze_threshold = 500
"""

# Percent of a page that are filled by new rows. The rest is for the same rows when they start; it
# is filled later, so the table is not larger. With 100, a job cost the server a third more.
_FILL = 50


def job_table(schema: str) -> str:
    """The statements that create our tables and their indexes in *schema*."""
    job = f"{schema}.job"
    return f"""
CREATE TABLE {job} (
    id uuid PRIMARY KEY,
    seq bigint NOT NULL UNIQUE,
    type text COLLATE "C" NOT NULL,
    payload text,
    metadata text NOT NULL,
    key text COLLATE "C",
    held_key text COLLATE "C",
    is_kept boolean NOT NULL,
    digest text,
    timeout double precision NOT NULL,
    keep_payload boolean NOT NULL,
    not_before timestamptz,
    status text COLLATE "C" NOT NULL DEFAULT 'pending',
    phase text COLLATE "C" NOT NULL GENERATED ALWAYS AS
        (CASE WHEN status IN ('pending', 'running') THEN 'live' ELSE status END) STORED,
    delivery integer NOT NULL DEFAULT 0,
    losses integer NOT NULL DEFAULT 0,
    refusals integer NOT NULL DEFAULT 0,
    cancel_requested boolean NOT NULL DEFAULT false,
    progress double precision,
    message text,
    result text,
    error text,
    error_type text,
    attempt integer NOT NULL DEFAULT 0,
    submitted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at timestamptz,
    finished_at timestamptz
);
CREATE UNIQUE INDEX job_held_key ON {job} (type, held_key) WHERE held_key IS NOT NULL;
CREATE INDEX job_phase ON {job} (phase, seq);
CREATE INDEX job_type ON {job} ({TYPE_AND_PHASE}, seq);
CREATE INDEX job_finished ON {job} (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX job_metadata ON {job} USING gin ((metadata::jsonb) jsonb_path_ops)
    WHERE metadata <> '{{}}';
ALTER TABLE {job} SET (fillfactor = {_FILL}, {_VACUUM},
    toast.autovacuum_vacuum_scale_factor = 0.05);
CREATE TABLE {schema}.meta (version integer NOT NULL, engine text NOT NULL);
"""


def engine_storage(schema: str) -> str:
    """The statements that let the engine's tables be vacuumed often enough, and read by index.

    As the engine advises, apart from its log: the engine lets it grow, and we prune it. A limit
    over all processes is kept by counting what they run, for which the engine has no index.
    """
    return f"""
ALTER TABLE {schema}.pgqueuer_log SET ({_VACUUM});
CREATE INDEX pgqueuer_claimed ON {schema}.pgqueuer (entrypoint) WHERE queue_manager_id IS NOT NULL;
"""
