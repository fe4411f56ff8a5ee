"""How much clients may ask at once."""

from __future__ import annotations

from pydantic import BaseModel, Field


class HttpLimits(BaseModel, frozen=True, extra="forbid"):
    """What bounds clients; the defaults suit an application that everybody reaches.

    >>> HttpLimits(heartbeat=5).heartbeat
    5.0

    Raises:
        pydantic.ValidationError: a ``ValueError`` that names the field.
    """

    max_body_bytes: int = Field(
        default=2_097_152,
        gt=0,
        description="Bytes that the body of a submission may have; more are not read.",
    )
    max_listed: int = Field(
        default=1_000, gt=0, description="Records that one list may have at most."
    )
    max_open: int = Field(
        default=1_000,
        gt=0,
        description="Streams and long polls that may be open at once, in all; one more is"
        " answered with 503.",
    )
    max_open_per_client: int = Field(
        default=50,
        gt=0,
        description="The same for one address; one more is answered with 429. Behind a proxy,"
        " let the server take the address from the proxy's headers, or all clients are one.",
    )
    wait_timeout: float = Field(
        default=30.0,
        ge=0,
        allow_inf_nan=False,
        description="Seconds that a long poll waits where the client does not say.",
    )
    max_wait_timeout: float = Field(
        default=60.0,
        ge=0,
        allow_inf_nan=False,
        description="Seconds that a client may have a long poll wait. Keep it under the time"
        " after which a proxy gives up.",
    )
    max_watched: int = Field(
        default=5_000,
        gt=0,
        description="Jobs that the stream of all jobs shows: the newest, and all that run.",
    )
    watch_interval: float = Field(
        default=0.5,
        gt=0,
        allow_inf_nan=False,
        description="Seconds between two looks at the queue while somebody follows all jobs.",
    )
    heartbeat: float = Field(
        default=15.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds after which a stream without news sends a comment, so that proxies"
        " keep it and a client that is gone is noticed.",
    )
    max_stream_age: float = Field(
        default=3600.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds after which a stream ends; its client comes back.",
    )
