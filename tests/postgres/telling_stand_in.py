"""A server that is none: records, notices, and who listens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, cast

import pytest

from stoat_jobs import JobResult, JobStatus
from stoat_jobs._postgres.schema import engine_channel, jobs_channel
from stoat_jobs._postgres.telling import Telling

from .fake_clock import clock

SCHEMA = "stoat_jobs"
JOBS, ENGINE = jobs_channel(SCHEMA), engine_channel(SCHEMA)


class Connection:
    """A connection that listens to :class:`Server`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.listeners: dict[str, Any] = {}
        self._ends: list[Any] = []
        self._is_closed = False
        self.is_deaf = False

    async def add_listener(self, channel: str, callback: Any) -> None:
        await self._server.pass_gate()
        self.listeners[channel] = callback

    def add_termination_listener(self, callback: Any) -> None:
        self._ends.append(callback)

    def is_closed(self) -> bool:
        return self._is_closed

    async def execute(self, sql: str) -> None:
        await self._server.pass_gate()
        for deliver in self._server.held:
            deliver()
        self._server.held.clear()
        await asyncio.sleep(0)  # they are heard before the answer

    def terminate(self) -> None:
        self._is_closed = True
        for callback in self._ends:
            clock().call_soon(callback, self)
        self._ends = []


class Server:
    """Records, notices, and who listens; no real server."""

    def __init__(self) -> None:
        self.records: dict[str, JobResult[Any]] = {}
        self.reads: list[list[str]] = []
        self.read_gate: asyncio.Event | None = None
        self.connect_gate: asyncio.Event | None = None
        self.error: Exception | None = None
        self.connections: list[Connection] = []
        self.statements = 0
        self.is_deaf = False
        self.is_slow = False
        self.held: list[Callable[[], object]] = []
        self.work = 0
        self.cancelled: list[str] = []

    def asking(self) -> AbstractContextManager[None]:
        """Say that an answer is awaited, on which nothing depends here."""
        return nullcontext()

    def telling(self, *, is_worker: bool = True) -> Telling:
        return Telling(
            cast(Any, self),
            SCHEMA,
            self.read,
            on_work=self.on_work if is_worker else None,
            on_cancel=self.cancelled.append,
        )

    def on_work(self) -> None:
        self.work += 1

    async def pass_gate(self) -> None:
        if self.error is not None:
            raise self.error
        if self.connect_gate is not None:
            await self.connect_gate.wait()

    async def connect(self, *, listening: bool) -> Connection:
        assert listening
        await self.pass_gate()
        self.connections.append(Connection(self))
        return self.connections[-1]

    async def fetch(self, sql: str, channel: str) -> None:
        assert sql == "SELECT pg_notify($1::text, 'echo')"
        self.statements += 1
        await self.pass_gate()
        self.notify(channel, "echo")

    def notify(self, channel: str, payload: str) -> None:
        for connection in self.connections:
            if not (self.is_deaf or connection.is_deaf or connection.is_closed()):
                if callback := connection.listeners.get(channel):
                    heard = partial(clock().call_soon, callback, connection, 1, channel, payload)
                    self.held.append(heard) if self.is_slow else heard()

    async def read(self, ids: list[str]) -> dict[str, JobResult[Any]]:
        self.reads.append(ids)
        if self.error is not None:
            raise self.error
        known = {each: self.records[each] for each in ids if each in self.records}
        if self.read_gate is not None:
            await self.read_gate.wait()
        return known

    def put(
        self, job_id: str, status: JobStatus = JobStatus.RUNNING, **fields: Any
    ) -> JobResult[Any]:
        record = JobResult.model_construct(job_id=job_id, status=status, **fields)
        self.records[job_id] = record
        return record


async def started(server: Server, *, is_worker: bool = True) -> Telling:
    telling = server.telling(is_worker=is_worker)
    await clock().drive(telling.start(10.0))
    await clock().settle()
    server.reads.clear()
    return telling


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]
