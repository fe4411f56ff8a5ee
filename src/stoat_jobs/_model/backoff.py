"""How long a failed attempt waits for the next."""

from __future__ import annotations

import math
import random
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

Delay = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Backoff(BaseModel, frozen=True, extra="forbid"):
    """The delays between the attempts of a job: exponential, with jitter.

    >>> Backoff(first=10, factor=1, jitter=0).delay(retry=3)
    10.0

    Raises:
        pydantic.ValidationError: a ``ValueError`` that names the field.
    """

    first: Delay = Field(default=1.0, description="Seconds before the first retry; 0 for at once.")
    factor: Annotated[float, Field(ge=1, allow_inf_nan=False)] = Field(
        default=2.0, description="By how much each delay is longer than the one before."
    )
    maximum: Delay = Field(default=60.0, description="Seconds that no delay exceeds.")
    jitter: Annotated[float, Field(ge=0, le=1)] = Field(
        default=1.0,
        description="How much of a delay is left to chance, so that jobs that failed together do"
        " not retry together: 1 for all of it, 0 for exact delays.",
    )

    @model_validator(mode="after")
    def _first_is_not_over_the_maximum(self) -> Self:
        if self.first > self.maximum:
            raise ValueError(
                f"`first` must not exceed `maximum`: {self.first:g} s, and {self.maximum:g} s"
            )
        return self

    def delay(self, retry: int) -> float:
        """Seconds before retry number *retry*, from 1."""
        longest = min(self.maximum, self.first * self._growth(retry)) if self.first else 0.0
        return longest * (1.0 - self.jitter * random.random())  # noqa: S311

    def _growth(self, retry: int) -> float:
        try:
            return self.factor ** (retry - 1)
        except OverflowError:
            return math.inf
