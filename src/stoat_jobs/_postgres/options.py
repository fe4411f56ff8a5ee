"""The options of the `postgres` backend."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

Count = Annotated[int, Field(gt=0)]


class PostgresOptions(BaseModel, frozen=True, extra="forbid"):
    """The ``options`` of the `postgres` backend."""

    # Not `schema`, which is a method of pydantic's models. NOTIFY's channels carry it, and have
    # at most 63 bytes.
    schema_name: str = Field(
        default="stoat_jobs",
        alias="schema",
        pattern=r"^[a-z_][a-z0-9_]{0,39}$",
        description="The schema of the tables. Queues in different schemas do not see each other.",
    )
    worker: bool = Field(
        default=True,
        description="Whether this process runs jobs. If not, it only submits and reads them.",
    )
    job_types: list[str] | None = Field(
        default=None,
        description="The job types that this process runs, for a worker of some types alone. By"
        " default all that it has handlers for.",
    )
    lease: float = Field(
        default=6.0,
        ge=1.0,
        le=3600.0,
        description="Seconds after which a worker that is not heard of is lost, and its jobs run"
        " again elsewhere. Raise it where connections fail for longer. Workers may differ in it, as"
        " during a deployment.",
    )
    max_deliveries: Count = Field(
        default=3,
        description="After so many runs that ended with the loss of their worker, a job is"
        " `failed` with the error type `WorkerLost`.",
    )
    on_shutdown: Literal["requeue", "settle"] = Field(
        default="requeue",
        description="`requeue`: a job that the shutdown stops runs again elsewhere, from its"
        " beginning. `settle`: it ends as `cancelled`, for handlers that must not run twice.",
    )
    pool_size: int = Field(
        default=8,
        ge=2,
        description="Connections for statements. Besides these, each process has one that"
        " listens, and each worker one for its heartbeat and one for outcomes.",
    )
    listen_url: str | None = Field(
        default=None,
        repr=False,
        description="Where to listen for notifications, if `url` leads to a pooler in transaction"
        " mode, through which they never come.",
    )
    limits: dict[str, Count] = Field(
        default={},
        description="By job type: how many run at once in all processes together. All workers"
        " must have the same.",
    )
    create_tables: bool = Field(
        default=True,
        description="Whether the start creates or upgrades the tables. If not, it refuses to"
        " start without current ones, and to read without any: run `stoat-jobs postgres init` or"
        " `upgrade`.",
    )
