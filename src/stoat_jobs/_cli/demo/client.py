"""The client of the demo; it gets all its information over HTTP."""

from __future__ import annotations

import asyncio
import statistics
from array import array
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from time import perf_counter

import httpx
from httpx_sse import aconnect_sse

from stoat_jobs import JobResult

from ..._demo.scan import ScanReport

ScanRecord = JobResult[ScanReport]

_PING_PAUSE_S = 0.01
_TIMEOUT_S = 60.0  # heartbeats and long polls answer much sooner


class Pings:
    """How long each ``GET /ping`` took, in seconds."""

    def __init__(self) -> None:
        self._seconds = array("d")
        self.failed = 0

    def add(self, seconds: float) -> None:
        """Record a ping that was answered."""
        self._seconds.append(seconds)

    @property
    def answered(self) -> int:
        """How many pings were answered."""
        return len(self._seconds)

    @property
    def median(self) -> float:
        """The median in seconds, of at least one ping."""
        return statistics.median(self._seconds)

    @property
    def slowest(self) -> float:
        """The maximum in seconds, of at least one ping."""
        return max(self._seconds)


class Client:
    """Calls the demo's API over HTTP."""

    def __init__(self, url: str) -> None:
        # The server is on this machine: ignore proxies in the environment.
        self._http = httpx.AsyncClient(base_url=url, trust_env=False, timeout=_TIMEOUT_S)

    async def ping(self) -> None:
        """Return once the server has answered."""
        (await self._http.get("/ping")).raise_for_status()

    async def start_scan(self) -> tuple[httpx.Response, float]:
        """Call ``POST /scan``; returns the response and the seconds it took."""
        before = perf_counter()
        response = await self._http.post("/scan")
        seconds = perf_counter() - before
        return response.raise_for_status(), seconds

    async def follow(self, job_id: str) -> AsyncGenerator[ScanRecord, None]:
        """The job's record at each change, including the last one."""
        while True:  # the server ends streams that reach their maximum age
            async with aconnect_sse(self._http, "GET", f"/jobs/{job_id}/events") as source:
                source.response.raise_for_status()
                async for event in source.aiter_sse():
                    if event.data:
                        yield ScanRecord.model_validate_json(event.data)
                    if event.event == "end":
                        return

    async def cancel(self, job_id: str) -> ScanRecord:
        """Cancel the job unless it has finished, and return its final record."""
        response = await self._http.post(f"/jobs/{job_id}/cancel")
        if response.status_code != HTTPStatus.CONFLICT:
            response.raise_for_status()
        while response.status_code != HTTPStatus.OK:
            response = (await self._http.get(f"/jobs/{job_id}/wait")).raise_for_status()
        return ScanRecord.model_validate_json(response.content)

    @asynccontextmanager
    async def pinging(self) -> AsyncIterator[Pings]:
        """While the block runs, call ``GET /ping`` repeatedly, one call after another."""
        pings = Pings()
        task = asyncio.create_task(self._keep_pinging(pings))
        try:
            yield pings
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _keep_pinging(self, pings: Pings) -> None:
        while True:
            before = perf_counter()
            try:
                await self.ping()
            except httpx.HTTPError:
                pings.failed += 1
            else:
                pings.add(perf_counter() - before)
            await asyncio.sleep(_PING_PAUSE_S)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()
