"""The client's side of the demo: everything it knows comes over HTTP."""

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
_TIMEOUT_S = 60.0  # heartbeats and long polls keep well below


class Pings:
    """How long each ``GET /ping`` took, in seconds."""

    def __init__(self) -> None:
        self._seconds = array("d")
        self.failed = 0

    def add(self, seconds: float) -> None:
        """One more was answered."""
        self._seconds.append(seconds)

    @property
    def answered(self) -> int:
        """How many were answered."""
        return len(self._seconds)

    @property
    def median(self) -> float:
        """In seconds; there must be one."""
        return statistics.median(self._seconds)

    @property
    def slowest(self) -> float:
        """In seconds; there must be one."""
        return max(self._seconds)


class Client:
    """The demo's API, called over HTTP."""

    def __init__(self, url: str) -> None:
        # No proxy of the environment stands between a client and its own machine.
        self._http = httpx.AsyncClient(base_url=url, trust_env=False, timeout=_TIMEOUT_S)

    async def ping(self) -> None:
        """Returns once the server answers."""
        (await self._http.get("/ping")).raise_for_status()

    async def start_scan(self) -> tuple[httpx.Response, float]:
        """The answer to ``POST /scan``, and how many seconds it took."""
        before = perf_counter()
        response = await self._http.post("/scan")
        seconds = perf_counter() - before
        return response.raise_for_status(), seconds

    async def follow(self, job_id: str) -> AsyncGenerator[ScanRecord, None]:
        """The job's record at each of its changes, up to and with the last one."""
        while True:  # a stream has a greatest age
            async with aconnect_sse(self._http, "GET", f"/jobs/{job_id}/events") as source:
                source.response.raise_for_status()
                async for event in source.aiter_sse():
                    if event.data:
                        yield ScanRecord.model_validate_json(event.data)
                    if event.event == "end":
                        return

    async def cancel(self, job_id: str) -> ScanRecord:
        """Have the job stopped, unless it has ended; its record at the end."""
        response = await self._http.post(f"/jobs/{job_id}/cancel")
        if response.status_code != HTTPStatus.CONFLICT:
            response.raise_for_status()
        while response.status_code != HTTPStatus.OK:
            response = (await self._http.get(f"/jobs/{job_id}/wait")).raise_for_status()
        return ScanRecord.model_validate_json(response.content)

    @asynccontextmanager
    async def pinging(self) -> AsyncIterator[Pings]:
        """Keeps calling ``GET /ping``, one call after another, while the block runs."""
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
