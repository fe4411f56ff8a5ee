"""A valid payload: its arguments, and their JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic_core import from_json

from .signature import OPEN


class FrozenPayload:
    """A valid payload: the arguments of the handler, and the same arguments as JSON.

    In the place of the JSON there may be the function that encodes the arguments. Then they
    must be plain values that it can encode. Nobody changes them before: a handler is called
    with ``**arguments``, which gives it a dict of its own.
    """

    __slots__ = ("_text", "arguments")

    arguments: dict[str, Any]
    """What the handler is called with, by name."""

    def __init__(
        self, arguments: dict[str, Any], text: bytes | Callable[[dict[str, Any]], bytes]
    ) -> None:
        self.arguments = arguments
        self._text = text

    @property
    def text(self) -> bytes:
        """The JSON, encoded at the first request: most jobs finish without one."""
        if not isinstance(self._text, bytes):
            self._text = self._text(self.arguments)
        return self._text

    def on_record(self) -> dict[str, Any] | None:
        """What the record shows of it: nothing, because it may hold secrets."""
        return None


class KeptPayload(FrozenPayload):
    """A payload that stays on the record of its job."""

    __slots__ = ()

    def on_record(self) -> dict[str, Any]:
        """The arguments as plain JSON: a copy for each reader."""
        arguments: dict[str, Any] = from_json(self.text)
        more = arguments.pop(OPEN, {})
        return {**arguments, **more}
