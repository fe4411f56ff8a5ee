"""The payloads of many submissions, read and validated in turns of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .._jobs.job_types import JobType
from .._model.errors import InvalidPayloadError, QueueFullError
from .._model.settings import JobQueueSettings
from .._payload.frozen import FrozenPayload
from .._text import describe

# After so many a turn is given up.
_A_TURN = 100


async def frozen_payloads(
    definition: JobType[..., Any], payloads: Iterable[Any], settings: JobQueueSettings
) -> list[FrozenPayload]:
    """All of *payloads*, frozen.

    Raises:
        TypeError: they are no iterable of mappings, or reading them raises.
        InvalidPayloadError: one does not fit; its errors begin with its index.
        QueueFullError: there are more than may ever wait.
    """
    frozen: list[FrozenPayload] = []
    for number, payload in enumerate(_read(payloads), 1):
        if number > settings.max_pending:
            raise QueueFullError(settings.max_pending)
        frozen.append(_frozen(definition, payload, settings, number - 1))
        if number % _A_TURN == 0:
            await asyncio.sleep(0)
    return frozen


def _frozen(
    definition: JobType[..., Any], payload: Any, settings: JobQueueSettings, index: int
) -> FrozenPayload:
    try:
        return definition.form.freeze(payload, settings)
    except InvalidPayloadError as error:
        errors = [{**each, "loc": (index, *each["loc"])} for each in error.errors]
        raise InvalidPayloadError(error.job_type, errors) from error


def _read(payloads: Iterable[Any]) -> Iterator[Any]:
    if isinstance(payloads, (str, bytes, bytearray, Mapping)):
        kind = type(payloads).__name__
        raise TypeError(f"payloads must be an iterable of mappings, one for each job, not {kind}")
    try:
        yield from payloads
    except Exception as error:  # the caller's own iterable
        raise TypeError(f"payloads cannot be read: {describe(error)}") from error
