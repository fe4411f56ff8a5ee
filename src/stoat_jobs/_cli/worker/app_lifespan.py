"""Runs the lifespan of an ASGI app, as a server does: startup, shutdown, and the state."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

from .problems import FAILED, WorkerError, description

Message = MutableMapping[str, Any]

# What is the matter where an app gives no answer.
_ENDED = {
    "startup": "the app failed at startup, or it speaks no lifespan and needs with_jobs",
    "shutdown": "the app's lifespan ended before it was told to",
}

# Seconds for an app that has said why it failed to raise it as well.
_BRIEFLY = 1.0


class AppLifespan:
    """The lifespan of *app*, in a task of its own, which has the context of whoever makes this."""

    def __init__(self, app: Any, folder: str) -> None:
        self._folder = folder
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()
        self._scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": {},
        }
        self._task = asyncio.create_task(self._run(app), name="lifespan of the app")
        self._error: BaseException | None = None
        self._is_spoken = True
        self._is_early = False

    async def _run(self, app: Any) -> None:
        try:
            await app(self._scope, self._to_app.get, self._from_app.put)
        except (Exception, SystemExit) as error:
            self._error = error

    async def start(self) -> None:
        """Start the app; one that returns without an answer speaks no lifespan.

        Raises:
            WorkerError: that failed.
        """
        await self._ask("startup")

    async def stop(self) -> None:
        """Stop the app.

        Raises:
            WorkerError: that failed, or the lifespan had ended by itself.
        """
        await self._ask("shutdown")

    async def cancel(self) -> None:
        """End a start that is under way."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def ended(self) -> None:
        """Return when the app ends its lifespan before it is told to."""
        await asyncio.wait([self._task])
        self._is_early = True

    async def _ask(self, event: str) -> None:
        self._to_app.put_nowait({"type": f"lifespan.{event}"})
        reply = await self._reply()
        if reply is None and self._error is None and event == "startup":
            self._is_spoken = False
        if not self._is_spoken or (_is_complete(reply) and not self._is_early):
            return
        await asyncio.wait([self._task], timeout=_BRIEFLY)  # else it has said why, and goes on
        has_said = reply is not None and not self._is_early
        what = f"the app's lifespan failed at {event}" if has_said else _ENDED[event]
        raise WorkerError(FAILED, f"{what}: {self._reason(reply)}") from self._error

    async def _reply(self) -> Message | None:
        """The app's answer; None if it ends without one."""
        reply = asyncio.create_task(self._from_app.get())
        await asyncio.wait([reply, self._task], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0)  # it may have answered and ended at once
        if reply.done():
            return reply.result()
        reply.cancel()
        return None

    def _reason(self, reply: Message | None) -> str:
        if self._error is not None:
            return description(self._error, self._folder)
        lines = str((reply or {}).get("message") or "").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "it did not say why")


def _is_complete(reply: Message | None) -> bool:
    return reply is not None and str(reply.get("type")).endswith(".complete")
