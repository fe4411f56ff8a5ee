"""The backend under test."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, cast
from uuid import uuid4

from stoat_jobs import (
    JobBackend,
    JobHandlers,
    JobQueueSettings,
    available_backends,
    create_queue,
)

FOLDER = "{tmp}"
NAME = "{name}"

Place = Mapping[str, str]
"""What these two stand for, in one test."""


def new_place() -> Place:
    """A new folder, and a new name."""
    return {FOLDER: tempfile.mkdtemp(), NAME: f"check_{uuid4().hex[:12]}"}


class Subject:
    """A backend, by name, with the settings that tell it where to keep its jobs."""

    def __init__(self, name: str, url: str | None, options: Mapping[str, Any]) -> None:
        self.name = name
        self.url = url
        self.options = options
        self._given = {"backend": name, "url": url, "options": dict(options)}

    @property
    def has_place(self) -> bool:
        """Whether the settings have something new for each test."""
        return any(mark in json.dumps(self._given) for mark in (FOLDER, NAME))

    def settings(self, others: JobQueueSettings, place: Place) -> JobQueueSettings:
        """*others* with this backend's settings, at *place*."""
        return others.model_copy(update=_placed(self._given, place))

    def first_queue(self) -> JobBackend:
        """A queue to inspect; raises what the loader or the backend raises."""
        with tempfile.TemporaryDirectory() as folder:
            settings = self.settings(JobQueueSettings(), {FOLDER: folder, NAME: "check"})
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


def _placed(value: Any, place: Place) -> Any:
    if isinstance(value, dict):
        return {key: _placed(item, place) for key, item in value.items()}
    if isinstance(value, list):
        return [_placed(item, place) for item in value]
    if isinstance(value, str):
        for mark, new in place.items():
            value = value.replace(mark, new)
    return value
