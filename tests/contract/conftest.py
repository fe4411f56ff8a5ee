"""Async tests here run on the kit's fake clock."""

from __future__ import annotations

from stoat_jobs.testing import FakeClockLoop


def pytest_asyncio_loop_factories() -> dict[str, type[FakeClockLoop]]:
    return {"fake clock": FakeClockLoop}
