"""The backend under test."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, cast

from stoat_jobs import (
    JobBackend,
    JobHandlers,
    JobQueueSettings,
    available_backends,
    create_queue,
)

FOLDER = "{tmp}"


class Subject:
    """A backend, by name, with the settings that tell it where to keep its jobs."""

    def __init__(self, name: str, url: str | None, options: Mapping[str, Any]) -> None:
        self.name = name
        self.url = url
        self.options = options
        self._given = {"backend": name, "url": url, "options": dict(options)}

    @property
    def has_folder(self) -> bool:
        """Whether the settings contain a new folder for each test."""
        return FOLDER in json.dumps(self._given)

    def settings(self, others: JobQueueSettings, folder: str) -> JobQueueSettings:
        """*others* with this backend's settings, and *folder* in place of ``{tmp}``."""
        return others.model_copy(update=_with_folder(self._given, folder))

    def first_queue(self) -> JobBackend:
        """A queue to inspect; raises what the loader or the backend raises."""
        with tempfile.TemporaryDirectory() as folder:
            settings = self.settings(JobQueueSettings(), folder)
            return asyncio.run(_create(settings))

    def make_queue(
        self, handlers: JobHandlers, settings: JobQueueSettings, observers: Iterable[Any]
    ) -> JobBackend:
        """Create a queue as ``create_queue`` does, but read the entry points only once."""
        return cast(JobBackend, self._factory(handlers, settings, observers))

    @cached_property
    def _factory(self) -> Any:
        return next(point for point in available_backends() if point.name == self.name).load()


async def _create(settings: JobQueueSettings) -> JobBackend:
    return create_queue(None, settings)


def _with_folder(value: Any, folder: str) -> Any:
    if isinstance(value, dict):
        return {key: _with_folder(item, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_folder(item, folder) for item in value]
    return value.replace(FOLDER, folder) if isinstance(value, str) else value
