"""The client's side of the demo: everything it knows comes over HTTP."""

from __future__ import annotations

import asyncio
import statistics
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter

import httpx

from stoat_jobs import JobResult

from .scan import ScanReport

ScanRecord = JobResult[ScanReport]

_PING_PAUSE_S = 0.01


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
        self._http = httpx.AsyncClient(base_url=url, trust_env=False, timeout=30.0)

    async def ping(self) -> None:
        """Returns once the server answers."""
        (await self._http.get("/ping")).raise_for_status()

    async def start_scan(self) -> tuple[httpx.Response, float]:
        """The answer to ``POST /scan``, and how many seconds it took."""
        before = perf_counter()
        response = await self._http.post("/scan")
        seconds = perf_counter() - before
        return response.raise_for_status(), seconds

    async def read(self, job_id: str) -> ScanRecord:
        """The job's record now."""
        response = await self._http.get(f"/jobs/{job_id}")
        return ScanRecord.model_validate_json(response.raise_for_status().content)

    async def cancel(self, job_id: str) -> None:
        """Ask the job to stop."""
        (await self._http.delete(f"/jobs/{job_id}")).raise_for_status()

    @asynccontextmanager
    async def pinging(self) -> AsyncIterator[Pings]:
        """Keeps calling ``GET /ping``, one call after another, while the block runs."""
        pings = Pings()
        over = asyncio.Event()
        task = asyncio.create_task(self._keep_pinging(pings, over))
        try:
            yield pings
        finally:
            over.set()  # before Python 3.11 the HTTP client can lose a cancel
            task.cancel()
            await asyncio.wait([task])

    async def _keep_pinging(self, pings: Pings, over: asyncio.Event) -> None:
        while not over.is_set():
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
