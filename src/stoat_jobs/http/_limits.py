"""Limits for clients."""

from __future__ import annotations

from pydantic import BaseModel, Field


class HttpLimits(BaseModel, frozen=True, extra="forbid"):
    """Limits for clients; the defaults suit a public application.

    >>> HttpLimits(heartbeat=5).heartbeat
    5.0

    Raises:
        pydantic.ValidationError: a ``ValueError`` that names the field.
    """

    max_body_bytes: int = Field(
        default=2_097_152,
        gt=0,
        description="The most bytes in the body of a submission; more are not read.",
    )
    max_listed: int = Field(
        default=1_000, gt=0, le=1_000, description="The most records in one page of a list."
    )
    max_open: int = Field(
        default=1_000,
        gt=0,
        description="The most streams and long polls that are open at once, in all; one more gets"
        " the answer 503.",
    )
    max_open_per_client: int = Field(
        default=50,
        gt=0,
        description="The same for one client address; one more gets the answer 429. Behind a"
        " proxy, configure the server to read the address from the proxy's headers; otherwise all"
        " clients count as one.",
    )
    wait_timeout: float = Field(
        default=30.0,
        ge=0,
        allow_inf_nan=False,
        description="Seconds that a long poll waits if the client does not say how long.",
    )
    max_wait_timeout: float = Field(
        default=60.0,
        ge=0,
        allow_inf_nan=False,
        description="The most seconds that a client may ask a long poll to wait. Keep it below"
        " the timeout of a proxy.",
    )
    max_watched: int = Field(
        default=5_000,
        gt=0,
        description="The most jobs in the stream of all jobs: the newest. Running jobs are always"
        " included.",
    )
    watch_interval: float = Field(
        default=0.5,
        gt=0,
        allow_inf_nan=False,
        description="Seconds between two polls of the queue while a client follows all jobs.",
    )
    heartbeat: float = Field(
        default=15.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds after which a silent stream sends a comment, so that proxies keep it"
        " open and lost clients are noticed.",
    )
    max_stream_age: float = Field(
        default=3600.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds after which a stream ends; the client then reconnects.",
    )
